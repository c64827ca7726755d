//! What the numbers of a data set stand for: names of classes, and columns with their means and words.
//!
//! A node may lack a class, and one node's mean is not another's. So what turns a file into numbers is in
//! the spec, as the run's maker found it in data of their own, and all nodes do as it says:
//!
//! ```toml
//! labels = ["setosa", "versicolor", "virginica"]   # class 0, 1, 2
//! columns = [
//!   { name = "length", mean = 5.84, scale = 0.83 },  # one number: (value - mean) / scale
//!   { name = "colour", values = ["blue", "red"] },   # two numbers: 1 where it is that word, else 0
//! ]
//! ```
//! Both may be left out: labels are then whole numbers from 0, columns numbers as they stand. The means and
//! words are public; who must not tell them writes a spec without.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::section::Section;
use crate::task::TaskError;

/// Most labels that are named (a guess: a spec is to stay readable).
const LABELS_MAX: usize = 4_096;
/// Most columns, and most words of one (guesses).
const COLUMNS_MAX: usize = 4_096;
pub(super) const WORDS_MAX: usize = 256;
/// Longest name or word, characters (a guess: it is shown in tables).
pub(super) const NAME_MAX: usize = 64;
const NAME_EXPECTED: &str = "a name of 1 to 64 characters";
const LABELS_EXPECTED: &str = "as many different names of 1 to 64 characters as there are classes, at most 4096";
const COLUMNS_EXPECTED: &str = "1 to 4096 tables such as { name = \"age\", mean = 40.0, scale = 12.5 } or \
                                { name = \"colour\", values = [\"blue\", \"red\"] }";
const WIDTH_EXPECTED: &str = "columns that make as many numbers as `inputs` says: one for a number, one for each word of a \
                              category; of series, one number for each channel";

/// Names of classes and columns; either may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Legend {
    labels: Vec<String>,
    columns: Vec<Column>,
}

/// One column of a table, or one channel of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As the file's header says it.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
}

/// What a column's cells become.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// One number: `(value - mean) / scale`.
    Number {
        /// Subtracted.
        mean: f64,
        /// Divided by; above 0.
        scale: f64,
    },
    /// A number for each word: 1 where the cell is that word, else 0.
    Category {
        /// The words.
        values: Vec<String>,
    },
}

impl Column {
    /// Numbers it makes.
    pub(super) fn width(&self) -> usize {
        match &self.kind {
            ColumnKind::Number { .. } => 1,
            ColumnKind::Category { values } => values.len(),
        }
    }
}

impl Legend {
    /// Of names that are within the bounds, as a schema finds them.
    pub(super) const fn new(labels: Vec<String>, columns: Vec<Column>) -> Self {
        Self { labels, columns }
    }

    /// Reads the keys `labels` and `columns` of a task that tells `classes` classes of examples of the shape
    /// `inputs` apart.
    pub(crate) fn parse(section: &Section<'_>, inputs: &[usize], classes: usize) -> Result<Self, TaskError> {
        let labels = section.table().get("labels").map_or(Ok(Vec::new()), |value| labels(section, value, classes))?;
        let columns = section.table().get("columns").map_or(Ok(Vec::new()), |value| columns(section, value))?;
        if !columns.is_empty() {
            let numbers = columns.iter().all(|column| column.width() == 1);
            let fits = match inputs {
                [length] => columns.iter().map(Column::width).sum::<usize>() == *length,
                [channels, ..] => columns.len() == *channels && numbers,
                [] => false,
            };
            if !fits {
                return Err(section.wrong("columns", format!("{} columns for inputs {inputs:?}", columns.len()), WIDTH_EXPECTED));
            }
        }
        Ok(Self { labels, columns })
    }

    /// Class 0, 1, ...; none if classes are numbers.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The columns; none if the cells are numbers as they stand.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The lines of a spec's `[task]` that say it; nothing if there is nothing to say.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        if !self.labels.is_empty() {
            text += &format!("labels = {}\n", Value::from(self.labels.clone()));
        }
        if !self.columns.is_empty() {
            let lines: Vec<String> = self.columns.iter().map(|column| format!("  {},\n", line(column))).collect();
            text += &format!("columns = [\n{}]\n", lines.concat());
        }
        text
    }
}

fn line(column: &Column) -> String {
    let name = Value::from(column.name.as_str());
    match &column.kind {
        ColumnKind::Number { mean, scale } => {
            format!("{{ name = {name}, mean = {}, scale = {} }}", Value::from(*mean), Value::from(*scale))
        }
        ColumnKind::Category { values } => format!("{{ name = {name}, values = {} }}", Value::from(values.clone())),
    }
}

