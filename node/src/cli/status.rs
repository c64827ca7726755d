//! `shoal status`: how the running node is.

use super::CliError;
use super::local::AskArgs;
use super::print::{self, columns, decimal, grouped, plain};
use crate::api::{NodeState, NodeStatus, RunStatus, STATUS_PATH, WayState};

pub(super) fn command(args: &AskArgs) -> Result<(), CliError> {
    let status: NodeStatus = args.ask(STATUS_PATH)?;
    if args.json {
        return Ok(print::json(&status)?);
    }
    Ok(print::line(&drawn(&status))?)
}

fn drawn(status: &NodeStatus) -> String {
    let rejected: u64 = status.rejects.values().sum();
    let reasons: Vec<String> = status.rejects.iter().map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
    let rows = [
        ("run", format!("{} ({})", status.name, status.run)),
        ("node", status.node.clone()),
        ("network", status.network.clone()),
        ("state", format!("{}, round {}, {} steps", status.state, grouped(status.round), grouped(status.steps))),
        ("accuracy", format!("{}, loss {}", decimal(status.accuracy), decimal(status.loss))),
        ("peers", peers(status)),
        ("reach", reach(status)),
        ("ways", ways(status)),
        ("bytes", format!("{} sent, {} received", grouped(status.sent_bytes), grouped(status.received_bytes))),
        ("refused", if rejected == 0 { "nothing".to_owned() } else { format!("{} ({})", grouped(rejected), reasons.join(", ")) }),
        ("weights", status.weights.clone().unwrap_or_else(|| "-".to_owned())),
        ("trouble", status.trouble.clone().unwrap_or_else(|| "none".to_owned())),
        ("up", uptime(status.uptime_s)),
        ("listening", status.listen.join(" ")),
    ];
    let mut text = print::named(&rows);
    // Of the only run everything is said above.
    if status.runs.len() > 1 {
        text.push_str("\n\n");
        text.push_str(&runs(&status.runs));
    }
    text
}

/// All runs of the node, a line each.
fn runs(runs: &[RunStatus]) -> String {
    let head = ["run", "state", "round", "accuracy", "loss", "known", "heard", "id"].map(str::to_owned).to_vec();
    let row = |run: &RunStatus| {
        vec![
            plain(&run.name),
            run.state.to_string(),
            grouped(run.round),
            decimal(run.accuracy),
            decimal(run.loss),
            grouped(run.peers_known.into()),
            grouped(run.peers_heard.into()),
            plain(&run.run.chars().take(8).collect::<String>()),
        ]
    };
    columns(&std::iter::once(head).chain(runs.iter().map(row)).collect::<Vec<_>>())
}

fn peers(status: &NodeStatus) -> String {
    if status.connected == 0 && status.peers_known == 0 && status.state != NodeState::Starting {
        return match status.state {
            NodeState::Relaying | NodeState::Idle => "nobody connected".to_owned(),
            _ => "training alone: nobody found yet".to_owned(),
        };
    }
    format!("{} connected, {} known, {} heard last round", status.connected, status.peers_known, status.peers_heard)
}

/// How others can reach the node, in the words of a person, and where.
fn reach(status: &NodeStatus) -> String {
    let what = match status.reach.as_str() {
        "public" => "public: anybody can call this node",
        "mapped" => "mapped: anybody can call this node, the router forwards a port",
        "relayed" => "relayed: others call this node through a relay",
        "private" => "private: this node calls others, nobody can call it",
        "local" => "local: every node of this network can call it",
        _ => "unknown: not proved yet",
    };
    [what].into_iter().chain(status.addresses.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

fn ways(status: &NodeStatus) -> String {
    let way = |(name, way): (&String, &WayState)| format!("{name} {} ({})", way.found, way.state);
    status.ways.iter().map(way).collect::<Vec<_>>().join(", ")
}

/// Seconds as days, hours, minutes and seconds, the leading zeros left out.
fn uptime(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|part| part.0 > 0).unwrap_or(parts.len() - 1);
    parts[first..].iter().map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_read_well() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min 0 s"), (90_061, "1 d 1 h 1 min 1 s")]
        {
            assert_eq!(uptime(seconds), text);
        }
    }

    #[test]
    fn a_status_is_a_line_a_thing_and_only_text() {
        let mut status = crate::api::tests::snapshot().status;
        status.name = "evil\u{1b}[2J\n".to_owned();
        let text = drawn(&status);
        assert_eq!(text.lines().count(), 14);
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("refused    3 (bad_signature 2, stale 1)"), "{text}");
        assert!(text.contains("relayed: others call this node through a relay /ip4/203.0.113.1"), "{text}");
        assert!(text.contains("mdns 2 (listening)"), "{text}");
    }

    #[test]
    fn who_is_alone_is_told_so() {
        let mut status = crate::api::tests::snapshot().status;
        assert!(drawn(&status).contains("2 connected, 2 known, 2 heard last round"));
        (status.connected, status.peers_known) = (0, 0);
        assert!(drawn(&status).contains("training alone: nobody found yet"));
        status.state = NodeState::Relaying;
        assert!(!drawn(&status).contains("training alone"));
    }

    #[test]
    fn several_runs_are_a_table_below() {
        let mut status = crate::api::tests::snapshot().status;
        status.runs = vec![RunStatus::of(&status), RunStatus { name: "evil\u{1b}".to_owned(), ..RunStatus::of(&status) }];
        let text = drawn(&status);
        assert_eq!(text.lines().count(), 14 + 1 + 3, "{text}");
        assert!(!text.contains('\u{1b}'));
        status.runs.truncate(1);
        assert_eq!(drawn(&status).lines().count(), 14);
    }
}
