//! Scenarios as text: reading, writing, and changing one key by its dotted path.

use super::{PRESETS, Scenario, ScenarioError};

impl Scenario {
    /// Reads a scenario; what it leaves out is the default.
    ///
    /// # Errors
    /// [`ScenarioError`] names the key and says what would be right.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(syntax)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// A built-in scenario.
    ///
    /// # Errors
    /// [`ScenarioError::NoPreset`] with the names there are.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        let preset = PRESETS.iter().find(|preset| preset.0 == name);
        let (_, text) = preset.ok_or_else(|| ScenarioError::NoPreset(name.to_owned()))?;
        Self::parse(text)
    }

    /// The scenario as the text that [`Scenario::parse`] reads back.
    #[must_use]
    pub fn to_text(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| unreachable!("every field is TOML: {error}"))
    }

    /// The scenario with `key` (dotted: `churn.offline`) set to `value`, written as in TOML; a word
    /// that is no TOML is taken as a string, so that `partition=dirichlet:0.1` needs no quotes.
    ///
    /// # Errors
    /// [`ScenarioError`] if there is no such key, or the value does not fit it.
    pub fn set(&self, key: &str, value: &str) -> Result<Self, ScenarioError> {
        self.set_all([(key, value)])
    }

    /// The scenario with all these keys set, in whatever order: only the whole has to make sense.
    ///
    /// # Errors
    /// [`ScenarioError`] if there is no such key, or a value does not fit it or the others.
    pub fn set_all<K: AsRef<str>, V: AsRef<str>>(
        &self,
        changes: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ScenarioError> {
        let changed =
            changes.into_iter().try_fold(self.clone(), |scenario, (key, value)| scenario.put(key.as_ref(), value.as_ref()))?;
        changed.check()?;
        Ok(changed)
    }

    /// One key set, its bounds not looked at.
    fn put(&self, key: &str, value: &str) -> Result<Self, ScenarioError> {
        let value = match format!("v = {value}").parse::<toml::Table>() {
            Ok(mut table) => table.remove("v").unwrap_or_else(|| toml::Value::String(value.to_owned())),
            Err(_) => toml::Value::String(value.to_owned()),
        };
        let mut root = toml::Table::try_from(self).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        let mut table = &mut root;
        let mut names = key.split('.').collect::<Vec<_>>();
        let last = names.pop().unwrap_or_default();
        for name in names {
            let next = table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            table = next.as_table_mut().ok_or_else(|| ScenarioError::Syntax(format!("`{key}`: `{name}` is no section")))?;
        }
        // Whole numbers are written without a point where a float is meant: `--set churn.offline=1`.
        let value = match (table.get(last), value) {
            (Some(toml::Value::Float(_)), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
            (_, value) => value,
        };
        table.insert(last.to_owned(), value);
        root.try_into().map_err(|error: toml::de::Error| ScenarioError::Syntax(format!("`{key}`: {}", error.message())))
    }
}

fn syntax(error: toml::de::Error) -> ScenarioError {
    ScenarioError::Syntax(error.to_string().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_read_and_written() {
        for (name, text) in PRESETS {
            let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(&scenario.name, name);
            assert!(!scenario.about.is_empty(), "{name} says nothing about itself");
            assert_eq!(Scenario::parse(&scenario.to_text()), Ok(scenario), "{name}");
        }
    }

    #[test]
    fn keys_are_set_by_their_path() {
        let scenario = Scenario::default();
        let set = |key: &str, value: &str| scenario.set(key, value);
        assert_eq!(set("nodes", "200").unwrap().nodes, 200);
        assert_eq!(set("churn.offline", "0.2").unwrap().churn.offline, 0.2);
        assert_eq!(set("churn.offline", "0").unwrap().churn.offline, 0.0);
        assert_eq!(set("partition", "dirichlet:0.1").unwrap().partition, "dirichlet:0.1");
        assert_eq!(set("link.latency_ms", "[1, 2]").unwrap().link.latency_ms, [1.0, 2.0]);
        let run = set("run.round.peers", "12").unwrap();
        assert_eq!(run.spec().unwrap().round().peers, 12);
        for (key, value) in [("nods", "3"), ("churn.ofline", "0.2"), ("nodes", "many"), ("nodes", "0"), ("nodes.x", "1")] {
            assert!(set(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn keys_that_only_fit_together_may_come_in_any_order() {
        let scenario = Scenario::default();
        let (finest, start) = (("run.slice.finest", "128"), ("run.slice.start", "128"));
        let set = |changes: [(&str, &str); 2]| scenario.set_all(changes).map(|scenario| scenario.spec().unwrap().slice().clone());
        assert!(scenario.set(start.0, start.1).is_err(), "slices cannot start finer than the finest");
        assert_eq!(set([finest, start]).unwrap(), set([start, finest]).unwrap());
    }
}
