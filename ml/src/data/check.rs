//! A look at data before it is trained on: what it is, what is in it, what may go wrong with it.
//!
//! Nothing is sent and nothing is changed; samples are shown to whoever runs this, on their own machine.
//! With a task the data is loaded as training would load it; without one, as the task that its own schema
//! would make.

use std::collections::BTreeSet;

use super::report::{ClassCount, Report};
use super::source::{Format, Source};
use super::{DataError, Dataset, Legend, Schema, Split, Vocabulary, hamlet, text};
use crate::task::Task;

/// Samples that are shown.
const SAMPLES: usize = 3;
/// Most numbers of a row, and most characters of a text, that are shown.
const NUMBERS_SHOWN: usize = 12;
const CHARACTERS_SHOWN: usize = 300;
/// Widest picture in characters; wider ones are shown coarsely.
const PICTURE_MAX: usize = 56;
/// From dark to bright.
const SHADES: [char; 6] = [' ', '.', ':', 'o', '#', '@'];
/// A class that has so much more than another is told (a guess: below it, training copes).
const IMBALANCE: usize = 10;
/// Fewer examples than so many batches are told (a guess).
const BATCHES_MIN: usize = 4;
/// Most examples that are compared for doubles: more take longer than one waits (a guess).
const COMPARED_MAX: usize = 1 << 20;

/// Looks at data, with the task of a run or without.
///
/// # Errors
/// [`DataError`] if it cannot be read or does not fit the task: then nothing else is worth saying.
pub fn check(source: &Source, task: Option<&Task>) -> Result<Report, DataError> {
    let source = &source.resolved()?;
    let made;
    let (task, given) = match task {
        Some(task) => (task, true),
        None => {
            made = probe(&source.schema()?)?;
            (&made, false)
        }
    };
    let split = source.load(task, 0)?;
    let labels = task.legend().labels();
    let mut report = Report { source: source.to_string(), shape: split.train.shape().to_vec(), ..Report::default() };
    (report.train, report.test) = (split.train.len(), split.test.len());
    if let Some(vocabulary) = task.vocabulary() {
        report.text = true;
        look_at_text(source, vocabulary, &split, &mut report)?;
    } else {
        let (train, test) = (split.train.class_counts(), split.test.class_counts());
        let name = |i: usize| labels.get(i).cloned().unwrap_or_else(|| i.to_string());
        let count = |(i, (&train, &test)): (usize, (&usize, &usize))| ClassCount { name: name(i), train, test };
        report.classes = train.iter().zip(&test).enumerate().map(count).collect();
        report.samples = samples(&split.train, &report.classes);
        look_at_classes(&mut report);
        look_at_columns(&split.train, task.legend(), &mut report);
        look_for_doubles(&split, &mut report);
    }
    if given && split.train.len() < BATCHES_MIN * task.batch() {
        let (examples, batch) = (split.train.len(), task.batch());
        report.hints.push(format!("{examples} examples to train on are few for batches of {batch}"));
    }
    report.models = models(&report);
    Ok(report)
}

impl Source {
    /// Itself, or what lies at its path.
    fn resolved(&self) -> Result<Self, DataError> {
        if let Self::Path(place) = self { place.found() } else { Ok(self.clone()) }
    }
}

/// The least task that takes data of this schema.
fn probe(schema: &Schema) -> Result<Task, DataError> {
    let text = match schema {
        Schema::Labelled { shape, classes, legend, .. } => format!(
            "kind = \"classify\"\ninputs = {shape:?}\nclasses = {classes}\nbatch = 1\n{}model = {{ kind = \"mlp\", hidden = [1] }}\n",
            legend.to_toml()
        ),
        Schema::Text { characters, .. } => format!(
            "kind = \"language\"\ncontext = 64\nbatch = 1\nvocabulary = {}\nmodel = {{ kind = \"gpt\", layers = 1, width = 4, heads = 1 }}\n",
            toml::Value::from(characters.as_str())
        ),
    };
    let text = format!("{text}optimizer = {{ kind = \"sgd\", rate = 0.1 }}\n");
    let table = text.parse().map_err(|_| DataError::Unfit("its names cannot be written into a spec".to_owned()))?;
    Task::parse(&table).map_err(|error| DataError::Unfit(error.to_string()))
}

