//! From the cells of a table to examples, whatever file the table is in.
//!
//! The task's `columns` say which columns count and what becomes of a cell: a number, scaled, or one number
//! for each word ([`super::cells`]). Without them every column but the label's must be a number and stays as
//! it is. Other columns are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::cells::{self, Cutout, Missing, Wrong, is_missing, number, shown};
use super::examples::Examples;
use super::held_out;
use super::legend::{Column, ColumnKind, Labels, Legend, NAME_MAX, WORDS_MAX, listed};
use super::moments::Moments;
use super::place::Place;
use super::schema::Schema;
use super::{DataError, Split};
use crate::task::Task;

/// What a place of a table may say.
pub(super) const SETTINGS: [&str; 5] = ["label", "natural", "skip", "missing", "test"];
/// The label's column, if none is named.
const LABEL: &str = "label";
/// Most columns of a file (a guess), and most classes and owners that are told apart.
pub(super) const COLUMNS_MAX: usize = 1 << 16;
const NAMES_MAX: usize = 1 << 16;

/// One row as text.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The line or row, from 1, as people find it.
    pub(super) number: u64,
    /// As many as the table has columns.
    pub(super) cells: Vec<String>,
}

/// A table that is read row by row.
pub(super) trait Cells {
    /// The columns' names.
    fn names(&self) -> &[String];

    /// Reads the next row in place of the last one; false behind the last.
    ///
    /// # Errors
    /// [`DataError`] with file and row.
    fn next(&mut self, row: &mut Row) -> Result<bool, DataError>;
}

/// Where in a row to find what a task wants.
struct Plan<'a> {
    place: &'a Place,
    label: usize,
    natural: Option<usize>,
    inputs: Cutout,
}

impl<'a> Plan<'a> {
    /// Of these columns; none stands for all that are left, taken as they are.
    fn new(place: &'a Place, names: &[String], columns: &[Column]) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::file(&place.path, &reason);
        let find = |name: &str, what: &str| cells::find(names, name, what).map_err(refused);
        let settings = &place.settings;
        let said = settings.label.as_deref();
        let label = find(said.unwrap_or(LABEL), if said.is_none() { " to predict (`?label=COLUMN` names another)" } else { "" })?;
        let natural = settings.natural.as_deref().map(|name| find(name, "")).transpose()?;
        for skipped in &settings.skip {
            find(skipped, " to skip")?;
        }
        let missing = if settings.missing_is_mean { Missing::Mean } else { Missing::Refused("`?missing=mean`") };
        let free = |i: usize| i != label && Some(i) != natural && !settings.skip.contains(&names[i]);
        let inputs = if columns.is_empty() {
            let plain = |i: usize| Column { name: names[i].clone(), kind: ColumnKind::Number { mean: 0.0, scale: 1.0 } };
            Cutout::new(missing, (0..names.len()).filter(|&i| free(i)).map(|i| (i, plain(i))).collect())
        } else {
            Cutout::find(missing, names, columns).map_err(refused)?
        };
        Ok(Self { place, label, natural, inputs })
    }

    /// Adds a row's numbers.
    fn append(&self, row: &Row, inputs: &mut Vec<f32>) -> Result<(), DataError> {
        let appended = self.inputs.append(&row.cells, inputs);
        appended.map_err(|Wrong { column, reason }| at(&self.place.path, row.number, &column, &reason))
    }
}

