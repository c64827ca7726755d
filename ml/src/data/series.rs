//! Time series in the `.ts` format of sktime and aeon: multivariate, of equal length, with a class each.
//!
//! ```text
//! @classLabel true walking running
//! @data
//! 0.1,0.2,0.3:1.0,1.1,1.2:walking        one series of two channels and three steps
//! ```
//! An example is `[channels, steps]`. Channels are scaled as the task's `columns` say, one column for each
//! channel; without them numbers stay as they are. `X_TRAIN.ts` finds `X_TEST.ts` beside it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::examples::Examples;
use super::held_out;
use super::legend::{Column, ColumnKind, Labels, Legend, NAME_MAX, listed};
use super::moments::Moments;
use super::place::Place;
use super::schema::Schema;
use super::{DataError, Split};
use crate::task::Task;

/// What a place of series may say.
pub(super) const SETTINGS: [&str; 1] = ["test"];
/// Longest line, bytes: a series of four million steps (a guess).
const LINE_BYTES_MAX: u64 = 64 << 20;

/// One line of the data.
struct Series<'a> {
    channels: Vec<&'a str>,
    label: &'a str,
}

/// The series as this task wants them.
///
/// # Errors
/// [`DataError`] with file, line and channel.
pub(super) fn load(place: &Place, task: &Task) -> Result<Split, DataError> {
    let &[channels, steps] = task.inputs() else {
        let reason = format!("series are [channels, steps], but the task takes {:?}", task.inputs());
        return Err(DataError::file(&place.path, &reason));
    };
    let labels = Labels::new(task.legend(), task.classes());
    let columns = task.legend().columns();
    let part = |path: &Path| {
        let mut examples = Examples::default();
        read(path, &mut |line, text| {
            examples.room(channels * steps).map_err(|reason| DataError::file(path, &reason))?;
            append(path, line, &series(path, line, text)?, [channels, steps], columns, &mut examples.inputs)?;
            let label = series(path, line, text)?.label;
            let label = labels.class(label).map_err(|reason| at(path, line, "the label", &reason))?;
            examples.push(label, held_out::fate(text.as_bytes()));
            Ok(())
        })?;
        Ok(examples)
    };
    let train = part(&place.path)?;
    let test = beside(&place.path).map(|path| part(&path)).transpose()?;
    train.split(test, place.settings.test, task.inputs(), task.classes())
}

/// The file of the test part, if this one is the training part and it is there.
fn beside(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    let name = stem.strip_suffix("TRAIN")?;
    let extension = path.extension()?.to_str()?;
    Some(path.with_file_name(format!("{name}TEST.{extension}"))).filter(|path| path.is_file())
}

/// Calls `each` with every line of the data and its number.
fn read(path: &Path, each: &mut dyn FnMut(u64, &str) -> Result<(), DataError>) -> Result<(), DataError> {
    let refused = |error: std::io::Error| DataError::unreadable(path, &error);
    let mut reader = BufReader::new(File::open(path).map_err(refused)?);
    let (mut bytes, mut number, mut in_data) = (Vec::new(), 0_u64, false);
    loop {
        bytes.clear();
        if reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes).map_err(refused)? == 0 {
            break;
        }
        number += 1;
        if bytes.len() as u64 > LINE_BYTES_MAX {
            return Err(DataError::file(path, &format!("line {number} is longer than {LINE_BYTES_MAX} bytes")));
        }
        let line = std::str::from_utf8(&bytes).map_err(|_| DataError::file(path, &format!("line {number} is not UTF-8")))?.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if in_data {
            each(number, line)?;
        } else {
            in_data = head(line).map_err(|reason| DataError::file(path, &format!("line {number}: {reason}")))?;
        }
    }
    if in_data { Ok(()) } else { Err(DataError::file(path, "no line @data, so this is no .ts file")) }
}

/// One line of the head; true if the data begins behind it.
fn head(line: &str) -> Result<bool, String> {
    let mut words = line.split_whitespace();
    let (key, value) = (words.next().unwrap_or_default().to_ascii_lowercase(), words.next().unwrap_or_default());
    if !key.starts_with('@') {
        return Err("not a line of a .ts file, whose head is made of lines such as @data".to_owned());
    }
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    match key.as_str() {
        "@data" => return Ok(true),
        "@timestamps" if is("true") => return Err("time stamps are not read; only values at equal steps are".to_owned()),
        "@equallength" if is("false") => return Err("series of different lengths are not read".to_owned()),
        "@classlabel" if is("false") => return Err("the series have no class, so there is nothing to learn".to_owned()),
        "@targetlabel" if is("true") => return Err("the series have a number to predict instead of a class".to_owned()),
        _ => {}
    }
    Ok(false)
}

