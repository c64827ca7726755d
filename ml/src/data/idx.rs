//! The four files of MNIST and its kin, in the IDX format, packed with gzip or not.
//!
//! An IDX file is two zero bytes, a type (8: unsigned byte), the number of dimensions, the length of
//! each as four bytes, the highest first, and then the values, the last dimension varying fastest.
//! Pixels, 0 to 255, become 0 to 1.
//!
//! Files come from outside: what a header announces is bounded before anything is read for it, a
//! file that is shorter or longer is refused, and no more is kept in memory than was really there.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::examples::VALUES_MAX;
use super::{DataError, Dataset, Split};

/// Images and labels to train on, images and labels to test on: the names that MNIST's files have.
pub const FILES: [[&str; 2]; 2] =
    [["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]];

/// The type of an unsigned byte, the only one that images and labels have.
const UNSIGNED_BYTE: u8 = 8;
/// What a gzip file begins with (RFC 1952), and no IDX file does.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// The data set in this directory: four files with the names of [`FILES`], each with or without
/// `.gz` behind it.
///
/// # Errors
/// [`DataError::File`] names the file and what is wrong with it; [`DataError`] if a label is not
/// below `classes`.
pub fn load(directory: &Path, classes: usize) -> Result<Split, DataError> {
    let [train, test] = FILES;
    let part = |[images, labels]: [&str; 2]| dataset(&find(directory, images), &find(directory, labels), classes);
    let split = Split { train: part(train)?, test: part(test)? };
    if split.train.shape() != split.test.shape() {
        return Err(DataError::OtherShape { task: split.train.shape().to_vec(), data: split.test.shape().to_vec() });
    }
    Ok(split)
}

/// Whether the first of the four files lies here.
pub(super) fn lies_in(directory: &Path) -> bool {
    find(directory, FILES[0][0]).is_file()
}

/// The file as it is named, or else with `.gz`.
fn find(directory: &Path, name: &str) -> PathBuf {
    let (plain, packed) = (directory.join(name), directory.join(format!("{name}.gz")));
    if !plain.exists() && packed.exists() { packed } else { plain }
}

fn dataset(images: &Path, labels: &Path, classes: usize) -> Result<Dataset, DataError> {
    let (shape, pixels) = read::<3>(images)?;
    let (_, labels_read) = read::<1>(labels)?;
    let [count, rows, columns] = shape;
    if count != labels_read.len() {
        let reason = format!("{} labels for the {count} images beside them", labels_read.len());
        return Err(DataError::file(labels, &reason));
    }
    let inputs = pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    Dataset::new(inputs, labels_read.into_iter().map(u32::from).collect(), &[rows, columns], classes)
}

/// The lengths and values of a file of `DIMENSIONS` dimensions.
fn read<const DIMENSIONS: usize>(path: &Path) -> Result<([usize; DIMENSIONS], Vec<u8>), DataError> {
    let file = File::open(path).map_err(|error| DataError::unreadable(path, &error))?;
    parse(BufReader::new(file)).map_err(|reason| DataError::file(path, &reason))
}

/// As [`read`], from anything that can be read.
fn parse<const DIMENSIONS: usize>(mut reader: impl Read) -> Result<([usize; DIMENSIONS], Vec<u8>), String> {
    let mut first = [0; GZIP.len()];
    fill(&mut reader, &mut first)?;
    let whole = (&first[..]).chain(reader);
    if first == GZIP { unpacked(GzDecoder::new(whole)) } else { unpacked(whole) }
}

fn unpacked<const DIMENSIONS: usize>(mut reader: impl Read) -> Result<([usize; DIMENSIONS], Vec<u8>), String> {
    let mut magic = [0; 4];
    fill(&mut reader, &mut magic)?;
    let [0, 0, kind, dimensions] = magic else { return Err("not an IDX file".to_owned()) };
    if kind != UNSIGNED_BYTE {
        return Err(format!("values of type {kind:#04x}; only unsigned bytes (0x08) are read"));
    }
    if usize::from(dimensions) != DIMENSIONS {
        return Err(format!("{dimensions} dimensions; {DIMENSIONS} were expected"));
    }
    let (mut lengths, mut values) = ([0_usize; DIMENSIONS], 1_u64);
    for length in &mut lengths {
        let mut bytes = [0; 4];
        fill(&mut reader, &mut bytes)?;
        let announced = u32::from_be_bytes(bytes);
        values = values.saturating_mul(announced.into());
        *length = announced as usize;
    }
    if values == 0 || values > VALUES_MAX {
        return Err(format!("{lengths:?} values announced; there must be one at least and {VALUES_MAX} at most"));
    }
    let mut bytes = Vec::new();
    // One byte more would be one too many.
    reader.take(values + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 != values {
        let found = if bytes.len() as u64 > values { "more".to_owned() } else { bytes.len().to_string() };
        return Err(format!("{values} values announced, but {found} found"));
    }
    Ok((lengths, bytes))
}

fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "shorter than its header".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests;
