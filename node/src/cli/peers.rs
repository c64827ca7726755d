//! `shoal peers`: whom the running node knows, and what it thinks of them.

use super::CliError;
use super::local::AskArgs;
use super::print::{self, columns, grouped, plain};
use crate::api::{PEERS_PATH, PeerStatus};

pub(super) fn command(args: &AskArgs) -> Result<(), CliError> {
    let peers: Vec<PeerStatus> = args.ask(PEERS_PATH)?;
    if args.json {
        return Ok(print::json(&peers)?);
    }
    Ok(print::line(&drawn(&peers))?)
}

fn drawn(peers: &[PeerStatus]) -> String {
    if peers.is_empty() {
        return "no peers known yet".to_owned();
    }
    let head =
        ["node", "round", "heard", "standing", "last fault", "received", "way", "rtt", "address"].map(str::to_owned).to_vec();
    let row = |peer: &PeerStatus| {
        let heard = peer.heard_s.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds} s ago"));
        let address = peer.address.as_deref().unwrap_or("-");
        vec![
            plain(&peer.node.chars().take(8).collect::<String>()),
            grouped(peer.round),
            heard,
            format!("{:.2}", peer.standing),
            plain(peer.last_fault.as_deref().unwrap_or("-")),
            grouped(peer.received_bytes),
            plain(&link(peer)),
            peer.rtt_ms.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms")),
            plain(address),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(peers.iter().map(row)).collect();
    columns(&rows)
}

/// How the peer is connected: `direct quic`, `relayed tcp`, or not at all.
fn link(peer: &PeerStatus) -> String {
    let parts: Vec<&str> = peer.way.iter().chain(&peer.transport).map(String::as_str).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_a_table() {
        assert_eq!(drawn(&[]), "no peers known yet");
        let text = drawn(&crate::api::tests::snapshot().peers);
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.lines().nth(1).is_some_and(|line| line.contains("3 s ago") && line.contains("/ip4/127.0.0.1/tcp/4")),
            "{text}"
        );
        assert!(text.lines().nth(1).is_some_and(|line| line.contains("direct tcp") && line.contains("12.3 ms")), "{text}");
    }
}