fn series<'a>(path: &Path, line: u64, text: &'a str) -> Result<Series<'a>, DataError> {
    let (channels, label) = text.rsplit_once(':').ok_or_else(|| at(path, line, "the label", "there is none behind a colon"))?;
    Ok(Series { channels: channels.split(':').collect(), label: label.trim() })
}

/// Adds a series' numbers.
fn append(
    path: &Path,
    line: u64,
    series: &Series<'_>,
    [channels, steps]: [usize; 2],
    columns: &[Column],
    inputs: &mut Vec<f32>,
) -> Result<(), DataError> {
    if series.channels.len() != channels {
        let reason = format!("line {line} has {} channels; {channels} were expected", series.channels.len());
        return Err(DataError::file(path, &reason));
    }
    for (i, channel) in series.channels.iter().enumerate() {
        let (mean, scale) = match columns.get(i).map(|column| &column.kind) {
            Some(ColumnKind::Number { mean, scale }) => (*mean, *scale),
            _ => (0.0, 1.0),
        };
        let before = inputs.len();
        for value in numbers(path, line, i, channel) {
            if inputs.len() - before < steps {
                inputs.push(((value? - mean) / scale) as f32);
            } else {
                value?;
                return Err(at(path, line, &format!("channel {}", i + 1), &format!("more than {steps} steps")));
            }
        }
        if inputs.len() - before < steps {
            let reason = format!("{} steps; {steps} were expected", inputs.len() - before);
            return Err(at(path, line, &format!("channel {}", i + 1), &reason));
        }
    }
    Ok(())
}

/// The numbers of a channel, each finite.
fn numbers(path: &Path, line: u64, channel: usize, text: &str) -> impl Iterator<Item = Result<f64, DataError>> {
    text.split(',').enumerate().map(move |(step, cell)| {
        let number = cell.trim().parse::<f64>().ok().filter(|&number| (number as f32).is_finite());
        number.ok_or_else(|| {
            let shown: String = cell.trim().chars().take(20).collect();
            at(path, line, &format!("channel {}, step {}", channel + 1, step + 1), &format!("{shown:?} is not a finite number"))
        })
    })
}

fn at(path: &Path, row: u64, column: &str, reason: &str) -> DataError {
    DataError::Value { file: path.display().to_string(), row, column: column.to_owned(), reason: reason.to_owned() }
}

/// What the series look like, with the mean and deviation of every channel of the training part.
///
/// # Errors
/// As [`load`].
pub(super) fn schema(place: &Place) -> Result<Schema, DataError> {
    let mut shape: Option<[usize; 2]> = None;
    let mut names = std::collections::BTreeSet::new();
    let mut moments: Vec<Moments> = Vec::new();
    let (mut examples, mut inputs) = (0, Vec::new());
    let mut visit = |path: &Path, counts: bool| {
        read(path, &mut |line, text| {
            let series = series(path, line, text)?;
            let steps = series.channels.first().map_or(0, |channel| channel.split(',').count());
            let [channels, steps] = *shape.get_or_insert([series.channels.len(), steps]);
            inputs.clear();
            append(path, line, &series, [channels, steps], &[], &mut inputs)?;
            if series.label.is_empty() || series.label.chars().nth(NAME_MAX).is_some() {
                return Err(at(path, line, "the label", "a label has 1 to 64 characters"));
            }
            names.insert(series.label.to_owned());
            if counts {
                moments.resize(channels, Moments::default());
                inputs.iter().enumerate().for_each(|(i, &number)| moments[i / steps].add(f64::from(number)));
            }
            examples += 1;
            Ok(())
        })
    };
    visit(&place.path, true)?;
    beside(&place.path).map_or(Ok(()), |path| visit(&path, false))?;
    let shape = shape.ok_or_else(|| DataError::file(&place.path, "no series behind @data"))?;
    let column = |(i, moments): (usize, &Moments)| Column { name: format!("channel {}", i + 1), kind: moments.kind() };
    let columns = moments.iter().enumerate().map(column).collect();
    let classes = names.len();
    let legend = Legend::new(listed(names.into_iter().collect()), columns);
    Ok(Schema::Labelled { shape: shape.to_vec(), classes, examples, legend })
}

#[cfg(test)]
mod tests;
