//! Where data lies and how it is to be read: `path?key=value&key=value`.
//!
//! What stands behind the last `?` is settings only if it looks like them, so a path may have a `?` in it.
//! In a value `%26`, `%25` and the like stand for characters that would end it.

use std::fmt;
use std::path::PathBuf;

use super::DataError;
use super::held_out::Share;

/// Most bands and frames of a spectrogram (guesses: 128 is what speech recognisers take, 3,000 are half a minute).
const BANDS_MAX: usize = 128;
const FRAMES_MAX: usize = 3_000;
/// Largest side of an image, pixels (a guess).
pub(super) const SIDE_MAX: usize = 4_096;

/// A path and the settings behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// A file or a folder.
    pub path: PathBuf,
    /// How to read it.
    pub settings: Settings,
}

/// How data is to be read; what is not said is found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `label=COLUMN`: the column of a table that is to be predicted.
    pub label: Option<String>,
    /// `natural=COLUMN`: the column of a table that says whose a row is.
    pub natural: Option<String>,
    /// `skip=COLUMN,COLUMN`: columns of a table that are not looked at.
    pub skip: Vec<String>,
    /// `missing=mean`: an empty cell is read as the mean, or as none of the words.
    pub missing_is_mean: bool,
    /// `test=0.1`: the share that is held out, of data that has no test part.
    pub test: Option<Share>,
    /// `size=28x28`: rows and columns that images are resized to, written as width x height.
    pub size: Option<[usize; 2]>,
    /// `bands=32`: bands of a spectrogram.
    pub bands: Option<usize>,
    /// `frames=98`: frames of a spectrogram, 10 ms each.
    pub frames: Option<usize>,
}

impl Place {
    /// Reads a path and the settings behind it, of which `known` may be there.
    ///
    /// # Errors
    /// [`DataError::Setting`] names the key and says what would be right.
    pub(super) fn parse(text: &str, known: &[&str]) -> Result<Self, DataError> {
        let settings = text.rsplit_once('?').filter(|(path, settings)| !path.is_empty() && settings.contains('='));
        let (path, pairs) = settings.map_or((text, ""), |(path, settings)| (path, settings));
        let mut settings = Settings::default();
        for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            settings.set(key, &decoded(value), known)?;
        }
        Ok(Self { path: PathBuf::from(path), settings })
    }
}

impl Settings {
    fn set(&mut self, key: &str, value: &str, known: &[&str]) -> Result<(), DataError> {
        let wrong = |expected: &str| DataError::Setting { key: short(key), value: short(value), expected: expected.to_owned() };
        if !known.contains(&key) {
            let there = if known.is_empty() {
                "left out: this data has no settings".to_owned()
            } else {
                format!("one of {}", known.join(", "))
            };
            return Err(wrong(&there));
        }
        let column = || (!value.is_empty()).then(|| value.to_owned()).ok_or_else(|| wrong("the name of a column"));
        let count = |most: usize| {
            let count = value.parse().ok().filter(|count| (1..=most).contains(count));
            count.ok_or_else(|| wrong(&format!("a whole number between 1 and {most}")))
        };
        match key {
            "label" => self.label = Some(column()?),
            "natural" => self.natural = Some(column()?),
            "skip" => self.skip = value.split(',').map(str::to_owned).collect(),
            "missing" if value == "mean" => self.missing_is_mean = true,
            "missing" => return Err(wrong("\"mean\"; without it an empty cell is refused")),
            "test" => self.test = Some(value.parse().map_err(|()| wrong(Share::EXPECTED))?),
            "size" => self.size = Some(size(value).ok_or_else(|| wrong("WIDTHxHEIGHT in pixels, each between 1 and 4096"))?),
            "bands" => self.bands = Some(count(BANDS_MAX)?),
            _ => self.frames = Some(count(FRAMES_MAX)?),
        }
        Ok(())
    }

