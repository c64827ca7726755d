//! A folder of PNG images for each class.
//!
//! The task's shape says how they are read: `[height, width]` and `[1, height, width]` gray, `[3, height,
//! width]` red, green and blue one after the other; 0 to 255 (or 65,535) become 0 to 1, transparency is left
//! out. Images must have that size, unless they are to be resized (by area, roughly: a triangle filter).

use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::imageops::{self, FilterType};
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use super::examples::Examples;
use super::folder::{Class, Classes};
use super::held_out;
use super::legend::{Labels, Legend, listed};
use super::place::{Place, SIDE_MAX};
use super::schema::Schema;
use super::{DataError, Split};
use crate::task::Task;

/// What a place of images may say.
pub(super) const SETTINGS: [&str; 2] = ["size", "test"];
/// Longest file, bytes: an image of the largest size that does not compress.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Memory that one image may take while it is decoded.
const DECODED_BYTES_MAX: u64 = 512 << 20;

/// What an example is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    colour: bool,
    /// Height and width.
    size: [usize; 2],
    resize: bool,
}

impl Frame {
    /// What this task takes.
    fn of(task: &Task, resize: bool) -> Result<Self, String> {
        match *task.inputs() {
            [height, width] | [1, height, width] => Ok(Self { colour: false, size: [height, width], resize }),
            [3, height, width] => Ok(Self { colour: true, size: [height, width], resize }),
            _ => Err(format!("images are [height, width] or [3, height, width], but the task takes {:?}", task.inputs())),
        }
    }

    fn numbers(self) -> usize {
        let [height, width] = self.size;
        height * width * if self.colour { 3 } else { 1 }
    }
}

/// The images as this task wants them.
///
/// # Errors
/// [`DataError`] names the file or the folder and what is wrong with it.
pub(super) fn load(place: &Place, task: &Task) -> Result<Split, DataError> {
    let frame = Frame::of(task, place.settings.size.is_some()).map_err(|reason| DataError::file(&place.path, &reason))?;
    if place.settings.size.is_some_and(|size| size != frame.size) {
        let [height, width] = frame.size;
        let (key, value) = ("size".to_owned(), place.settings.size.map(|[rows, columns]| format!("{columns}x{rows}")));
        let expected = format!("{width}x{height}, as the task says");
        return Err(DataError::Setting { key, value: value.unwrap_or_default(), expected });
    }
    let classes = Classes::find(&place.path, "png")?;
    let labels = Labels::new(task.legend(), task.classes());
    let train = read(&classes.train, &labels, frame)?;
    let test = classes.test.as_ref().map(|test| read(test, &labels, frame)).transpose()?;
    train.split(test, place.settings.test, task.inputs(), task.classes())
}

fn read(classes: &[Class], labels: &Labels<'_>, frame: Frame) -> Result<Examples, DataError> {
    let mut examples = Examples::default();
    for class in classes {
        let first = class.files.first().map_or(Path::new(""), |file| file.parent().unwrap_or(file));
        let label = labels.class(&class.name).map_err(|reason| DataError::file(first, &reason))?;
        for file in &class.files {
            let refused = |reason: String| DataError::file(file, &reason);
            examples.room(frame.numbers()).map_err(refused)?;
            let bytes = bytes(file)?;
            append(&bytes, frame, &mut examples.inputs).map_err(refused)?;
            examples.push(label, held_out::fate(&bytes));
        }
    }
    Ok(examples)
}

/// A whole file, if it is not too long.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let refused = |error: std::io::Error| DataError::unreadable(path, &error);
    let length = fs::metadata(path).map_err(refused)?.len();
    if length > FILE_BYTES_MAX {
        return Err(DataError::file(path, &format!("{length} bytes; at most {FILE_BYTES_MAX} are read")));
    }
    fs::read(path).map_err(refused)
}

