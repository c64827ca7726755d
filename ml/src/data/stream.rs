//! A text on disk, read a window at a time: the file may be larger than the memory.
//!
//! Nothing of the text is kept, and there is no index of it. Window `i` of a file begins at byte
//! `i * stride`, moved on to the next character; the stride is what `context` tokens take in the mean, so
//! windows of plain ASCII stand exactly one behind the other and others nearly. A window that would end
//! behind its file is the file's last one. Windows never reach from one file into the next.
//!
//! The same files give the same windows on every machine. A file must not change while it is trained on:
//! one that became shorter or is gone is an error, not a panic.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::DataError;
use super::vocabulary::Vocabulary;

/// Longest UTF-8 character, bytes.
const CHARACTER_BYTES_MAX: u64 = 4;
/// Most bytes read for one window: 8,192 tokens of 2 KiB (a guess); beyond it a tokenizer makes nothing of the text.
const WINDOW_BYTES_MAX: u64 = 1 << 24;

/// One file of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// Windows of some files.
#[derive(Debug)]
pub(super) struct Stream {
    files: Vec<TextFile>,
    /// The first window of each file, and behind them the number of all.
    firsts: Vec<u32>,
    context: usize,
    /// Bytes from one window to the next.
    stride: u64,
    vocabulary: Vocabulary,
    /// The file that was last read, by its place.
    open: Mutex<Option<(usize, File)>>,
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        let parts = |stream: &Self| (stream.files.clone(), stream.context, stream.stride);
        parts(self) == parts(other) && self.vocabulary == other.vocabulary
    }
}

impl Stream {
    /// The windows of these files, which are UTF-8 throughout; `token_bytes` is the mean length of a token.
    ///
    /// # Errors
    /// [`DataError`] if no file has a window, if there are too many, or if one cannot be read.
    pub(super) fn new(files: Vec<TextFile>, vocabulary: Vocabulary, context: usize, token_bytes: f64) -> Result<Self, DataError> {
        if context == 0 {
            return Err(DataError::Shape(vec![context]));
        }
        let stride = ((context as f64 * token_bytes).round() as u64).max(1);
        let mut stream = Self { files, firsts: vec![0], context, stride, vocabulary, open: Mutex::new(None) };
        for place in 0..stream.files.len() {
            let before = u64::from(stream.firsts[place]);
            let windows = if stream.fits(place)? { (stream.files[place].bytes.saturating_sub(1) / stride).max(1) } else { 0 };
            let all = before.saturating_add(windows);
            stream.firsts.push(u32::try_from(all).map_err(|_| DataError::TooMany(usize::try_from(all).unwrap_or(usize::MAX)))?);
        }
        if stream.windows() == 0 {
            let bytes: u64 = stream.files.iter().map(|file| file.bytes).max().unwrap_or(0);
            let length = (bytes as f64 / token_bytes.max(f64::MIN_POSITIVE)) as usize;
            return Err(DataError::ShortText { length, context });
        }
        Ok(stream)
    }

    /// Windows in all.
    pub(super) fn windows(&self) -> u32 {
        self.firsts.last().copied().unwrap_or(0)
    }

    pub(super) const fn context(&self) -> usize {
        self.context
    }

    /// Labels are below this: one for each file.
    pub(super) const fn classes(&self) -> usize {
        self.files.len()
    }

    pub(super) fn vocabulary_size(&self) -> usize {
        self.vocabulary.size()
    }

    /// The file a window is from.
    pub(super) fn label(&self, window: u32) -> u32 {
        // The first that begins behind it, less one; `firsts` begins with 0, so there is one before.
        (self.firsts.partition_point(|&first| first <= window) as u32).saturating_sub(1)
    }

    /// The tokens of a window and the one behind them: `context + 1`.
    ///
    /// # Errors
    /// [`DataError::File`] if the file can no longer be read or is another.
    pub(super) fn window(&self, window: u32) -> Result<Vec<u32>, DataError> {
        let place = self.label(window) as usize;
        let (Some(file), Some(&first)) = (self.files.get(place), self.firsts.get(place)) else {
            return Err(DataError::NoExample { index: window as usize, len: self.windows() as usize });
        };
        let found = self.read(place, u64::from(window - first) * self.stride)?;
        found.ok_or_else(|| DataError::file(&file.path, "it changed while it was trained on"))
    }

    /// Whether a file has as many tokens as a window needs.
    fn fits(&self, place: usize) -> Result<bool, DataError> {
        Ok(self.read(place, 0)?.is_some())
    }

    /// `context + 1` tokens from a byte on, or the file's last ones. `None` if it has not as many.
    fn read(&self, place: usize, start: u64) -> Result<Option<Vec<u32>>, DataError> {
        let end = self.files[place].bytes;
        let (mut start, mut moved, wanted) = (start, false, self.context + 1);
        // A little more than the mean; doubled until it is enough.
        let mut length = self.stride + self.stride / 8 + 4 * CHARACTER_BYTES_MAX;
        loop {
            let bytes = self.bytes(place, start, length.min(end - start.min(end)))?;
            let mut tokens = self.vocabulary.encode(characters(&bytes));
            let at_end = start.saturating_add(length) >= end;
            if tokens.len() >= wanted {
                if moved {
                    tokens.drain(..tokens.len() - wanted);
                }
                tokens.truncate(wanted);
                return Ok(Some(tokens));
            }
            if (at_end && start == 0) || length > WINDOW_BYTES_MAX {
                return Ok(None);
            }
            length *= 2;
            if at_end {
                (start, moved) = (end.saturating_sub(length), true);
            }
        }
    }

