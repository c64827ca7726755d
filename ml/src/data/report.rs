//! What a look at data found, as fields and as text.

use std::fmt;

/// Most classes that are listed.
const CLASSES_SHOWN: usize = 20;

/// What a look at data found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The data, with the format that was found.
    pub source: String,
    /// Whether it is text.
    pub text: bool,
    /// The shape of an example; of a text the tokens in a window.
    pub shape: Vec<usize>,
    /// Examples to train on.
    pub train: usize,
    /// Examples held out.
    pub test: usize,
    /// Characters of a text.
    pub characters: u64,
    /// Examples of each class; none of a text.
    pub classes: Vec<ClassCount>,
    /// A few examples, each to be shown as it is.
    pub samples: Vec<String>,
    /// What may go wrong, a sentence each.
    pub hints: Vec<String>,
    /// Kinds of models that take such examples, as a task names them.
    pub models: Vec<&'static str>,
}

/// How often a class occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// To train on.
    pub train: usize,
    /// Held out.
    pub test: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data      {}", self.source)?;
        if self.text {
            writeln!(
                f,
                "text      {} characters, read {} tokens at a time",
                self.characters,
                self.shape.iter().product::<usize>()
            )?;
        } else {
            writeln!(f, "shape     {:?}", self.shape)?;
        }
        writeln!(f, "examples  {} to train on, {} held out", self.train, self.test)?;
        writeln!(f, "models    {}", self.models.join(", "))?;
        if !self.classes.is_empty() {
            let width = self.classes.iter().take(CLASSES_SHOWN).map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
            writeln!(f, "\n{:width$}  {:>8}  {:>8}", "class", "train", "held out")?;
            for class in self.classes.iter().take(CLASSES_SHOWN) {
                writeln!(f, "{:width$}  {:>8}  {:>8}", class.name, class.train, class.test)?;
            }
            if self.classes.len() > CLASSES_SHOWN {
                writeln!(f, "... and {} more", self.classes.len() - CLASSES_SHOWN)?;
            }
        }
        for sample in &self.samples {
            write!(f, "\n{}", sample.trim_end_matches('\n'))?;
        }
        writeln!(f)?;
        if !self.hints.is_empty() {
            writeln!(f)?;
        }
        for hint in &self.hints {
            writeln!(f, "note: {hint}")?;
        }
        Ok(())
    }
}