/// A few examples as one can look at them.
fn samples(data: &Dataset, classes: &[ClassCount]) -> Vec<String> {
    // One of each class first, then whatever stands at the beginning.
    let mut seen = BTreeSet::new();
    let firsts = data.labels().iter().enumerate().filter(|(_, label)| seen.insert(**label)).map(|(index, _)| index);
    firsts
        .take(SAMPLES)
        .filter_map(|index| {
            let input = data.input(index)?;
            let name = classes.get(data.labels()[index] as usize).map_or("", |class| &class.name);
            Some(format!("{name}:\n{}", drawn(&input, data.shape())))
        })
        .collect()
}

/// An image or a spectrogram as characters, anything else as numbers.
fn drawn(input: &[f32], shape: &[usize]) -> String {
    match *shape {
        [rows, columns] | [1, rows, columns] | [3, rows, columns] if rows > 3 && columns > 3 => picture(input, rows, columns),
        _ => {
            let more = if input.len() > NUMBERS_SHOWN { " ..." } else { "" };
            let numbers: Vec<String> = input.iter().take(NUMBERS_SHOWN).map(|number| format!("{number:.3}")).collect();
            format!("  {}{more}\n", numbers.join(" "))
        }
    }
}

fn picture(input: &[f32], rows: usize, columns: usize) -> String {
    // A character is twice as high as it is wide, so every pixel is drawn two wide where there is room.
    let coarse = columns.div_ceil(PICTURE_MAX).max(rows.div_ceil(PICTURE_MAX)).max(1);
    let wide = if columns.div_ceil(coarse) * 2 <= PICTURE_MAX { 2 } else { 1 };
    let pixels = &input[..rows * columns];
    let (least, most) = pixels.iter().fold((f32::MAX, f32::MIN), |(least, most), &pixel| (least.min(pixel), most.max(pixel)));
    let shade = |pixel: f32| {
        SHADES[(((pixel - least) / (most - least).max(f32::MIN_POSITIVE)) * (SHADES.len() - 1) as f32).round() as usize]
    };
    let mut text = String::new();
    for row in (0..rows).step_by(coarse) {
        text += "  ";
        for column in (0..columns).step_by(coarse) {
            text.extend(std::iter::repeat_n(shade(pixels[row * columns + column]), wide));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn look_at_classes(report: &mut Report) {
    let absent: Vec<&str> = report.classes.iter().filter(|class| class.train == 0).map(|class| class.name.as_str()).collect();
    if !absent.is_empty() {
        let hint = format!("nothing to train on of {}: fine if other nodes have it", few(&absent));
        report.hints.push(hint);
    }
    let unseen: Vec<&str> =
        report.classes.iter().filter(|class| class.test == 0 && class.train > 0).map(|class| class.name.as_str()).collect();
    if !unseen.is_empty() {
        let hint = format!("nothing is held out of {}: the accuracy says nothing about it", few(&unseen));
        report.hints.push(hint);
    }
    let there = || report.classes.iter().filter(|class| class.train > 0);
    let most = there().max_by_key(|class| class.train).map(|class| (class.name.clone(), class.train));
    let least = there().min_by_key(|class| class.train).map(|class| (class.name.clone(), class.train));
    if let (Some((many, most)), Some((rare, least))) = (most, least)
        && most >= IMBALANCE * least
    {
        let share = 100.0 * most as f64 / report.train as f64;
        report.hints.push(format!(
            "{many} has {most} examples and {rare} has {least}: who always answers {many} is right in {share:.0} of 100"
        ));
    }
}

/// Numbers that are the same in all examples say nothing.
fn look_at_columns(data: &Dataset, legend: &Legend, report: &mut Report) {
    let Some(first) = data.input(0) else { return };
    let mut constant = vec![true; first.len()];
    for input in (1..data.len()).filter_map(|index| data.input(index)) {
        constant.iter_mut().zip(first.iter().zip(&input)).for_each(|(constant, (first, number))| *constant &= first == number);
    }
    let count = constant.iter().filter(|&&constant| constant).count();
    if count == 0 || data.len() < 2 {
        return;
    }
    let mut at = 0;
    let mut names = Vec::new();
    for column in legend.columns() {
        let width = column.width();
        if data.shape().len() == 1 && constant[at..at + width].iter().all(|&constant| constant) {
            names.push(column.name.as_str());
        }
        at += if data.shape().len() == 1 { width } else { 0 };
    }
    let numbers = constant.len();
    if !names.is_empty() {
        report.hints.push(format!("the same in every row: {}", few(&names)));
    } else if legend.columns().is_empty() {
        report.hints.push(format!("{count} of the {numbers} numbers of an example are the same in all"));
    }
}

/// Examples that are on both sides make a test easier than it is.
fn look_for_doubles(split: &Split, report: &mut Report) {
    if split.train.len() + split.test.len() > COMPARED_MAX {
        return;
    }
    let hash = |data: &Dataset, index| {
        let bytes: Vec<u8> = data.input(index).unwrap_or_default().iter().flat_map(|number| number.to_le_bytes()).collect();
        *blake3::hash(&bytes).as_bytes()
    };
    let trained: BTreeSet<[u8; 32]> = (0..split.train.len()).map(|index| hash(&split.train, index)).collect();
    let doubles = (0..split.test.len()).filter(|&index| trained.contains(&hash(&split.test, index))).count();
    let repeated = split.train.len() - trained.len();
    if doubles > 0 {
        report.hints.push(format!("{doubles} of the {} examples held out are trained on too", split.test.len()));
    }
    if repeated > 0 {
        report.hints.push(format!("{repeated} of the {} examples to train on are doubles of others", split.train.len()));
    }
}

/// The beginning of the text, and what the vocabulary does not have.
fn look_at_text(source: &Source, vocabulary: &Vocabulary, split: &Split, report: &mut Report) -> Result<(), DataError> {
    let (mut unknown, mut strangers, mut all) = (0_u64, BTreeSet::new(), 0_u64);
    let mut begin = String::new();
    let mut each = |text: &str| {
        let room = CHARACTERS_SHOWN.saturating_sub(begin.chars().count());
        begin.extend(text.chars().take(room));
        all += text.chars().count() as u64;
        if vocabulary.are_characters() {
            for character in text.chars().filter(|&character| !vocabulary.knows(character)) {
                unknown += 1;
                if strangers.len() < 20 {
                    strangers.insert(character);
                }
            }
        }
    };
    match source {
        Source::Files(Format::Text, place) => drop(text::read(place, &mut |_, text| each(text))?),
        _ => each(&hamlet::load()?),
    }
    report.characters = all;
    report.samples = begin.lines().take(6).map(str::to_owned).collect();
    if unknown > 0 {
        let shown: String = strangers.iter().collect();
        report
            .hints
            .push(format!("{unknown} of {all} characters are not in the vocabulary and are read as its first: {shown:?}"));
    }
    if split.train.classes() > 1 {
        report.hints.push(format!("{} files or speakers, which `partition = \"natural\"` can divide by", split.train.classes()));
    }
    Ok(())
}

/// The kinds of models that take such examples.
fn models(report: &Report) -> Vec<&'static str> {
    match report.shape[..] {
        _ if report.text => vec!["gpt"],
        [_, rows, columns] | [rows, columns] if rows > 3 && columns > 3 => vec!["cnn", "mlp"],
        _ => vec!["mlp"],
    }
}

fn few(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests;