    /// Every setting that is there, as it is written.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        let mut add = |key, value: Option<String>| pairs.extend(value.map(|value| (key, value)));
        add("label", self.label.clone());
        add("natural", self.natural.clone());
        add("skip", (!self.skip.is_empty()).then(|| self.skip.join(",")));
        add("missing", self.missing_is_mean.then(|| "mean".to_owned()));
        add("test", self.test.map(|share| share.to_string()));
        add("size", self.size.map(|[rows, columns]| format!("{columns}x{rows}")));
        add("bands", self.bands.map(|bands| bands.to_string()));
        add("frames", self.frames.map(|frames| frames.to_string()));
        pairs
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        for (i, (key, value)) in self.settings.pairs().into_iter().enumerate() {
            write!(f, "{}{key}={}", if i == 0 { '?' } else { '&' }, encoded(&value))?;
        }
        Ok(())
    }
}

/// Width x height as rows and columns.
fn size(text: &str) -> Option<[usize; 2]> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=SIDE_MAX).contains(side));
    Some([side(height)?, side(width)?])
}

fn encoded(value: &str) -> String {
    value.replace('%', "%25").replace('&', "%26").replace('?', "%3F")
}

fn decoded(value: &str) -> String {
    value.replace("%3F", "?").replace("%26", "&").replace("%25", "%")
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [&str; 8] = ["label", "natural", "skip", "missing", "test", "size", "bands", "frames"];

    #[test]
    fn settings_are_read_and_written() {
        let text = "a/b.csv?label=kind of%26&natural=who&skip=id,day&missing=mean&test=0.25&size=28x14&bands=40&frames=98";
        let place = Place::parse(text, &ALL).expect("a place");
        assert_eq!((place.settings.label.as_deref(), place.settings.size), (Some("kind of&"), Some([14, 28])));
        assert_eq!(place.to_string(), text);
        for path in ["a?b", "what?.csv", "?x=1", "a?"] {
            let place = Place::parse(path, &ALL).expect("a path");
            assert_eq!((place.path.to_str(), place.settings), (Some(path), Settings::default()));
        }
    }

    #[test]
    fn a_wrong_setting_is_told() {
        let error = |text: &str, known: &[&str]| Place::parse(text, known).expect_err("refused").to_string();
        let table = [
            ("x?test=1", "`test` is \"1\", but must be a number above 0 and at most 0.9"),
            ("x?test=nan", "`test` is \"nan\", but must be a number above 0 and at most 0.9"),
            ("x?size=28", "`size` is \"28\", but must be WIDTHxHEIGHT in pixels, each between 1 and 4096"),
            ("x?size=0x28", "`size` is \"0x28\", but must be WIDTHxHEIGHT in pixels, each between 1 and 4096"),
            ("x?bands=129", "`bands` is \"129\", but must be a whole number between 1 and 128"),
            ("x?frames=", "`frames` is \"\", but must be a whole number between 1 and 3000"),
            ("x?label=", "`label` is \"\", but must be the name of a column"),
            ("x?missing=0", "`missing` is \"0\", but must be \"mean\"; without it an empty cell is refused"),
        ];
        for (text, expected) in table {
            assert_eq!(error(text, &ALL), expected);
        }
        assert_eq!(error("x?size=1x1", &["test"]), "`size` is \"1x1\", but must be one of test");
        assert_eq!(error("x?size=1x1", &[]), "`size` is \"1x1\", but must be left out: this data has no settings");
    }

    proptest! {
        #[test]
        fn any_column_survives(label in "[ -~]{1,20}", path in "[a-z/?.]{1,12}") {
            let settings = Settings { label: Some(label), ..Settings::default() };
            let place = Place { path: path.into(), settings };
            prop_assert_eq!(Place::parse(&place.to_string(), &ALL), Ok(place));
        }

        #[test]
        fn nothing_panics(text in "[ -~]{0,40}") {
            let _ = Place::parse(&text, &ALL);
        }
    }
}