/// The rows as this task wants them.
///
/// # Errors
/// [`DataError`] with file, row and column.
pub(super) fn load(place: &Place, cells: &mut dyn Cells, task: &Task) -> Result<Split, DataError> {
    let plan = Plan::new(place, cells.names(), task.legend().columns())?;
    let wanted: usize = task.inputs().iter().product();
    if plan.inputs.width() != wanted {
        let reason =
            format!("{} columns of numbers beside the label, but the task takes {:?}", plan.inputs.width(), task.inputs());
        return Err(DataError::file(&place.path, &reason));
    }
    let labels = Labels::new(task.legend(), task.classes());
    let (mut examples, mut row, mut owners) = (Examples::default(), Row::default(), BTreeMap::new());
    while cells.next(&mut row)? {
        examples.room(wanted).map_err(|reason| DataError::file(&place.path, &reason))?;
        plan.append(&row, &mut examples.inputs)?;
        let label = row.cells[plan.label].trim();
        let label = labels.class(label).map_err(|reason| at(&place.path, row.number, &cells.names()[plan.label], &reason))?;
        examples.push(label, held_out::fate(row.cells.join("\u{1F}").as_bytes()));
        if let Some(natural) = plan.natural {
            let next = owners.len() as u32;
            if owners.len() > NAMES_MAX {
                return Err(at(
                    &place.path,
                    row.number,
                    &cells.names()[natural],
                    "more than 65536 different values to divide by",
                ));
            }
            examples.groups.push(*owners.entry(row.cells[natural].clone()).or_insert(next));
        }
    }
    examples.split(None, place.settings.test, task.inputs(), task.classes())
}

/// What a column has been found to hold.
#[derive(Default)]
struct Found {
    moments: Moments,
    /// Whether a cell was no number.
    is_text: bool,
    words: BTreeSet<String>,
}

/// What the rows look like: numbers with their mean and deviation, and words.
///
/// # Errors
/// [`DataError`] with file, row and column: of a column with too many words, say.
pub(super) fn schema(place: &Place, cells: &mut dyn Cells) -> Result<Schema, DataError> {
    let plan = Plan::new(place, cells.names(), &[])?;
    let mut found: Vec<Found> = plan.inputs.columns().iter().map(|_| Found::default()).collect();
    let (mut row, mut labels, mut examples) = (Row::default(), BTreeSet::new(), 0);
    while cells.next(&mut row)? {
        let label = row.cells[plan.label].trim();
        let refused = |reason: &str| at(&place.path, row.number, &cells.names()[plan.label], reason);
        if is_missing(label) {
            return Err(refused("the label is missing"));
        }
        if label.chars().nth(NAME_MAX).is_some() || (labels.len() >= NAMES_MAX && !labels.contains(label)) {
            return Err(refused(
                "a label has at most 64 characters, and there are at most 65536; is this the column to predict?",
            ));
        }
        if !labels.contains(label) {
            labels.insert(label.to_owned());
        }
        for ((i, column), found) in plan.inputs.columns().iter().zip(&mut found) {
            look(row.cells[*i].trim(), found).map_err(|reason| at(&place.path, row.number, &column.name, &reason))?;
        }
        examples += 1;
    }
    if examples == 0 {
        return Err(DataError::file(&place.path, "no row below the header"));
    }
    let column = |((_, column), found): (&(usize, Column), Found)| {
        let values = || ColumnKind::Category { values: found.words.into_iter().collect() };
        Column { name: column.name.clone(), kind: if found.is_text { values() } else { found.moments.kind() } }
    };
    let columns: Vec<Column> = plan.inputs.columns().iter().zip(found).map(column).collect();
    let shape = vec![columns.iter().map(Column::width).sum()];
    let classes = labels.len();
    Ok(Schema::Labelled { shape, classes, examples, legend: Legend::new(listed(labels.into_iter().collect()), columns) })
}

/// Takes note of a cell. A column is of words if one of its cells is no number; its numbers are words then
/// too, so both are noted until it is clear.
fn look(cell: &str, found: &mut Found) -> Result<(), String> {
    if is_missing(cell) {
        return Ok(());
    }
    match number(cell) {
        Some(number) => found.moments.add(number),
        None => found.is_text = true,
    }
    if found.words.contains(cell) {
        return Ok(());
    }
    if found.words.len() < WORDS_MAX && cell.chars().nth(NAME_MAX).is_none() {
        found.words.insert(cell.to_owned());
    } else if found.is_text {
        return Err(format!(
            "{:?}: a column of words has at most {WORDS_MAX} of them, of 64 characters (`?skip=COLUMN` leaves it out)",
            shown(cell)
        ));
    }
    Ok(())
}

/// A cell, and what is wrong with it.
pub(super) fn at(path: &Path, row: u64, column: &str, reason: &str) -> DataError {
    let (file, column) = (path.display().to_string(), format!("{:?}", shown(column)));
    DataError::Value { file, row, column, reason: reason.to_owned() }
}
