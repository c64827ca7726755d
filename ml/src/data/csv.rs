//! Tables as text: a header, then a row a line; cells apart by a comma, a semicolon or a tab.
//!
//! Which of the three is the one that the header has most of. A cell with one in it stands in quotes, as RFC
//! 4180 says. A row is named by the line it begins at, as an editor counts.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use super::DataError;
use super::table::{COLUMNS_MAX, Cells, Row};

/// What may stand between cells.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Longest row, bytes (a guess): a quote that never ends must not take in the whole file.
const ROW_BYTES_MAX: u64 = 16 << 20;
/// How much is read ahead.
const BUFFER_BYTES: usize = 1 << 16;
/// What some programs begin a UTF-8 file with.
const MARK: &[u8] = "\u{FEFF}".as_bytes();

/// A table being read.
pub(super) struct Delimited {
    path: PathBuf,
    names: Vec<String>,
    reader: csv::Reader<Bounded<Box<dyn Read>>>,
    /// Bytes that may still be read for the row at hand.
    budget: Rc<Cell<u64>>,
    record: ByteRecord,
}

impl Delimited {
    /// Reads the header.
    ///
    /// # Errors
    /// [`DataError::File`] says what is wrong with the file.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let refused = |error: io::Error| DataError::unreadable(path, &error);
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(refused)?);
        let mut begin = Vec::new();
        file.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut begin).map_err(refused)?;
        Self::new(path, begin, Box::new(file))
    }

    /// Of a file that begins so and goes on so.
    ///
    /// # Errors
    /// [`DataError::File`], which calls it `path`.
    pub(super) fn new(path: &Path, begin: Vec<u8>, rest: Box<dyn Read>) -> Result<Self, DataError> {
        let begin = begin.strip_prefix(MARK).map_or_else(|| begin.clone(), <[u8]>::to_vec);
        let delimiter = delimiter(&begin);
        let budget = Rc::new(Cell::new(ROW_BYTES_MAX));
        let whole: Box<dyn Read> = Box::new(io::Cursor::new(begin).chain(rest));
        let bounded = Bounded { inner: whole, budget: Rc::clone(&budget) };
        let mut builder = ReaderBuilder::new();
        let reader =
            builder.delimiter(delimiter).has_headers(false).flexible(true).buffer_capacity(BUFFER_BYTES).from_reader(bounded);
        let mut table = Self { path: path.to_owned(), names: Vec::new(), reader, budget, record: ByteRecord::new() };
        let mut header = Row::default();
        if !table.read(&mut header)? || header.cells.iter().all(|name| name.trim().is_empty()) {
            return Err(DataError::file(path, "the file is empty; the first line must name the columns"));
        }
        if header.cells.len() > COLUMNS_MAX {
            return Err(DataError::file(path, &format!("{} columns; at most {COLUMNS_MAX} are read", header.cells.len())));
        }
        table.names = header.cells.iter().map(|name| name.trim().to_owned()).collect();
        let mut sorted: Vec<&String> = table.names.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let name: String = twice[0].chars().take(40).collect();
            return Err(DataError::file(path, &format!("two columns are called {name:?}; the first line must name each")));
        }
        Ok(table)
    }

    fn read(&mut self, row: &mut Row) -> Result<bool, DataError> {
        self.budget.set(ROW_BYTES_MAX);
        let line = self.reader.position().line();
        let refused = |reason: String| DataError::file(&self.path, &reason);
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|error| refused(format!("line {line}: {}", sentence(&error))))? {
            return Ok(false);
        }
        row.number = self.record.position().map_or(line, csv::Position::line);
        row.cells.resize_with(self.record.len(), String::new);
        for (place, bytes) in row.cells.iter_mut().zip(&self.record) {
            let text = std::str::from_utf8(bytes).map_err(|_| refused(format!("line {} is not UTF-8", row.number)))?;
            place.clear();
            place.push_str(text);
        }
        Ok(true)
    }
}

impl Cells for Delimited {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn next(&mut self, row: &mut Row) -> Result<bool, DataError> {
        if !self.read(row)? {
            return Ok(false);
        }
        if row.cells.len() != self.names.len() {
            let reason =
                format!("line {} has {} columns; the first line names {}", row.number, row.cells.len(), self.names.len());
            return Err(DataError::file(&self.path, &reason));
        }
        Ok(true)
    }
}

/// The one that the first line has most of; of none or equals the first.
fn delimiter(begin: &[u8]) -> u8 {
    let (mut counts, mut quoted) = ([0_usize; DELIMITERS.len()], false);
    for byte in begin.iter().take_while(|&&byte| byte != b'\n') {
        quoted ^= *byte == b'"';
        if let Some(i) = DELIMITERS.iter().position(|delimiter| delimiter == byte).filter(|_| !quoted) {
            counts[i] += 1;
        }
    }
    let most = (0..DELIMITERS.len()).rev().max_by_key(|&i| counts[i]).unwrap_or(0);
    DELIMITERS[most]
}

/// What a reader of rows says, without the row, which is already named.
fn sentence(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string().chars().take(120).collect(),
    }
}

/// Reads no more than the budget allows.
struct Bounded<R> {
    inner: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.budget.get().checked_sub(read as u64) {
            Some(left) => self.budget.set(left),
            None => return Err(io::Error::other(format!("a row is longer than {ROW_BYTES_MAX} bytes; does a quote not end?"))),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
