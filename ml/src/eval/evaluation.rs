//! All figures of an evaluation: per class and confusions, or perplexity and bits.
//!
//! Sums are in f64 over logits as the device gives them; ties count for the first class, as in
//! [`super::evaluate`].

use std::fmt;

use super::{EvalError, Metrics};
use crate::data::{Batch, Dataset};
use crate::device::Device;
use crate::flat;
use crate::task::Task;

/// The right answer is counted as found if it is among so many of the likeliest, the usual number.
const TOP: usize = 5;
/// Most classes of which confusions are kept: their square is (a guess at what anybody reads).
const CONFUSIONS_MAX: usize = 256;

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The same as [`super::evaluate`] finds.
    pub metrics: Metrics,
    /// Share of answers among the five likeliest; `None` where there are five classes or fewer.
    pub top_5: Option<f64>,
    /// Of labelled examples, class by class.
    pub classes: Vec<ClassScore>,
    /// `confusions[is][said]`, how often; empty of a text and of more than 256 classes.
    pub confusions: Vec<Vec<u64>>,
    /// Of a text.
    pub text: Option<TextScore>,
}

/// How well one class is told from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassScore {
    /// Examples that are of it.
    pub is: u64,
    /// Examples that are said to be of it.
    pub said: u64,
    /// Examples of which both are true.
    pub right: u64,
}

/// How well a text is foreseen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextScore {
    /// Tokens foreseen.
    pub tokens: u64,
    /// Characters that they are.
    pub characters: u64,
    /// The number of equally likely tokens that would be as hard to foresee.
    pub perplexity: f64,
    /// Cross-entropy per character, bits.
    pub bits_per_character: f64,
}

impl ClassScore {
    /// Share of what is said to be of the class that is; `None` if nothing is said to be.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        (self.said > 0).then(|| self.right as f64 / self.said as f64)
    }

    /// Share of what is of the class that is said to be; `None` if nothing is.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        (self.is > 0).then(|| self.right as f64 / self.is as f64)
    }

    /// The harmonic mean of both: 0 where a class is never right, `None` where it does not occur at all.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        (self.is + self.said > 0).then(|| 2.0 * self.right as f64 / (self.is + self.said) as f64)
    }
}

/// What is counted, answer by answer.
struct Count {
    right: u64,
    top: u64,
    loss: f64,
    answers: u64,
    classes: Vec<ClassScore>,
    confusions: Vec<Vec<u64>>,
}

impl Count {
    fn new(classes: usize, text: bool) -> Self {
        let (scores, confusions) = match (text, classes > CONFUSIONS_MAX) {
            (true, _) => (0, 0),
            (false, true) => (classes, 0),
            (false, false) => (classes, classes),
        };
        let confusions = vec![vec![0; confusions]; confusions];
        Self { right: 0, top: 0, loss: 0.0, answers: 0, classes: vec![ClassScore::default(); scores], confusions }
    }

    /// One answer: logits, and the class that is right.
    fn add(&mut self, logits: &[f32], is: usize) {
        let said = logits.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
        let most = f64::from(logits[said]);
        let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
        let own = f64::from(logits[is]);
        self.loss += total.ln() + most - own;
        self.answers += 1;
        self.right += u64::from(said == is);
        let before = |(class, &logit): (usize, &f32)| logit > logits[is] || (logit == logits[is] && class < is);
        self.top += u64::from(logits.iter().enumerate().filter(|&rival| before(rival)).count() < TOP);
        if let Some(row) = self.confusions.get_mut(is) {
            row[said] += 1;
        }
        if !self.classes.is_empty() {
            self.classes[is].is += 1;
            self.classes[said].said += 1;
            self.classes[is].right += u64::from(said == is);
        }
    }
}

