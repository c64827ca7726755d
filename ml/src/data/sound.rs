//! A folder of WAV recordings for each class, seen as spectrograms.
//!
//! The task's shape is `[bands, frames]`, a frame being ten milliseconds: `[32, 98]` is the first second in
//! 32 bands. A shorter recording goes on in silence. Channels are averaged. Whole numbers of 8 to 32 bits and
//! floats are read, 8,000 to 192,000 samples a second.

use std::collections::BTreeMap;
use std::io::Cursor;

use hound::{SampleFormat, WavReader};

use super::examples::Examples;
use super::folder::{Class, Classes};
use super::held_out;
use super::images::bytes;
use super::legend::{Labels, Legend, listed};
use super::mel::{Mel, RATES};
use super::place::Place;
use super::schema::Schema;
use super::{DataError, Split};
use crate::task::Task;

/// What a place of recordings may say.
pub(super) const SETTINGS: [&str; 3] = ["bands", "frames", "test"];
/// Bands and frames, if nobody says: about a second.
const BANDS: usize = 32;
const FRAMES: usize = 98;
/// Most rates whose spectrograms are kept at hand (a guess: a folder has one or two).
const MAKERS_MAX: usize = 16;
/// Most channels (a guess).
const CHANNELS_MAX: u16 = 64;

/// The recordings as this task wants them.
///
/// # Errors
/// [`DataError`] names the file or the folder and what is wrong with it.
pub(super) fn load(place: &Place, task: &Task) -> Result<Split, DataError> {
    let (&[bands, frames] | &[1, bands, frames]) = task.inputs() else {
        let reason = format!("recordings are [bands, frames], but the task takes {:?}", task.inputs());
        return Err(DataError::file(&place.path, &reason));
    };
    let settings = [("bands", place.settings.bands, bands), ("frames", place.settings.frames, frames)];
    if let Some((key, said, is)) = settings.into_iter().find(|&(_, said, is)| said.is_some_and(|said| said != is)) {
        let (key, value) = (key.to_owned(), said.map_or(String::new(), |said| said.to_string()));
        return Err(DataError::Setting { key, value, expected: format!("{is}, as the task says") });
    }
    let classes = Classes::find(&place.path, "wav")?;
    let labels = Labels::new(task.legend(), task.classes());
    let mut makers = BTreeMap::new();
    let mut part = |classes: &[Class]| read(classes, &labels, [bands, frames], &mut makers);
    let train = part(&classes.train)?;
    let test = classes.test.as_deref().map(part).transpose()?;
    train.split(test, place.settings.test, task.inputs(), task.classes())
}

fn read(
    classes: &[Class],
    labels: &Labels<'_>,
    [bands, frames]: [usize; 2],
    makers: &mut BTreeMap<u32, Mel>,
) -> Result<Examples, DataError> {
    let mut examples = Examples::default();
    for class in classes {
        for file in &class.files {
            let refused = |reason: String| DataError::file(file, &reason);
            let label = labels.class(&class.name).map_err(refused)?;
            examples.room(bands * frames).map_err(refused)?;
            let bytes = bytes(file)?;
            append(&bytes, [bands, frames], makers, &mut examples.inputs).map_err(refused)?;
            examples.push(label, held_out::fate(&bytes));
        }
    }
    Ok(examples)
}

/// Adds a recording's spectrogram. `makers` are those of the rates met so far.
fn append(
    bytes: &[u8],
    [bands, frames]: [usize; 2],
    makers: &mut BTreeMap<u32, Mel>,
    inputs: &mut Vec<f32>,
) -> Result<(), String> {
    let mut reader = open(bytes)?;
    let spec = reader.spec();
    if makers.len() >= MAKERS_MAX && !makers.contains_key(&spec.sample_rate) {
        makers.clear();
    }
    let mel = makers.entry(spec.sample_rate).or_insert_with(|| Mel::new(spec.sample_rate, bands));
    let (channels, wanted) = (usize::from(spec.channels), mel.samples(frames));
    let samples: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().take(wanted * channels).collect::<Result<_, _>>(),
        SampleFormat::Int => {
            let full = (1_u64 << (spec.bits_per_sample - 1)) as f32;
            let level = |sample: Result<i32, _>| sample.map(|sample| sample as f32 / full);
            reader.samples::<i32>().take(wanted * channels).map(level).collect()
        }
    }
    .map_err(|error| sentence(&error))?;
    if let Some(at) = samples.iter().position(|sample| !sample.is_finite() || sample.abs() > 1e6) {
        return Err(format!("sample {}: {} is not a level", at / channels + 1, samples[at]));
    }
    if samples.len() < channels {
        return Err("there is no sound in it".to_owned());
    }
    let mono: Vec<f32> = samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    mel.append(&mono, frames, inputs);
    Ok(())
}

/// A recording whose head is within bounds.
fn open(bytes: &[u8]) -> Result<WavReader<Cursor<&[u8]>>, String> {
    let reader = WavReader::new(Cursor::new(bytes)).map_err(|error| sentence(&error))?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        return Err(format!("{} samples a second; 8000 to 192000 are read", spec.sample_rate));
    }
    if !(1..=CHANNELS_MAX).contains(&spec.channels) || !(8..=32).contains(&spec.bits_per_sample) {
        let (channels, bits) = (spec.channels, spec.bits_per_sample);
        return Err(format!("{channels} channels of {bits} bits; 1 to {CHANNELS_MAX} of 8 to 32 are read"));
    }
    Ok(reader)
}

fn sentence(error: &hound::Error) -> String {
    format!("not a WAV recording that can be read: {}", error.to_string().chars().take(120).collect::<String>())
}

/// What the recordings look like: as many frames as the longest has, a second at most, unless the place says.
///
/// # Errors
/// As [`load`].
pub(super) fn schema(place: &Place) -> Result<Schema, DataError> {
    let classes = Classes::find(&place.path, "wav")?;
    let (mut longest, mut examples) = (1, 0);
    for file in classes.all().flat_map(|class| &class.files) {
        let bytes = bytes(file)?;
        let reader = open(&bytes).map_err(|reason| DataError::file(file, &reason))?;
        let length = u64::from(reader.duration());
        longest = longest.max(length * 100 / u64::from(reader.spec().sample_rate));
        examples += 1;
    }
    let frames = place.settings.frames.unwrap_or_else(|| usize::try_from(longest).map_or(FRAMES, |longest| longest.min(FRAMES)));
    let shape = vec![place.settings.bands.unwrap_or(BANDS), frames];
    let names = classes.names();
    Ok(Schema::Labelled { shape, classes: names.len(), examples, legend: Legend::new(listed(names), Vec::new()) })
}

#[cfg(test)]
mod tests;