/// Different names, none too long; `None` if they are something else.
fn names(value: &Value, most: usize) -> Option<Vec<String>> {
    let array = value.as_array().filter(|array| array.len() <= most)?;
    let names: Vec<String> =
        array.iter().map(|name| name.as_str().filter(|name| fit(name)).map(str::to_owned)).collect::<Option<_>>()?;
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1]).then_some(names)
}

fn fit(name: &str) -> bool {
    !name.is_empty() && name.chars().nth(NAME_MAX).is_none()
}

fn labels(section: &Section<'_>, value: &Value, classes: usize) -> Result<Vec<String>, TaskError> {
    names(value, LABELS_MAX).filter(|names| names.len() == classes).ok_or_else(|| section.wrong("labels", value, LABELS_EXPECTED))
}

fn columns(section: &Section<'_>, value: &Value) -> Result<Vec<Column>, TaskError> {
    let array = value.as_array().filter(|array| (1..=COLUMNS_MAX).contains(&array.len()));
    let tables: Option<Vec<&Table>> = array.and_then(|array| array.iter().map(Value::as_table).collect());
    let tables = tables.ok_or_else(|| section.wrong("columns", value, COLUMNS_EXPECTED))?;
    let read = |(i, table): (usize, &&Table)| column(&Section::new(&format!("task.columns[{i}]"), table));
    let columns: Vec<Column> = tables.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let mut seen: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(columns),
        Some(twice) => Err(section.wrong("columns", format!("twice {:?}", twice[0]), "columns of different names")),
    }
}

fn column(section: &Section<'_>) -> Result<Column, TaskError> {
    let name = section.text("name", NAME_EXPECTED)?;
    if !fit(name) {
        return Err(section.wrong("name", format!("{name:?}"), NAME_EXPECTED));
    }
    let name = name.to_owned();
    if let Some(value) = section.table().get("values") {
        section.only(&["name", "values"])?;
        let expected = "1 to 256 different words of 1 to 64 characters";
        let values = names(value, WORDS_MAX).filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| section.wrong("values", value, expected))?;
        return Ok(Column { name, kind: ColumnKind::Category { values } });
    }
    section.only(&["name", "mean", "scale", "values"])?;
    let number = |key, expected, fits: fn(f64) -> bool| {
        let number = section.number(key, expected)?.ok_or_else(|| section.missing(key, expected))?;
        if number.is_finite() && fits(number) { Ok(number) } else { Err(section.wrong(key, number, expected)) }
    };
    let mean = number("mean", "a number", |_| true)?;
    let scale = number("scale", "a number above 0", |scale| scale > 0.0)?;
    Ok(Column { name, kind: ColumnKind::Number { mean, scale } })
}

/// From the name of a class to its number.
pub(super) struct Labels<'a> {
    names: BTreeMap<&'a str, u32>,
    classes: usize,
}

impl<'a> Labels<'a> {
    /// Of a task that tells so many classes apart.
    pub(super) fn new(legend: &'a Legend, classes: usize) -> Self {
        Self { names: legend.labels.iter().map(String::as_str).zip(0..).collect(), classes }
    }

    /// The class of this name.
    ///
    /// # Errors
    /// One sentence that says which there are.
    pub(super) fn class(&self, name: &str) -> Result<u32, String> {
        let said: String = name.chars().take(NAME_MAX).collect();
        if self.names.is_empty() {
            let number = whole(name).filter(|&number| (number as usize) < self.classes);
            let expected = format!("the task names no labels, so a label must be a whole number below {}", self.classes);
            return number.ok_or_else(|| format!("{expected}; {said:?} is not"));
        }
        self.names.get(name).copied().ok_or_else(|| format!("{said:?} is not one of the task's labels ({})", self.few()))
    }

    /// The first names, in the order of the alphabet.
    fn few(&self) -> String {
        const SHOWN: usize = 8;
        let mut few: Vec<&str> = self.names.keys().copied().take(SHOWN).collect();
        if self.names.len() > SHOWN {
            few.push("...");
        }
        few.join(", ")
    }
}

/// A whole number, also one that is written with a point, as programs do that know only such.
pub(super) fn whole(text: &str) -> Option<u32> {
    let digits = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
    digits.map_or(text, |(digits, _)| digits).parse().ok()
}

