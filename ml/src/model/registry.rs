//! Which kinds of model this program knows.
//!
//! One list for the process. It can be added to until the first task is read and never after: a
//! spec means the same for the whole life of a process. A name is taken once. Kinds are told in
//! the order in which they came, this crate's first.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Cnn, Gpt, Lora, Mlp, Model};
use crate::section::Section;
use crate::task::TaskError;

/// Longest name of a kind, bytes (a guess).
const NAME_BYTES_MAX: usize = 64;

/// What a model's inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Numbers of a labelled example, with one answer for each: for tasks of kind `classify`.
    Numbers,
    /// Tokens of a text, as numbers, with an answer for each of them: for tasks of kind `language`.
    Tokens,
    /// Whatever the task has: a kind that is made of another.
    Either,
}

/// Reads a `model` table, for a task that has numbers or tokens.
pub type ParseModel = fn(&Section<'_>, Reads) -> Result<Arc<dyn Model>, TaskError>;

/// A kind of model.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Which tasks it can stand in.
    pub reads: Reads,
    /// Reads the `model` table of a spec. Its values are a stranger's: every one must be bounded
    /// here, and every key that means nothing refused ([`Section::only`], with `kind` among those
    /// that are known). The second argument is what the task at hand has, never [`Reads::Either`].
    pub parse: ParseModel,
}

/// A kind that cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Nothing, too much, or not to be quoted in a sentence.
    #[error("a kind of model has a name of 1 to 64 lower-case letters, digits, `-` and `_`")]
    Name,
    /// There is one already.
    #[error("there is a kind of model named \"{0}\" already")]
    Taken(String),
    /// A task has been read.
    #[error("the kind of model \"{0}\" must be registered before the first task is read")]
    TooLate(String),
}

struct Registry {
    kinds: Vec<(String, Kind)>,
    /// A task has been read: nothing more is taken.
    sealed: bool,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Makes a kind of model known to this process under a name of its own.
///
/// # Errors
/// [`RegisterError`] if the name is none, is taken, or a task has been read already.
pub fn register(name: &str, kind: Kind) -> Result<(), RegisterError> {
    lock(|registry| registry.register(name, kind))
}

/// Reads a `model` table with the kind that it names. From here on nothing can be registered.
pub(super) fn parse(section: &Section<'_>, reads: Reads) -> Result<Arc<dyn Model>, TaskError> {
    let kind = lock(|registry| {
        registry.sealed = true;
        registry.find(section, reads)
    })?;
    // Not under the lock: a kind made of another comes back here.
    (kind.parse)(section, reads)
}

fn lock<T>(with: impl FnOnce(&mut Registry) -> T) -> T {
    // A panic under this lock leaves the list as it was before or after one push.
    let mut registry: MutexGuard<'_, Option<Registry>> = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    with(registry.get_or_insert_with(Registry::new))
}

impl Registry {
    /// The kinds of this crate.
    fn new() -> Self {
        let kinds = [("mlp", Mlp::kind()), ("cnn", Cnn::kind()), ("gpt", Gpt::kind()), ("lora", Lora::kind())];
        Self { kinds: kinds.map(|(name, kind)| (name.to_owned(), kind)).into(), sealed: false }
    }

    fn register(&mut self, name: &str, kind: Kind) -> Result<(), RegisterError> {
        let spelled = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(spelled) {
            return Err(RegisterError::Name);
        }
        if self.kinds.iter().any(|(taken, _)| taken == name) {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        if self.sealed {
            return Err(RegisterError::TooLate(name.to_owned()));
        }
        self.kinds.push((name.to_owned(), kind));
        Ok(())
    }

    fn find(&self, section: &Section<'_>, reads: Reads) -> Result<Kind, TaskError> {
        let fitting: Vec<&(String, Kind)> = self.kinds.iter().filter(|(_, kind)| kind.fits(reads)).collect();
        let names: Vec<String> = fitting.iter().map(|(name, _)| format!("{name:?}")).collect();
        let expected = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        let wanted = section.text("kind", &expected)?;
        let kind = fitting.iter().find(|(name, _)| name == wanted);
        kind.map(|(_, kind)| *kind).ok_or_else(|| section.wrong("kind", format!("{wanted:?}"), &expected))
    }
}

impl Kind {
    fn fits(&self, reads: Reads) -> bool {
        self.reads == reads || self.reads == Reads::Either
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("reads", &self.reads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_and_in_time() {
        let mut registry = Registry::new();
        let mut register = |name: &str| registry.register(name, Mlp::kind()).map_err(|error| error.to_string());
        assert_eq!(register("own-2"), Ok(()));
        assert_eq!(register("own-2"), Err("there is a kind of model named \"own-2\" already".to_owned()));
        assert_eq!(register("mlp"), Err("there is a kind of model named \"mlp\" already".to_owned()));
        for name in ["", "Own", "a b", "\"", &"x".repeat(65)] {
            assert_eq!(register(name), Err(RegisterError::Name.to_string()), "{name}");
        }
        registry.sealed = true;
        let late = registry.register("other", Mlp::kind()).expect_err("refused").to_string();
        assert_eq!(late, "the kind of model \"other\" must be registered before the first task is read");
    }

    #[test]
    fn an_unknown_kind_is_told_those_that_fit_the_task() {
        let mut registry = Registry { kinds: Vec::new(), sealed: false };
        let kind = |reads| Kind { reads, ..Mlp::kind() };
        registry.register("a", kind(Reads::Numbers)).expect("registered");
        let table = "kind = \"x\"".parse().expect("a table");
        let told = |registry: &Registry, reads| {
            registry.find(&Section::new("task.model", &table), reads).expect_err("unknown").to_string()
        };
        assert_eq!(told(&registry, Reads::Numbers), "`task.model.kind` is \"x\", but must be \"a\"");
        registry.register("b", kind(Reads::Either)).expect("registered");
        registry.register("c", kind(Reads::Tokens)).expect("registered");
        registry.register("d", kind(Reads::Numbers)).expect("registered");
        assert_eq!(told(&registry, Reads::Numbers), "`task.model.kind` is \"x\", but must be \"a\", \"b\" or \"d\"");
        assert_eq!(told(&registry, Reads::Tokens), "`task.model.kind` is \"x\", but must be \"b\" or \"c\"");
    }
}
