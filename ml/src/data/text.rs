//! Text on disk: a file, or a folder of `.txt` files one behind the other in the order of their names.
//!
//! It is read through once, to know that it is UTF-8 and how long its characters are, and then window by
//! window as training wants it: the text may be larger than the memory. The last part is held out. Windows of
//! a folder are labelled with the file they are from, which is what a natural partition goes by.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::folder;
use super::place::Place;
use super::schema::Schema;
use super::stream::{Stream, TextFile};
use super::vocabulary::Vocabulary;
use super::{DataError, Dataset, Split};
use crate::task::Task;

/// What a place of text may say.
pub(super) const SETTINGS: [&str; 1] = ["test"];
/// Most files of a folder (a guess).
const FILES_MAX: usize = 1 << 16;
/// Read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Most windows that are held out if nobody says how much: testing a model takes as long as so many steps
/// of training with one window (a guess at what is precise enough: half a percent of bits a character).
const HELD_OUT_MAX: usize = 2_048;
/// Text that is cut into pieces to learn how long they are.
const SAMPLE_BYTES: u64 = 1 << 18;

/// The windows as this task wants them.
///
/// # Errors
/// [`DataError`] names the file and what is wrong with it.
pub(super) fn load(place: &Place, task: &Task) -> Result<Split, DataError> {
    let vocabulary = task.vocabulary().ok_or(DataError::OtherKind { task: "labelled examples", data: "text" })?;
    let context = task.inputs().iter().product();
    let mut characters = 0_u64;
    let files = read(place, &mut |_, text| characters += text.chars().count() as u64)?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if characters == 0 {
        return Err(DataError::ShortText { length: 0, context });
    }
    let token_bytes = match vocabulary.are_characters() {
        true => bytes as f64 / characters as f64,
        false => piece_bytes(&files, vocabulary)?,
    };
    let data = Dataset::stream(Stream::new(files, vocabulary.clone(), context, token_bytes)?);
    let held_out = match place.settings.test {
        Some(share) => share.of(data.len()),
        None => super::held_out::Share::DEFAULT.of(data.len()).min(HELD_OUT_MAX),
    };
    if held_out >= data.len() {
        return Err(DataError::Split { held_out, len: data.len() });
    }
    let train = data.len() - held_out;
    Ok(Split { train: data.stretch(0, train)?, test: data.stretch(train, held_out)? })
}

/// The mean length of a piece at the beginning of the longest file.
fn piece_bytes(files: &[TextFile], vocabulary: &Vocabulary) -> Result<f64, DataError> {
    let Some(longest) = files.iter().max_by_key(|file| file.bytes) else { return Ok(1.0) };
    let refused = |error: std::io::Error| DataError::unreadable(&longest.path, &error);
    let mut bytes = Vec::new();
    File::open(&longest.path).map_err(refused)?.take(SAMPLE_BYTES).read_to_end(&mut bytes).map_err(refused)?;
    let tokens = vocabulary.encode(&String::from_utf8_lossy(&bytes)).len();
    if tokens == 0 {
        return Err(DataError::file(&longest.path, "the tokenizer has no piece for what is at its beginning"));
    }
    Ok(bytes.len() as f64 / tokens as f64)
}

/// Reads the whole text once and hands it over piece by piece, with the number of the file.
///
/// # Errors
/// [`DataError::File`] names the file and the line that is not UTF-8.
pub(super) fn read(place: &Place, each: &mut dyn FnMut(usize, &str)) -> Result<Vec<TextFile>, DataError> {
    let path = &place.path;
    let paths = if path.is_dir() { folder::files(path, "txt")? } else { vec![path.clone()] };
    if paths.is_empty() {
        return Err(DataError::file(path, "there is no .txt file in this folder"));
    }
    if paths.len() > FILES_MAX {
        return Err(DataError::file(path, &format!("{} files; at most {FILES_MAX} are read", paths.len())));
    }
    let mut buffer = vec![0; CHUNK_BYTES];
    let whole = |(i, path): (usize, &std::path::PathBuf)| {
        let bytes = read_file(path, &mut buffer, &mut |text| each(i, text))?;
        Ok(TextFile { path: path.clone(), bytes })
    };
    paths.iter().enumerate().map(whole).collect()
}

/// Reads one file; its length in bytes.
fn read_file(path: &Path, buffer: &mut [u8], each: &mut dyn FnMut(&str)) -> Result<u64, DataError> {
    let refused = |error: std::io::Error| DataError::unreadable(path, &error);
    let mut file = File::open(path).map_err(refused)?;
    let (mut bytes, mut lines, mut held) = (0_u64, 1_u64, 0);
    loop {
        let read = file.read(&mut buffer[held..]).map_err(refused)?;
        let end = held + read;
        let valid = match std::str::from_utf8(&buffer[..end]) {
            Ok(_) => end,
            // Cut in a character, unless the file ends here.
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            Err(error) => {
                let line = lines + newlines(&buffer[..error.valid_up_to()]);
                return Err(DataError::file(path, &format!("line {line} is not UTF-8, so this is no text")));
            }
        };
        // Checked just now.
        each(std::str::from_utf8(&buffer[..valid]).unwrap_or_default());
        if read == 0 {
            return Ok(bytes + valid as u64);
        }
        bytes += valid as u64;
        lines += newlines(&buffer[..valid]);
        buffer.copy_within(valid..end, 0);
        held = end - valid;
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// What the text is made of.
///
/// # Errors
/// As [`load`].
pub(super) fn schema(place: &Place) -> Result<Schema, DataError> {
    let mut characters = Characters::default();
    read(place, &mut |_, text| characters.add(text))?;
    Ok(Schema::Text { characters: characters.vocabulary(), length: usize::try_from(characters.length).unwrap_or(usize::MAX) })
}

/// The different characters of a text.
#[derive(Debug, Default)]
pub(super) struct Characters {
    ascii: u128,
    others: BTreeSet<char>,
    length: u64,
}

impl Characters {
    /// Takes note of a piece.
    pub(super) fn add(&mut self, text: &str) {
        for character in text.chars() {
            self.length += 1;
            if character.is_ascii() {
                self.ascii |= 1 << u32::from(character);
            } else {
                self.others.insert(character);
            }
        }
    }

    /// In order, a space before all others: what a vocabulary does not have is read as its first.
    pub(super) fn vocabulary(&self) -> String {
        let ascii = (0..128_u8).filter(|&code| self.ascii >> code & 1 == 1 && code != b' ').map(char::from);
        std::iter::once(' ').chain(ascii).chain(self.others.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests;
