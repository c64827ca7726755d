//! The run spec of a scenario: its `run` table over the defaults of its data.

use shoal_ml::Source;
use shoal_protocol::spec::RunSpec;

use super::{Scenario, ScenarioError};

/// ALGORITHM's first table: MLP 64-64-10, 5 steps of batch 16 a round, 4,810 parameters.
const DIGITS: &str = r#"
[round]
steps = 5
[task]
kind = "classify"
inputs = [8, 8]
classes = 10
batch = 16
model = { kind = "mlp", hidden = [64] }
optimizer = { kind = "sgd", rate = 0.2 }
"#;

/// MNIST and its kin: MLP 784-32-10, 5 steps of batch 16 a round, 25,450 parameters.
const IDX: &str = r#"
[round]
steps = 5
[task]
kind = "classify"
inputs = [28, 28]
classes = 10
batch = 16
model = { kind = "mlp", hidden = [32] }
optimizer = { kind = "sgd", rate = 0.1 }
"#;

/// A closed form in 512 dimensions: see `learner::quadratic`.
const QUADRATIC: &str = r#"
[round]
steps = 5
[codec]
chunk = 256
density = [[0, 100]]
[mix]
momentum = 0.0
[task]
kind = "quadratic"
"#;

/// A transformer of 31,616 parameters on the characters of Hamlet: ALGORITHM's second table. The codec
/// and the slice are its choice for small language models.
const HAMLET: &str = r#"
[round]
steps = 10
peers = 64
[codec]
density = [[0, 100]]
step_ahead = 1.0
[slice]
start = 32
coarsest = 4
finest = 32
[task]
kind = "language"
context = 32
batch = 16
model = { kind = "gpt", layers = 2, width = 32, heads = 4, hidden = 166 }
optimizer = { kind = "adamw", rate = 0.003, beta2 = 0.99 }
"#;

impl Scenario {
    /// Where the examples come from; `None` for the quadratic, which has none.
    pub(crate) fn source(&self) -> Result<Option<Source>, ScenarioError> {
        if self.data == "quadratic" {
            return Ok(None);
        }
        let expected = "digits, idx:FOLDER, hamlet or quadratic";
        let refused = |_| ScenarioError::Bound { key: "data", value: self.data.clone(), expected };
        self.data.parse().map(Some).map_err(refused)
    }

    /// Whether an attack trains on data that it has changed.
    pub(crate) fn poisons_data(&self) -> bool {
        self.liars().iter().flatten().any(|attack| attack.flips_labels() || attack.plants_trigger())
    }

    /// The run that is simulated.
    ///
    /// # Errors
    /// [`ScenarioError`] if `run` does not make a spec with the defaults of `data`.
    pub fn spec(&self) -> Result<RunSpec, ScenarioError> {
        let source = self.source()?;
        let defaults = match &source {
            None => QUADRATIC,
            Some(Source::Digits) => DIGITS,
            Some(Source::Idx(_)) => IDX,
            Some(Source::Hamlet) => HAMLET,
            // Other data has no defaults that would fit it: the scenario's `run.task` says all that matters.
            Some(_) => IDX,
        };
        let mut table: toml::Table = defaults.parse().unwrap_or_else(|error| unreachable!("a constant: {error}"));
        // The vocabulary is the data's own; a scenario can still say another.
        if let Some(toml::Value::Table(task)) = table.get_mut("task").filter(|_| source == Some(Source::Hamlet)) {
            task.insert("vocabulary".to_owned(), shoal_ml::data::hamlet::CHARACTERS.into());
        }
        // TOML's integers have a sign; any of them names a run.
        let seed = i64::try_from(self.seed & (u64::MAX >> 1)).unwrap_or(i64::MAX);
        for (key, value) in [("version", 1.into()), ("name", toml::Value::from("sim")), ("seed", seed.into())] {
            table.insert(key.to_owned(), value);
        }
        lay_over(&mut table, &self.run);
        Ok(RunSpec::parse(&table.to_string())?)
    }
}

/// Tables are merged key by key; but a table with a `kind` of its own replaces the one below it.
fn lay_over(below: &mut toml::Table, above: &toml::Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if !above.contains_key("kind") => lay_over(below, above),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_what_is_special_and_the_data_the_rest() {
        let scenario =
            Scenario { run: "[round]\npeers = 12\n[codec]\ndensity = [[0, 100]]".parse().unwrap(), ..Scenario::default() };
        let spec = scenario.spec().unwrap();
        assert_eq!((spec.round().peers, spec.round().steps, spec.codec().per_mille(3)), (12, 5, 100));
        assert_eq!(spec.seed(), scenario.seed);
        let model = "[task.model]\nkind = \"mlp\"\nhidden = [8]".parse().unwrap();
        assert!(Scenario { run: model, ..Scenario::default() }.spec().unwrap().task().contains_key("inputs"));
        assert!(Scenario { data: "dice".into(), ..Scenario::default() }.spec().is_err());
        assert!(Scenario { seed: u64::MAX, ..Scenario::default() }.spec().is_ok());
    }
}