    fn bytes(&self, place: usize, start: u64, length: u64) -> Result<Vec<u8>, DataError> {
        let path = &self.files[place].path;
        let refused = |error: std::io::Error| DataError::file(path, &error.to_string());
        // A thread that panicked left a file there, which is none the worse for it.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match open.take() {
            Some((last, file)) if last == place => file,
            _ => File::open(path).map_err(refused)?,
        };
        // At most `WINDOW_BYTES_MAX * 2`.
        let mut bytes = vec![0; length as usize];
        file.seek(SeekFrom::Start(start)).map_err(refused)?;
        file.read_exact(&mut bytes).map_err(refused)?;
        *open = Some((place, file));
        Ok(bytes)
    }
}

/// The whole characters of a piece of a text: one that is cut at either end is left out.
fn characters(bytes: &[u8]) -> &str {
    // A byte 10xxxxxx goes on with a character; there are three of them at most.
    let begin = bytes.iter().take(3).take_while(|&&byte| byte & 0xC0 == 0x80).count();
    let rest = &bytes[begin..];
    match std::str::from_utf8(rest) {
        Ok(text) => text,
        // The files were read through once, so only the end is cut; or the file was changed, and then this
        // is what is left of it.
        Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Tokenizer;
    use crate::data::tokenizer::tests::SMALL;
    use proptest::prelude::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(" abcdefgéß€𝄞").expect("a vocabulary")
    }

    fn stream(texts: &[&str], vocabulary: Vocabulary, context: usize) -> (tempfile::TempDir, Result<Stream, DataError>) {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |(i, text): (usize, &&str)| {
            let path = directory.path().join(format!("{i}.txt"));
            std::fs::write(&path, text).expect("written");
            TextFile { path, bytes: text.len() as u64 }
        };
        let files = texts.iter().enumerate().map(write).collect();
        let (bytes, count) = texts.iter().fold((0, 0), |(bytes, count), text| (bytes + text.len(), count + text.chars().count()));
        let made = Stream::new(files, vocabulary, context, bytes as f64 / count as f64);
        (directory, made)
    }

    fn decoded(stream: &Stream, window: u32) -> String {
        vocabulary().decode(&stream.window(window).expect("a window"))
    }

    #[test]
    fn windows_of_ascii_stand_one_behind_the_other() {
        let (_directory, stream) = stream(&["abcdefgabc", "gg", "fedcba "], vocabulary(), 3);
        let stream = stream.expect("a stream");
        assert_eq!((stream.windows(), stream.classes()), (5, 3));
        let windows: Vec<String> = (0..5).map(|window| decoded(&stream, window)).collect();
        assert_eq!(windows, ["abcd", "defg", "gabc", "fedc", "cba "]);
        assert_eq!((0..5).map(|window| stream.label(window)).collect::<Vec<_>>(), [0, 0, 0, 2, 2], "one file is too short");
    }

    #[test]
    fn a_text_without_a_window_is_refused() {
        let error = |texts: &[&str], context| stream(texts, vocabulary(), context).1.expect_err("refused").to_string();
        let message = "a text of 3 characters is too short for one example of 3 and the character after them";
        assert_eq!(error(&["abc", "a"], 3), message);
        assert_eq!(error(&["abc"], 0), "an example cannot have the shape [0]");
    }

    #[test]
    fn pieces_are_windows_too() {
        let vocabulary = Vocabulary::pieces(Tokenizer::parse(SMALL.as_bytes(), 8).expect("a tokenizer"));
        let text = "abcabc cab".repeat(40);
        let (_directory, stream) = stream(&[&text], vocabulary.clone(), 6);
        let stream = stream.expect("a stream");
        for window in 0..stream.windows() {
            let tokens = stream.window(window).expect("a window");
            assert_eq!(tokens.len(), 7);
            assert!(text.contains(&vocabulary.decode(&tokens)), "{tokens:?}");
        }
    }

    #[test]
    fn a_file_that_goes_away_is_an_error() {
        let (directory, stream) = stream(&["abcdefg", "abcdefg"], vocabulary(), 3);
        let stream = stream.expect("a stream");
        std::fs::write(directory.path().join("1.txt"), "abc").expect("written");
        std::fs::remove_file(directory.path().join("0.txt")).expect("removed");
        for window in 0..4 {
            let error = stream.window(window).expect_err("gone").to_string();
            assert!(error.contains(".txt: "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_window_is_a_piece_of_its_file(text in "[ a-gé€𝄞]{1,200}", context in 1_usize..20) {
            let (_directory, made) = stream(&[&text], vocabulary(), context);
            let long_enough = text.chars().count() > context;
            prop_assert_eq!(made.is_ok(), long_enough);
            if let Ok(stream) = made {
                for window in 0..stream.windows() {
                    let piece = decoded(&stream, window);
                    prop_assert_eq!(piece.chars().count(), context + 1);
                    prop_assert!(text.contains(&piece));
                }
            }
        }

        #[test]
        fn bytes_that_are_no_text_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(characters(&bytes).len() <= bytes.len());
        }
    }
}