/// One PNG image as this task wants it, resized if it is of another size: what a model is asked about.
///
/// # Errors
/// One sentence that says what is wrong with the image, or that the task takes no images.
pub fn image(bytes: &[u8], task: &Task) -> Result<Vec<f32>, String> {
    let mut inputs = Vec::new();
    append(bytes, Frame::of(task, true)?, &mut inputs)?;
    Ok(inputs)
}

/// Adds an image's numbers.
fn append(bytes: &[u8], frame: Frame, inputs: &mut Vec<f32>) -> Result<(), String> {
    let (found, _) = header(bytes)?;
    if found != frame.size && !frame.resize {
        let ([height, width], [rows, columns]) = (frame.size, found);
        return Err(format!("{columns} x {rows} pixels; {width} x {height} were expected (`?size={width}x{height}` resizes)"));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    reader.limits(limits());
    let image = reader.decode().map_err(|error| sentence(&error))?;
    let resized = |image: DynamicImage| {
        let [height, width] = frame.size.map(|side| side as u32);
        if found == frame.size { image } else { imageops::resize(&image, width, height, FilterType::Triangle).into() }
    };
    let level = |byte: &u8| f32::from(*byte) / 255.0;
    if frame.colour {
        let pixels = resized(image.into_rgb8().into()).into_rgb8().into_raw();
        (0..3).for_each(|channel| inputs.extend(pixels.iter().skip(channel).step_by(3).map(level)));
    } else {
        inputs.extend(resized(image.into_luma8().into()).into_luma8().as_raw().iter().map(level));
    }
    Ok(())
}

/// Height and width, and whether there is colour.
fn header(bytes: &[u8]) -> Result<([usize; 2], bool), String> {
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits()).map_err(|error| sentence(&error))?;
    let (width, height) = decoder.dimensions();
    let gray = matches!(decoder.color_type(), ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16);
    let size = [height as usize, width as usize];
    if size.iter().any(|side| !(1..=SIDE_MAX).contains(side)) {
        return Err(format!("{width} x {height} pixels; a side may have 1 to {SIDE_MAX}"));
    }
    Ok((size, !gray))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    limits
}

fn sentence(error: &image::ImageError) -> String {
    format!("not a PNG image that can be read: {}", error.to_string().chars().take(120).collect::<String>())
}

/// What the images look like, by their headers alone.
///
/// # Errors
/// As [`load`]; and if they have several sizes and are not to be resized.
pub(super) fn schema(place: &Place) -> Result<Schema, DataError> {
    let classes = Classes::find(&place.path, "png")?;
    let (mut size, mut colour, mut examples) = (place.settings.size, false, 0);
    for file in classes.all().flat_map(|class| &class.files) {
        let refused = |reason: String| DataError::file(file, &reason);
        let (found, coloured) = file_header(file)?.map_err(refused)?;
        let [height, width] = *size.get_or_insert(found);
        if found != [height, width] && place.settings.size.is_none() {
            let [rows, columns] = found;
            return Err(refused(format!(
                "{columns} x {rows} pixels, but others have {width} x {height} (`?size={width}x{height}` resizes)"
            )));
        }
        colour |= coloured;
        examples += 1;
    }
    let size = size.unwrap_or_default();
    let shape = if colour { vec![3, size[0], size[1]] } else { size.to_vec() };
    let names = classes.names();
    let count = names.len();
    Ok(Schema::Labelled { shape, classes: count, examples, legend: Legend::new(listed(names), Vec::new()) })
}

/// As [`header`], without reading the whole file.
fn file_header(path: &Path) -> Result<Result<([usize; 2], bool), String>, DataError> {
    use std::io::Read;
    let file = File::open(path).map_err(|error| DataError::unreadable(path, &error))?;
    let mut begin = Vec::new();
    // The size stands in the first 33 bytes; what comes before the pixels is rarely longer than this.
    BufReader::new(file).take(1 << 16).read_to_end(&mut begin).map_err(|error| DataError::unreadable(path, &error))?;
    match header(&begin) {
        Ok(found) => Ok(Ok(found)),
        Err(_) => Ok(header(&bytes(path)?)),
    }
}

#[cfg(test)]
mod tests;
