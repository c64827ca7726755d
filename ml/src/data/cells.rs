//! What becomes of a cell: the one way from a table's text to a model's numbers, for training and for
//! questions alike.
//!
//! A [`Column`] says what its cells are: a number, which is scaled, or a word, which is one number for each
//! word there is. A cell that is missing (empty, `?`, `NA`, `NaN`, `null`, `None`) is refused or, if the data's
//! owner says so, read as the mean, or as none of the words. Knows no file and no row: who calls names them.

use super::legend::{Column, ColumnKind};

/// What stands for nothing, in small letters.
const MISSING: [&str; 8] = ["", "?", "na", "n/a", "nan", "null", "none", "<na>"];
/// Longest part of a cell that is repeated, characters.
const SHOWN_MAX: usize = 20;
/// Most words and columns that are listed where one is not among them.
const WORDS_SHOWN: usize = 8;
const NAMES_SHOWN: usize = 12;

/// What becomes of a cell with nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is the column's mean, or none of its words.
    Mean,
    /// It is refused, and this is said of how to have it read.
    Refused(&'static str),
}

/// Which cells of a row count, and what they become.
pub(super) struct Cutout {
    missing: Missing,
    /// Place in the row and what becomes of it.
    columns: Vec<(usize, Column)>,
}

/// A cell that is not what it must be.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) column: String,
    pub(super) reason: String,
}

impl Cutout {
    /// Of columns that have been found in the row.
    pub(super) const fn new(missing: Missing, columns: Vec<(usize, Column)>) -> Self {
        Self { missing, columns }
    }

    /// Of the columns that a task names, wherever they stand among these.
    ///
    /// # Errors
    /// One sentence: which column is not there.
    pub(super) fn find(missing: Missing, names: &[String], columns: &[Column]) -> Result<Self, String> {
        let place = |column: &Column| Ok((find(names, &column.name, ", which the task asks for")?, column.clone()));
        Ok(Self::new(missing, columns.iter().map(place).collect::<Result<_, String>>()?))
    }

    pub(super) fn columns(&self) -> &[(usize, Column)] {
        &self.columns
    }

    /// Numbers that a row becomes.
    pub(super) fn width(&self) -> usize {
        self.columns.iter().map(|(_, column)| column.width()).sum()
    }

    /// Adds a row's numbers.
    pub(super) fn append(&self, cells: &[String], numbers: &mut Vec<f32>) -> Result<(), Wrong> {
        for (place, column) in &self.columns {
            let appended = append(cells[*place].trim(), &column.kind, self.missing, numbers);
            appended.map_err(|reason| Wrong { column: column.name.clone(), reason })?;
        }
        Ok(())
    }
}

/// Where among a header's names this one is; `what` ends the sentence if it is not there.
pub(super) fn find(names: &[String], name: &str, what: &str) -> Result<usize, String> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| shown(name)).collect();
        let more = if names.len() > shown.len() { ", ..." } else { "" };
        format!("no column {name:?}{what}; there are {}{more}", shown.join(", "))
    })
}

/// Adds one cell's numbers; `cell` has no blanks around it.
///
/// # Errors
/// One sentence without its place.
pub(super) fn append(cell: &str, kind: &ColumnKind, missing: Missing, numbers: &mut Vec<f32>) -> Result<(), String> {
    let empty = is_missing(cell);
    if let (true, Missing::Refused(hint)) = (empty, missing) {
        return Err(format!("the value is missing ({hint} reads it as the mean)"));
    }
    match kind {
        ColumnKind::Number { .. } if empty => numbers.push(0.0),
        ColumnKind::Number { mean, scale } => {
            let number = number(cell).map(|number| ((number - mean) / scale) as f32).filter(|number| number.is_finite());
            numbers.push(number.ok_or_else(|| format!("{:?} is not a finite number", shown(cell)))?);
        }
        ColumnKind::Category { values } => {
            if !empty && !values.iter().any(|value| value == cell) {
                let few: Vec<&str> = values.iter().take(WORDS_SHOWN).map(String::as_str).collect();
                let more = if values.len() > few.len() { ", ..." } else { "" };
                return Err(format!("{:?} is not one of the task's words ({}{more})", shown(cell), few.join(", ")));
            }
            numbers.extend(values.iter().map(|value| f32::from(u8::from(!empty && value == cell))));
        }
    }
    Ok(())
}

/// A finite number.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether a cell stands for nothing.
pub(super) fn is_missing(cell: &str) -> bool {
    cell.len() <= 4 && MISSING.iter().any(|word| word.eq_ignore_ascii_case(cell))
}

/// As much of a cell as a sentence repeats.
pub(super) fn shown(cell: &str) -> String {
    cell.chars().take(SHOWN_MAX).collect()
}
