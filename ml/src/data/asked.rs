//! What a model that tells examples apart is asked about, as people write it down.
//!
//! ```text
//! rows of a table, header first ──┐
//! {"age": 40, "colour": "red"}  ──┴─ by the task's columns, as training reads them ──> numbers
//! 0.1, 0.7                      ──┐
//! [[0.1, 0.7]]                  ──┴─ the model's own numbers, as they stand ─────────> numbers
//! ```
//! Names go with cells and plain lists with numbers, so nothing is scaled twice or not at all. A column that the
//! task does not name, the label's for one, is not looked at. Decides nothing about how many examples there are:
//! the predictor says what is no whole one. What it returns is bounded, whatever words a spec lists.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::cells::{self, Cutout, Missing, Wrong};
use super::csv::Delimited;
use super::legend::{Column, ColumnKind};
use super::table::{Cells, Row};
use super::{DataError, Legend};
use crate::task::Task;

/// Most numbers of one question: 128 MiB (a guess). A few bytes of a record may be words of thousands of numbers.
const NUMBERS_MAX: usize = 1 << 25;
/// Longest part of a cell that is no number which is repeated, characters.
const QUOTED_MAX: usize = 40;

/// The numbers of rows of text. Of a task that names the columns of a table the first line names columns, too;
/// of others a row holds an example's numbers, apart by `,`, `;` or blanks, and a first line without any number is
/// passed over.
///
/// # Errors
/// One sentence with row and column. `missing` says how a missing cell is read.
pub fn rows(text: &str, task: &Task, missing: Missing) -> Result<Vec<f32>, String> {
    if is_table(task) { table(text, task.legend(), missing) } else { plain(text, task.inputs().iter().product()) }
}

/// The numbers of a value of JSON: a record of named columns, a list of them, or lists of numbers, of any
/// shape, the last dimension varying fastest. Of series a record's value is a list of a channel's numbers.
///
/// # Errors
/// One sentence, with row and column of a record. `missing` says how `null` and other missing values are read.
pub fn values(value: &Value, task: &Task, missing: Missing) -> Result<Vec<f32>, String> {
    let mut numbers = Vec::new();
    match value {
        Value::Object(record) => append(&[record], task, missing, &mut numbers)?,
        Value::Array(records) if records.first().is_some_and(Value::is_object) => {
            let record = |value| Value::as_object(value).ok_or_else(|| format!("among objects there is {}", what(value)));
            let records: Vec<&Map<String, Value>> = records.iter().map(record).collect::<Result<_, _>>()?;
            append(&records, task, missing, &mut numbers)?;
        }
        _ => flatten(value, &mut numbers).map_err(|what| format!("a list has numbers, not {what}"))?,
    }
    Ok(numbers)
}

/// Whether an example is a row of a table with named columns.
fn is_table(task: &Task) -> bool {
    task.inputs().len() == 1 && !task.legend().columns().is_empty()
}

fn table(text: &str, legend: &Legend, missing: Missing) -> Result<Vec<f32>, String> {
    let reason = |error| match error {
        DataError::File { reason, .. } => reason,
        other => other.to_string(),
    };
    let mut table = Delimited::new(Path::new(""), text.as_bytes().to_vec(), Box::new(io::empty())).map_err(reason)?;
    let cutout = Cutout::find(missing, table.names(), legend.columns())?;
    let (mut row, mut numbers) = (Row::default(), Vec::new());
    while table.next(&mut row).map_err(reason)? {
        room(&numbers, cutout.width())?;
        let wrong = |Wrong { column, reason }| at(row.number, &column, &reason);
        cutout.append(&row.cells, &mut numbers).map_err(wrong)?;
    }
    if numbers.is_empty() { Err("no row below the header".to_owned()) } else { Ok(numbers) }
}

