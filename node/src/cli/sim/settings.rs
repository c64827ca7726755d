//! The flags that set a key of the scenario, as the changes that [`shoal_sim::Scenario::set`] takes.
//!
//! Every flag is sugar for `--set KEY=VALUE`, so that the command line, the scenario file and the line
//! that reproduces a failure speak of the same keys. `--set` comes last and wins. What a value may be
//! is the scenario's business; here only its shape is read.

use super::failure::SimError;

/// Milliseconds for which `--reorder` holds messages back, unless it says: longer than most links take.
const REORDER_MS: &str = "300";

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Scenario")]
pub(super) struct Settings {
    /// Nodes
    #[arg(long, value_name = "N")]
    nodes: Option<String>,
    /// Rounds each node does
    #[arg(long, value_name = "N")]
    rounds: Option<String>,
    /// First seed: decides everything that the scenario leaves open
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// What is learned: digits, idx:FOLDER, hamlet or quadratic
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// How the data is divided: iid or dirichlet:ALPHA
    #[arg(long, value_name = "HOW")]
    partition: Option<String>,
    /// Peers heard in a round
    #[arg(long, value_name = "N")]
    peers: Option<String>,
    /// Local steps in a round
    #[arg(long, value_name = "N")]
    steps: Option<String>,
    /// Part of the delta that is sent, in every round: 0.03
    #[arg(long, value_name = "PART")]
    density: Option<String>,
    /// Part of the nodes that are off in each round
    #[arg(long, value_name = "PART")]
    churn: Option<String>,
    /// Part of the nodes replaced by newcomers in each round
    #[arg(long, value_name = "PART")]
    replaced: Option<String>,
    /// Part of the deliveries that are lost
    #[arg(long, value_name = "PART")]
    loss: Option<String>,
    /// Latency one way, milliseconds, drawn for each pair: 20,60
    #[arg(long, value_name = "LOW,HIGH")]
    latency: Option<String>,
    /// Mean of what is added to each delivery, milliseconds
    #[arg(long, value_name = "MS")]
    jitter: Option<String>,
    /// Part of the gossip deliveries that arrive twice
    #[arg(long, value_name = "PART")]
    duplicate: Option<String>,
    /// Part of the deliveries that are held back, and for up to how long: 0.02 or 0.02:300
    #[arg(long, value_name = "PART[:MS]")]
    reorder: Option<String>,
    /// What a node can send, kilobits a second, drawn for each: 2000,40000
    #[arg(long, value_name = "LOW,HIGH")]
    up: Option<String>,
    /// What a node can receive, likewise
    #[arg(long, value_name = "LOW,HIGH")]
    down: Option<String>,
    /// Parts of the nodes behind NATs: cone:0.6,symmetric:0.1
    #[arg(long, value_name = "KIND:PART,...")]
    nat: Option<String>,
    /// How many times slower devices are, in turn: 1,2,4
    #[arg(long, value_name = "N,...")]
    slowness: Option<String>,
    /// Clocks are ahead by up to so many milliseconds
    #[arg(long, value_name = "MS")]
    skew: Option<String>,
    /// Part of the nodes that lie, and how: sign-flip:0.2, or noise:10:0.1; may be repeated
    #[arg(long, value_name = "ATTACK:PART")]
    byzantine: Vec<String>,
    /// The network falls into groups between these rounds: 30-100:2; may be repeated
    #[arg(long, value_name = "FROM-UNTIL:GROUPS")]
    split: Vec<String>,
    /// Largest body sent along with its announce, bytes; 0 to have every body pulled
    #[arg(long, value_name = "BYTES")]
    inline: Option<String>,
    /// Virtual seconds after which the simulation ends, finished or not
    #[arg(long, value_name = "SECONDS")]
    time_max: Option<String>,
    /// Try the replicas every so many rounds; 0 for at the end alone
    #[arg(long, value_name = "ROUNDS")]
    every: Option<String>,
    /// Average the final figures over so many last rounds
    #[arg(long, value_name = "ROUNDS")]
    tail: Option<String>,
    /// Set any key of the scenario, dotted: gossip.mesh=6; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

type Change = (String, String);

impl Settings {
    /// Key and value of each change, in the order in which they are made.
    pub(super) fn changes(&self) -> Result<Vec<Change>, SimError> {
        let plain: [(&Option<String>, &str); 17] = [
            (&self.nodes, "nodes"),
            (&self.rounds, "rounds"),
            (&self.seed, "seed"),
            (&self.data, "data"),
            (&self.partition, "partition"),
            (&self.peers, "run.round.peers"),
            (&self.steps, "run.round.steps"),
            (&self.churn, "churn.offline"),
            (&self.replaced, "churn.replaced"),
            (&self.loss, "link.loss"),
            (&self.jitter, "link.jitter_ms"),
            (&self.duplicate, "link.duplicate"),
            (&self.skew, "device.skew_ms"),
            (&self.inline, "inline_bytes_max"),
            (&self.time_max, "time_max_s"),
            (&self.every, "evaluate.every"),
            (&self.tail, "evaluate.tail"),
        ];
        let set = |(value, key): (&Option<String>, &str)| Some((key.to_owned(), value.clone()?));
        let mut changes: Vec<Change> = plain.into_iter().filter_map(set).collect();
        self.ranges(&mut changes)?;
        self.parts(&mut changes)?;
        self.lists(&mut changes)?;
        for change in &self.set {
            let expected = "KEY=VALUE";
            let (key, value) = change.split_once('=').ok_or_else(|| refused("set", change, expected))?;
            changes.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(changes)
    }

    fn ranges(&self, changes: &mut Vec<Change>) -> Result<(), SimError> {
        let ranges = [
            (&self.latency, "latency", "link.latency_ms"),
            (&self.up, "up", "link.up_kbit"),
            (&self.down, "down", "link.down_kbit"),
        ];
        for (value, flag, key) in ranges {
            let Some(value) = value else { continue };
            let ends = numbers(flag, value)?;
            let (low, high) = match ends[..] {
                [one] => (one, one),
                [low, high] => (low, high),
                _ => return Err(refused(flag, value, "one number, or the lowest and the highest with a comma between")),
            };
            changes.push((key.to_owned(), format!("[{low:?}, {high:?}]")));
        }
        if let Some(value) = &self.slowness {
            changes.push(("device.slowness".to_owned(), format!("{:?}", numbers("slowness", value)?)));
        }
        Ok(())
    }

    fn parts(&self, changes: &mut Vec<Change>) -> Result<(), SimError> {
        if let Some(value) = &self.density {
            let expected = "a part from 0.001 to 1";
            let part =
                number(value).filter(|part| (0.001..=1.0).contains(part)).ok_or_else(|| refused("density", value, expected))?;
            changes.push(("run.codec.density".to_owned(), format!("[[0, {:.0}]]", part * 1_000.0)));
        }
        if let Some(value) = &self.reorder {
            let (part, millis) = value.split_once(':').unwrap_or((value, REORDER_MS));
            changes.push(("link.reorder".to_owned(), part.to_owned()));
            changes.push(("link.reorder_ms".to_owned(), millis.to_owned()));
        }
        for kind in self.nat.iter().flat_map(|value| value.split(',')) {
            match kind.split_once(':') {
                Some((name @ ("cone" | "symmetric"), part)) => changes.push((format!("nat.{name}"), part.to_owned())),
                _ => return Err(refused("nat", kind, "cone:PART or symmetric:PART, or both with a comma between")),
            }
        }
        Ok(())
    }

    /// Flags that replace a whole list of the scenario by what they say together.
    fn lists(&self, changes: &mut Vec<Change>) -> Result<(), SimError> {
        let attack = |value: &String| {
            let (kind, part) = value.rsplit_once(':').unwrap_or_default();
            let part = number(part).ok_or_else(|| refused("byzantine", value, "ATTACK:PART, such as sign-flip:0.2"))?;
            Ok(format!("{{ kind = {}, fraction = {part:?} }}", toml::Value::from(kind)))
        };
        let split = |value: &String| {
            let parts = value.split_once('-').and_then(|(from, rest)| Some((from, rest.split_once(':')?)));
            let whole = |text: &str| text.parse::<u32>().ok();
            let read = parts.and_then(|(from, (until, groups))| Some((whole(from)?, whole(until)?, whole(groups)?)));
            let (from, until, groups) = read.ok_or_else(|| refused("split", value, "FROM-UNTIL:GROUPS, such as 30-100:2"))?;
            Ok(format!("{{ from_round = {from}, until_round = {until}, groups = {groups} }}"))
        };
        let mut list = |key: &str, items: Vec<String>| {
            if !items.is_empty() {
                changes.push((key.to_owned(), format!("[{}]", items.join(", "))));
            }
        };
        list("attack", self.byzantine.iter().map(attack).collect::<Result<_, SimError>>()?);
        list("split", self.split.iter().map(split).collect::<Result<_, SimError>>()?);
        Ok(())
    }
}

fn refused(flag: &'static str, value: &str, expected: &'static str) -> SimError {
    SimError::Flag { flag, value: value.chars().take(64).collect(), expected }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

fn numbers(flag: &'static str, text: &str) -> Result<Vec<f64>, SimError> {
    let numbers = text.split(',').map(number).collect::<Option<Vec<f64>>>();
    numbers.ok_or_else(|| refused(flag, text, "numbers with commas between them"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use shoal_sim::{Scenario, SplitSpec};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn scenario(line: &str) -> Result<Scenario, SimError> {
        let words = core::iter::once("sim").chain(line.split_whitespace());
        let changes = Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).settings.changes()?;
        Ok(Scenario::default().set_all(changes.iter().map(|(key, value)| (key, value)))?)
    }

    #[test]
    fn every_flag_sets_its_key() {
        let of = |line: &str| scenario(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let all =
            of("--nodes 200 --rounds 7 --seed 3 --partition iid --peers 12 --steps 4 --density 0.1 --churn 0.2 --replaced 0.05 \
             --loss 0.1 --latency 1,2 --jitter 3 --duplicate 0.01 --reorder 0.02 --up 5 --down 6,7 --nat cone:0.6,symmetric:0.1 \
             --slowness 1,2,4 --skew 50 --inline 0 --time-max 99 --every 5 --tail 2");
        assert_eq!((all.nodes, all.rounds, all.seed, all.partition.as_str()), (200, 7, 3, "iid"));
        let spec = all.spec().unwrap();
        assert_eq!((spec.round().peers, spec.round().steps, spec.codec().per_mille(0)), (12, 4, 100));
        assert_eq!((all.churn.offline, all.churn.replaced, all.link.loss, all.link.jitter_ms), (0.2, 0.05, 0.1, 3.0));
        assert_eq!((all.link.latency_ms, all.link.up_kbit, all.link.down_kbit), ([1.0, 2.0], [5.0, 5.0], [6.0, 7.0]));
        assert_eq!((all.link.duplicate, all.link.reorder, all.link.reorder_ms), (0.01, 0.02, 300.0));
        assert_eq!((all.nat.cone, all.nat.symmetric, all.device.skew_ms), (0.6, 0.1, 50));
        assert_eq!((all.device.slowness, all.inline_bytes_max, all.time_max_s), (vec![1.0, 2.0, 4.0], 0, 99));
        assert_eq!((all.evaluate.every, all.evaluate.tail), (5, 2));
        assert_eq!(of("--data quadratic --steps 2").data, "quadratic");
        assert_eq!(of("--reorder 0.1:20").link.reorder_ms, 20.0);
        assert_eq!(of("--nodes 8 --set nodes=9 --set name=mine").nodes, 9);
        let splits = of("--split 1-2:2 --split 5-6:3").split;
        assert_eq!(splits[1], SplitSpec { from_round: 5, until_round: 6, groups: 3 });
        let attacks = of("--byzantine sign-flip:10:0.1 --byzantine sign-flip:0.25").attack;
        assert_eq!((attacks[0].kind.as_str(), attacks[0].fraction), ("sign-flip:10", 0.1));
        assert_eq!((attacks[1].kind.as_str(), attacks[1].fraction), ("sign-flip", 0.25));
    }

    #[test]
    fn what_has_no_shape_is_refused() {
        let lines = [
            "--latency a",
            "--latency 1,2,3",
            "--density 2",
            "--density 0",
            "--nat full:1",
            "--split 3:2",
            "--split 5-4:2",
            "--byzantine sign-flip",
            "--byzantine curse:0.1",
            "--byzantine =:x",
            "--set nodes",
            "--set nods=3",
            "--nodes many",
            "--churn 2",
            "--slowness 1,,2",
        ];
        for line in lines {
            assert!(scenario(line).is_err(), "{line}");
        }
    }
}