impl Evaluation {
    /// Evaluates weights on all of `data`, slower than [`super::evaluate`].
    ///
    /// # Errors
    /// [`EvalError`] if weights or data do not fit the task, or the device fails.
    pub fn of(task: &Task, weights: &[f32], data: &Dataset, device: Device) -> Result<Self, EvalError> {
        data.check(task)?;
        flat::check(task.layout(), weights)?;
        let device = device.open();
        let parameters = flat::to_tensors(task.layout(), weights, &device);
        let mut count = Count::new(task.classes(), task.vocabulary().is_some());
        let mut characters = 0_u64;
        for start in (0..data.len()).step_by(task.evaluation_batch()) {
            let end = data.len().min(start + task.evaluation_batch());
            let Batch { inputs, answers } = data.batch(start..end, &device)?;
            let logits = task.model().forward(&parameters, inputs);
            let logits = logits.try_to_vec_as::<f32>().map_err(|_| EvalError::Device)?;
            let answers = answers.try_to_vec_as::<i64>().map_err(|_| EvalError::Device)?;
            let answers: Vec<u32> = answers.into_iter().map(|answer| u32::try_from(answer).unwrap_or(0)).collect();
            for (logits, &answer) in logits.chunks_exact(task.classes()).zip(&answers) {
                count.add(logits, answer as usize);
            }
            if let Some(vocabulary) = task.vocabulary() {
                characters += vocabulary.decode(&answers).chars().count() as u64;
            }
        }
        let answers = count.answers as f64;
        let text = task.vocabulary().map(|_| TextScore {
            tokens: count.answers,
            characters,
            perplexity: (count.loss / answers).exp(),
            bits_per_character: count.loss / std::f64::consts::LN_2 / characters as f64,
        });
        let metrics = Metrics { accuracy: count.right as f64 / answers, loss: count.loss / answers, examples: data.len() };
        let top_5 = (task.classes() > TOP).then(|| count.top as f64 / answers);
        Ok(Self { metrics, top_5, classes: count.classes, confusions: count.confusions, text })
    }

    /// The mean of the classes' F1, each counted alike, over those that occur.
    #[must_use]
    pub fn macro_f1(&self) -> Option<f64> {
        let f1: Vec<f64> = self.classes.iter().filter_map(ClassScore::f1).collect();
        (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64)
    }

    /// The figures by the names that others know them by, for a model card.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        let Metrics { accuracy, loss, .. } = self.metrics;
        let mut named = vec![("accuracy", accuracy), ("loss", loss)];
        named.extend(self.top_5.map(|share| ("top_5_accuracy", share)));
        named.extend(self.macro_f1().map(|f1| ("f1", f1)));
        let text = self.text.iter();
        named.extend(text.flat_map(|text| [("perplexity", text.perplexity), ("bits_per_character", text.bits_per_character)]));
        named
    }
}