/// Rows of so many numbers; empty lines are passed over.
fn plain(text: &str, each: usize) -> Result<Vec<f32>, String> {
    let separator = |c: char| matches!(c, ',' | ';') || c.is_whitespace();
    let number = |cell: &str| cell.parse().ok().filter(|number: &f32| number.is_finite());
    let mut numbers = Vec::new();
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    for (i, (row, line)) in lines.enumerate() {
        let cells: Vec<&str> = line.split(separator).filter(|cell| !cell.is_empty()).collect();
        if i == 0 && cells.len() == each && cells.iter().all(|cell| cell.parse::<f32>().is_err()) {
            continue;
        }
        room(&numbers, cells.len())?;
        for (column, cell) in (1..).zip(&cells) {
            let quoted: String = cell.chars().take(QUOTED_MAX).collect();
            numbers.push(number(cell).ok_or_else(|| format!("row {row}, column {column}: {quoted:?} is no finite number"))?);
        }
        if cells.len() != each {
            return Err(format!("row {row} has {} numbers; an example has {each}", cells.len()));
        }
    }
    Ok(numbers)
}

fn append(records: &[&Map<String, Value>], task: &Task, missing: Missing, numbers: &mut Vec<f32>) -> Result<(), String> {
    let columns = task.legend().columns();
    if columns.is_empty() {
        return Err("the run names no columns; give lists of the model's numbers".to_owned());
    }
    // Of a table one number or word, of a series a channel's numbers.
    let steps = task.inputs().get(1..).filter(|steps| !steps.is_empty()).map(|steps| steps.iter().product());
    for (row, record) in (1..).zip(records) {
        for column in columns {
            room(numbers, steps.unwrap_or(column.width()))?;
            let found = record.get(&column.name).ok_or_else(|| {
                let names: Vec<String> = record.keys().cloned().collect();
                let sentence = cells::find(&names, &column.name, ", which the task asks for").err().unwrap_or_default();
                format!("row {row}: {sentence}")
            })?;
            let appended = match steps {
                None => cell(found, column, missing, numbers),
                Some(steps) => channel(found, column, steps, numbers),
            };
            appended.map_err(|reason| at(row, &column.name, &reason))?;
        }
    }
    Ok(())
}

/// A value of JSON as the cell of a file that says the same.
fn cell(value: &Value, column: &Column, missing: Missing, numbers: &mut Vec<f32>) -> Result<(), String> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => return Err(format!("a number or a text was expected, not {}", what(value))),
    };
    cells::append(&text, &column.kind, missing, numbers)
}

/// The numbers of one channel of a series, scaled as the column says.
fn channel(value: &Value, column: &Column, steps: usize, numbers: &mut Vec<f32>) -> Result<(), String> {
    let ColumnKind::Number { mean, scale } = column.kind else { return Err("a channel is of numbers".to_owned()) };
    let values = value.as_array().filter(|values| values.len() == steps);
    let values = values.ok_or_else(|| format!("a list of {steps} numbers was expected"))?;
    for value in values {
        let number = value.as_f64().map(|number| ((number - mean) / scale) as f32).filter(|number| number.is_finite());
        numbers.push(number.ok_or_else(|| format!("{} is not a finite number", cells::shown(&value.to_string())))?);
    }
    Ok(())
}

/// The numbers of a value in their order, or what is there instead. Its depth is the parser's bound.
fn flatten(value: &Value, numbers: &mut Vec<f32>) -> Result<(), &'static str> {
    match value {
        Value::Number(number) => {
            numbers.push(number.as_f64().unwrap_or(f64::NAN) as f32);
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, numbers)),
        other => Err(what(other)),
    }
}

const fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn room(numbers: &[f32], more: usize) -> Result<(), String> {
    let fits = numbers.len().saturating_add(more) <= NUMBERS_MAX;
    fits.then_some(()).ok_or_else(|| format!("more than {NUMBERS_MAX} numbers in all; ask about fewer examples at once"))
}

fn at(row: u64, column: &str, reason: &str) -> String {
    format!("row {row}, column {:?}: {reason}", cells::shown(column))
}

#[cfg(test)]
mod tests;