/// The names of classes as a spec lists them: none if they are `0`, `1`, ... without a gap.
pub(super) fn listed(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_key(|name| (whole(name).unwrap_or(u32::MAX), name.clone()));
    let numbers = names.iter().zip(0_u32..).all(|(name, number)| whole(name) == Some(number));
    if numbers { Vec::new() } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        labels = ["no", "yes"]
        columns = [
            { name = "age", mean = 40, scale = 12.5 },
            { name = "colour", values = ["blue", "red"] },
        ]
    "#;

    fn parse(text: &str, inputs: &[usize]) -> Result<Legend, TaskError> {
        let table: Table = text.parse().expect("a table");
        Legend::parse(&Section::new("task", &table), inputs, 2)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let legend = parse(GOOD, &[3]).expect("a legend");
        assert_eq!(legend.labels(), ["no", "yes"]);
        assert_eq!(legend.columns()[0].kind, ColumnKind::Number { mean: 40.0, scale: 12.5 });
        assert_eq!(parse(&legend.to_toml(), &[3]), Ok(legend));
        assert_eq!(parse("", &[3]).map(|legend| legend.to_toml()), Ok(String::new()));
        assert!(parse("columns = [{ name = 'x', mean = 0, scale = 1 }]", &[1, 100]).is_ok(), "channels of a series");
    }

    #[test]
    fn a_wrong_legend_is_told_which_key() {
        let table = [
            ("[\"no\", \"yes\"]", "[\"no\"]", format!("`task.labels` is [\"no\"], but must be {LABELS_EXPECTED}")),
            ("\"yes\"", "\"no\"", format!("`task.labels` is [\"no\", \"no\"], but must be {LABELS_EXPECTED}")),
            ("\"yes\"", "\"\"", format!("`task.labels` is [\"no\", \"\"], but must be {LABELS_EXPECTED}")),
            ("\"yes\"", "1", format!("`task.labels` is [\"no\", 1], but must be {LABELS_EXPECTED}")),
            ("12.5", "0", "`task.columns[0].scale` is 0, but must be a number above 0".to_owned()),
            ("12.5", "inf", "`task.columns[0].scale` is inf, but must be a number above 0".to_owned()),
            (", scale = 12.5", "", "`task.columns[0].scale` is missing; it must be a number above 0".to_owned()),
            ("mean = 40", "mean = 'x'", "`task.columns[0].mean` is \"x\", but must be a number".to_owned()),
            ("\"age\"", "\"\"", "`task.columns[0].name` is \"\", but must be a name of 1 to 64 characters".to_owned()),
            ("\"age\"", "\"colour\"", "`task.columns` is twice \"colour\", but must be columns of different names".to_owned()),
            (
                "\"red\"",
                "\"blue\"",
                "`task.columns[1].values` is [\"blue\", \"blue\"], but must be 1 to 256 different words of 1 to 64 characters"
                    .to_owned(),
            ),
            (", \"red\"", "", format!("`task.columns` is 2 columns for inputs [3], but must be {WIDTH_EXPECTED}")),
        ];
        for (from, to, expected) in table {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            assert_eq!(parse(&text, &[3]).expect_err(&text).to_string(), expected);
        }
        assert!(
            parse("columns = []", &[1]).is_err()
                && parse("columns = [1]", &[1]).is_err()
                && parse("labels = 'ab'", &[1]).is_err()
        );
    }

    #[test]
    fn classes_have_names_or_are_numbers() {
        let legend = Legend::new(vec!["b".to_owned(), "a".to_owned()], Vec::new());
        let named = Labels::new(&legend, 2);
        assert_eq!((named.class("b"), named.class("a")), (Ok(0), Ok(1)));
        assert_eq!(named.class("0"), Err("\"0\" is not one of the task's labels (a, b)".to_owned()));
        let none = Legend::default();
        let numbers = Labels::new(&none, 2);
        assert_eq!((numbers.class("1"), numbers.class("1.0")), (Ok(1), Ok(1)));
        for wrong in ["2", "-1", "", "1.5", "cat"] {
            let expected = format!("the task names no labels, so a label must be a whole number below 2; {wrong:?} is not");
            assert_eq!(numbers.class(wrong), Err(expected));
        }
    }

    #[test]
    fn numbers_without_a_gap_need_no_names() {
        let list = |names: &[&str]| listed(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(list(&["10", "2", "0", "1", "9", "3", "4", "5", "6", "7", "8"]), [""; 0]);
        assert_eq!(list(&["2", "10"]), ["2", "10"]);
        assert_eq!(list(&["b", "1", "a"]), ["1", "a", "b"]);
    }
}
