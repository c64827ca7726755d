//! Reading a TOML table key by key, so that every error names the key with its whole path.
//!
//! A derived deserializer over an already parsed table loses the path (`expected usize` of what?),
//! and a task comes from a stranger who must be told what would be right. Unknown keys are refused:
//! all nodes of a run must mean the same by its spec.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use crate::asset::Digest;
use crate::task::TaskError;

/// Longest part of an offending value or key that an error repeats, characters.
const QUOTED_MAX: usize = 80;

/// What a key that names a file must be.
pub(crate) const DIGEST_EXPECTED: &str = "the BLAKE3 hash of a file, 64 hexadecimal digits in lower case";

/// One table and where it stands in the spec.
pub struct Section<'a> {
    path: String,
    table: &'a Table,
}

impl<'a> Section<'a> {
    /// The table found at `path`.
    pub(crate) fn new(path: &str, table: &'a Table) -> Self {
        Self { path: path.to_owned(), table }
    }

    /// Refuses every key but these.
    ///
    /// # Errors
    /// [`TaskError::Unknown`].
    pub fn only(&self, known: &[&str]) -> Result<(), TaskError> {
        match self.table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(TaskError::Unknown { key: self.key(&quoted(key)), known: known.join("`, `") }),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// [`TaskError::Missing`] or [`TaskError::Wrong`], with the key's path.
    pub fn text(&self, key: &str, expected: &str) -> Result<&'a str, TaskError> {
        let value = self.value(key, expected)?;
        value.as_str().ok_or_else(|| self.wrong(key, value, expected))
    }

    /// A whole number in this range.
    ///
    /// # Errors
    /// [`TaskError::Missing`] or [`TaskError::Wrong`], with the key's path.
    pub fn count(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, TaskError> {
        let expected = format!("a whole number between {} and {}", range.start(), range.end());
        let value = self.value(key, &expected)?;
        within(value, &range).ok_or_else(|| self.wrong(key, value, &expected))
    }

    /// A whole number in this range, or the default if the key is absent.
    ///
    /// # Errors
    /// [`TaskError::Missing`] or [`TaskError::Wrong`], with the key's path.
    pub fn count_or(&self, key: &str, range: RangeInclusive<usize>, default: usize) -> Result<usize, TaskError> {
        if self.table.contains_key(key) { self.count(key, range) } else { Ok(default) }
    }

    /// An array of whole numbers: so many of them, each in this range.
    ///
    /// # Errors
    /// [`TaskError::Missing`] or [`TaskError::Wrong`], with the key's path.
    pub fn counts(&self, key: &str, many: RangeInclusive<usize>, range: RangeInclusive<usize>) -> Result<Vec<usize>, TaskError> {
        let expected =
            format!("{} to {} whole numbers, each between {} and {}", many.start(), many.end(), range.start(), range.end());
        let value = self.value(key, &expected)?;
        let array = value.as_array().filter(|array| many.contains(&array.len()));
        let array = array.ok_or_else(|| self.wrong(key, value, &expected))?;
        let item = |(i, value)| within(value, &range).ok_or_else(|| self.wrong(&format!("{key}[{i}]"), value, &expected));
        array.iter().enumerate().map(item).collect()
    }

    /// A number, `None` if the key is absent. A whole number is a number too.
    ///
    /// # Errors
    /// [`TaskError::Missing`] or [`TaskError::Wrong`], with the key's path.
    pub fn number(&self, key: &str, expected: &str) -> Result<Option<f64>, TaskError> {
        let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64));
        let read = |value| number(value).ok_or_else(|| self.wrong(key, value, expected));
        self.table.get(key).map(read).transpose()
    }

    /// `true` or `false`; `false` if the key is absent.
    ///
    /// # Errors
    /// [`TaskError::Wrong`], with the key's path.
    pub fn flag(&self, key: &str) -> Result<bool, TaskError> {
        let read = |value: &Value| value.as_bool().ok_or_else(|| self.wrong(key, value, "true or false"));
        self.table.get(key).map_or(Ok(false), read)
    }

    /// The hash of a file, `None` if the key is absent.
    ///
    /// # Errors
    /// [`TaskError::Wrong`], with the key's path.
    pub fn digest(&self, key: &str) -> Result<Option<Digest>, TaskError> {
        let read = |value: &Value| {
            let digest = value.as_str().and_then(|text| text.parse().ok());
            digest.ok_or_else(|| self.wrong(key, value, DIGEST_EXPECTED))
        };
        self.table.get(key).map(read).transpose()
    }

    /// A table within this one.
    ///
    /// # Errors
    /// [`TaskError::Missing`] or [`TaskError::Wrong`], with the key's path.
    pub fn section(&self, key: &str, expected: &str) -> Result<Self, TaskError> {
        let value = self.value(key, expected)?;
        let table = value.as_table().ok_or_else(|| self.wrong(key, value, expected))?;
        Ok(Self { path: self.key(key), table })
    }

    /// The error of a key that is not there.
    #[must_use]
    pub fn missing(&self, key: &str, expected: &str) -> TaskError {
        TaskError::Missing { key: self.key(key), expected: expected.to_owned() }
    }

    /// The error of a value that is there but not right.
    #[must_use]
    pub fn wrong(&self, key: &str, value: impl ToString, expected: &str) -> TaskError {
        TaskError::Wrong { key: self.key(key), value: quoted(&value.to_string()), expected: expected.to_owned() }
    }

    /// All of the table, as it was given.
    pub(crate) const fn table(&self) -> &'a Table {
        self.table
    }

    fn value(&self, key: &str, expected: &str) -> Result<&'a Value, TaskError> {
        self.table.get(key).ok_or_else(|| self.missing(key, expected))
    }

    /// The key with its whole path.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

fn within(value: &Value, range: &RangeInclusive<usize>) -> Option<usize> {
    let count = usize::try_from(value.as_integer()?).ok()?;
    range.contains(&count).then_some(count)
}

fn quoted(text: &str) -> String {
    text.trim_end().chars().take(QUOTED_MAX).collect()
}