/// Classes whose rows a table shows; the rest is in the value itself.
const ROWS_MAX: usize = 40;
/// Classes whose confusions fit a terminal.
const COLUMNS_MAX: usize = 20;

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "examples            {}", self.metrics.examples)?;
        for (name, value) in self.named() {
            writeln!(f, "{name:<20}{value:.4}")?;
        }
        if !self.classes.is_empty() {
            writeln!(f, "\nclass  examples  precision  recall      f1")?;
            let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"));
            for (class, score) in self.classes.iter().enumerate().take(ROWS_MAX) {
                let [precision, recall, f1] = [score.precision(), score.recall(), score.f1()].map(share);
                writeln!(f, "{class:>5}  {:>8}  {precision:>9}  {recall:>6}  {f1:>6}", score.is)?;
            }
            if self.classes.len() > ROWS_MAX {
                writeln!(f, "and {} classes more", self.classes.len() - ROWS_MAX)?;
            }
        }
        if (1..=COLUMNS_MAX).contains(&self.confusions.len()) {
            write!(f, "\n is\\said")?;
            (0..self.confusions.len()).try_for_each(|said| write!(f, "{said:>6}"))?;
            for (is, row) in self.confusions.iter().enumerate() {
                write!(f, "\n{is:>8}")?;
                row.iter().try_for_each(|count| write!(f, "{count:>6}"))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Passage, Vocabulary};
    use crate::{Source, evaluate};

    fn task(text: &str) -> Task {
        Task::parse(&format!("{text}\nbatch = 1\noptimizer = {{ kind = 'sgd', rate = 1 }}").parse().expect("a table"))
            .expect("a task")
    }

    #[test]
    fn a_table_by_hand() {
        let task = task("kind = 'classify'\ninputs = [2]\nclasses = 3\nmodel = { kind = 'mlp', hidden = [] }");
        // Logits of (x, y): (x, y, 0).
        let weights = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let inputs = vec![2.0, 0.0, 3.0, 1.0, 0.0, 2.0, -1.0, -1.0, 1.0, 0.0];
        let data = Dataset::new(inputs, vec![0, 1, 1, 2, 2], &[2], 3).expect("a data set");
        let found = Evaluation::of(&task, &weights, &data, Device::Cpu).expect("evaluated");
        assert_eq!(found.confusions, [[1, 0, 0], [1, 1, 0], [1, 0, 1]]);
        let score = |is, said, right| ClassScore { is, said, right };
        assert_eq!(found.classes, [score(1, 3, 1), score(2, 1, 1), score(2, 1, 1)]);
        assert_eq!((found.classes[0].precision(), found.classes[0].recall()), (Some(1.0 / 3.0), Some(1.0)));
        assert_eq!((found.classes[0].f1(), found.classes[1].f1()), (Some(0.5), Some(2.0 / 3.0)));
        assert!((found.macro_f1().expect("classes") - (0.5 + 2.0 / 3.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!((found.top_5, found.text), (None, None));
        let quick = evaluate(&task, &weights, &data, Device::Cpu).expect("evaluated");
        assert_eq!(found.metrics.accuracy, quick.accuracy);
        assert!((found.metrics.loss - quick.loss).abs() < 1e-6);
        let text = found.to_string();
        assert!(text.contains("accuracy            0.6000") && text.contains("\n       1     1     1     0"), "{text}");
        assert_eq!(ClassScore::default().f1(), None);
    }

    #[test]
    fn untrained_weights_find_what_chance_finds() {
        let task = task("kind = 'classify'\ninputs = [8, 8]\nclasses = 10\nmodel = { kind = 'mlp', hidden = [] }");
        let split = Source::Digits.load(&task, 1).expect("digits");
        let zeros = vec![0.0; task.layout().param_count()];
        let found = Evaluation::of(&task, &zeros, &split.test, Device::Cpu).expect("evaluated");
        // All classes tie, so the first is said and the first five are the top.
        let first = split.test.class_counts();
        let share = first[..5].iter().sum::<usize>() as f64 / 360.0;
        assert_eq!((found.classes[0].said, found.top_5), (360, Some(share)));
        assert!((found.metrics.loss - 10_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn of_a_text_there_are_perplexity_and_bits() {
        let task = task(
            "kind = 'language'\ncontext = 3\nvocabulary = 'abcd'\nmodel = { kind = 'gpt', layers = 1, width = 2, heads = 1 }",
        );
        let passages = [Passage { speaker: 0, text: "abcdabcdab" }];
        let data = Dataset::text(&passages, &Vocabulary::new("abcd").expect("a vocabulary"), 3).expect("a text");
        let zeros = vec![0.0; task.layout().param_count()];
        let found = Evaluation::of(&task, &zeros, &data, Device::Cpu).expect("evaluated");
        let text = found.text.expect("a text's score");
        assert_eq!((text.tokens, text.characters), (9, 9));
        assert!((text.perplexity - 4.0).abs() < 1e-9 && (text.bits_per_character - 2.0).abs() < 1e-9, "{text:?}");
        assert!(found.classes.is_empty() && found.to_string().contains("perplexity          4.0000"));
        let named: Vec<_> = found.named().into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, ["accuracy", "loss", "perplexity", "bits_per_character"]);
    }
}
