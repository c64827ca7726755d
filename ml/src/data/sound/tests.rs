//! Recordings as they should be, and as an enemy would write them.

use std::path::Path;

use hound::{WavSpec, WavWriter};
use proptest::prelude::*;

use super::*;
use crate::data::Source;
use crate::data::source::tests::{classify, error};

fn wav(rate: u32, channels: u16, bits: u16, samples: &[f32]) -> Vec<u8> {
    let sample_format = if bits == 0 { SampleFormat::Float } else { SampleFormat::Int };
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: if bits == 0 { 32 } else { bits }, sample_format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).expect("a writer");
    for &sample in samples {
        match bits {
            0 => writer.write_sample(sample).expect("written"),
            _ => writer.write_sample((sample * (1_i64 << (bits - 1)) as f32 * 0.999) as i32).expect("written"),
        }
    }
    writer.finalize().expect("finished");
    bytes.into_inner()
}

fn tone(rate: u32, hz: f32, channels: usize) -> Vec<f32> {
    let sample = |i: u32| (std::f32::consts::TAU * hz * i as f32 / rate as f32).sin() / 2.0;
    (0..rate / 2).flat_map(|i| std::iter::repeat_n(sample(i), channels)).collect()
}

fn picture(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let mut inputs = Vec::new();
    append(bytes, [8, 40], &mut BTreeMap::new(), &mut inputs)?;
    Ok(inputs)
}

#[test]
fn the_same_sound_looks_the_same_however_it_is_written() {
    let expected = picture(&wav(16_000, 1, 0, &tone(16_000, 900.0, 1))).expect("a picture");
    assert_eq!(expected.len(), 320);
    for (rate, channels, bits) in [(16_000, 1, 16), (16_000, 2, 24), (16_000, 1, 32), (16_000, 1, 8), (44_100, 2, 16)] {
        let found = picture(&wav(rate, channels, bits, &tone(rate, 900.0, channels.into()))).expect("a picture");
        // Eight bits and another rate add a noise of their own where there was silence; where the tone is, it is.
        let loud = expected.iter().zip(&found).filter(|(expected, _)| **expected > 0.0);
        let far = loud.map(|(expected, found)| (expected - found).abs()).fold(0.0, f32::max);
        assert!(far < 0.1, "{rate} Hz, {channels} channels, {bits} bits: {far}");
    }
}

#[test]
fn a_folder_of_recordings_is_a_task() {
    let directory = tempfile::tempdir().expect("a directory");
    for (class, hz) in [("high", 2_000.0), ("low", 200.0)] {
        std::fs::create_dir(directory.path().join(class)).expect("made");
        for i in 0..4 {
            let bytes = wav(8_000, 1, 16, &tone(8_000, hz + i as f32, 1));
            std::fs::write(directory.path().join(class).join(format!("{i}.wav")), bytes).expect("written");
        }
    }
    let source = |rest: &str| -> Source { format!("wav:{}{rest}", directory.path().display()).parse().expect("a source") };
    let Ok(Schema::Labelled { shape, classes, examples, legend }) = source("").schema() else { panic!("recordings") };
    assert_eq!((shape, classes, examples), (vec![32, 50], 2, 8));
    let split = source("?test=0.3").load(&classify("[8, 40]", 2, &legend.to_toml()), 1).expect("a split");
    assert_eq!((split.train.len() + split.test.len(), split.train.shape()), (8, &[8, 40][..]));
    assert_eq!(error(&source("?bands=9"), &classify("[8, 40]", 2, "")), "`bands` is \"9\", but must be 8, as the task says");
    let told = error(&source(""), &classify("[8, 40]", 2, ""));
    assert!(told.contains("a label must be a whole number below 2; \"high\" is not"), "{told}");
    std::fs::write(directory.path().join("low/0.wav"), wav(4_000, 1, 16, &[0.0; 9])).expect("written");
    let told = error(&source(""), &classify("[8, 40]", 2, &legend.to_toml()));
    assert!(told.ends_with("low/0.wav: 4000 samples a second; 8000 to 192000 are read"), "{told}");
}

#[test]
fn a_broken_recording_is_told() {
    let whole = wav(8_000, 2, 16, &tone(8_000, 500.0, 2));
    let begins = "not a WAV recording that can be read: ";
    for cut in [0, 4, 20, 43] {
        let told = picture(&whole[..cut]).expect_err("refused");
        assert!(told.starts_with(begins), "{told}");
    }
    assert!(picture(&whole[..46]).is_err(), "cut in the first sample");
    assert!(picture(&whole[..44]).is_err(), "a head and no sound");
    assert_eq!(picture(&wav(8_000, 1, 0, &[0.0, f32::NAN])), Err("sample 2: NaN is not a level".to_owned()));
    assert_eq!(picture(&wav(8_000, 1, 16, &[])), Err("there is no sound in it".to_owned()));
    assert_eq!(bytes(Path::new("no/such.wav")).expect_err("refused").to_string(), "no/such.wav: there is no such file or folder");
}

proptest! {
    #[test]
    fn nothing_panics(at in 0_usize..60, byte: u8, cut in 0_usize..80, noise in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = wav(8_000, 2, 16, &[0.1; 40]);
        bytes.truncate(bytes.len() - cut);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        for bytes in [bytes, noise.clone(), [&b"RIFF\x20\0\0\0WAVEfmt \x10\0\0\0"[..], &noise].concat()] {
            if let Ok(inputs) = picture(&bytes) {
                prop_assert!(inputs.len() == 320 && inputs.iter().all(|input| input.is_finite()));
            }
        }
    }
}
