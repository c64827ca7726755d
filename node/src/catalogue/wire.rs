//! Questions about runs and their answers as bytes (PROTOCOL 10).
//!
//! Lengths are checked before anything is parsed or allocated, nothing may be left over, and each value
//! has one encoding. Whatever is wrong with an answer is a typed reason.

use shoal_protocol::id::RunId;
use shoal_protocol::spec::{NAME_BYTES_MAX, SPEC_BYTES_MAX};

/// The first byte of every question and answer.
const VERSION: u8 = 1;
const KIND_NOT_HERE: u8 = 0;
const KIND_LIST: u8 = 1;
const KIND_SPEC: u8 = 2;
/// Bytes before the payload.
const HEAD_BYTES: usize = 2;
/// Most runs in one answer.
pub const ENTRIES_MAX: usize = 64;
/// An entry without its name: run, model bytes, rounds, peers, accuracy, length of the name.
const ENTRY_BYTES: usize = 32 + 8 + 8 + 4 + 2 + 1;
/// Longest answer to [`Question::List`].
pub const LIST_BYTES_MAX: usize = HEAD_BYTES + 1 + ENTRIES_MAX * (ENTRY_BYTES + NAME_BYTES_MAX);
/// Longest answer to [`Question::Spec`], the longer of the two.
pub const ANSWER_BYTES_MAX: usize = HEAD_BYTES + SPEC_BYTES_MAX;
/// Accuracy is sent in ten-thousandths.
const ACCURACY_UNIT: f64 = 10_000.0;
const ACCURACY_UNKNOWN: u16 = u16::MAX;

/// What anybody may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// "Which runs do you offer or take part in?"
    List,
    /// "Give me the spec of this run."
    Spec(RunId),
}

/// What a node says of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Its name: 1 to 64 letters, digits, '-', '_' or '.'.
    pub name: String,
    /// The model as dense f32, bytes.
    pub model_bytes: u64,
    /// Rounds that the node has done; 0 if it only offers the run.
    pub rounds: u64,
    /// Peers of the run that it knows.
    pub peers: u32,
    /// Share of its held-out data that its weights get right, 0 to 1, if it has looked.
    pub accuracy: Option<f64>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Not offered here.
    NotHere,
    /// The answer to [`Question::List`].
    List(Vec<Entry>),
    /// The answer to [`Question::Spec`]: TOML, at most [`SPEC_BYTES_MAX`].
    Spec(String),
}

/// Why bytes are no question or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Longer than its kind can be.
    #[error("it is too long")]
    Oversized,
    /// Shorter than it says.
    #[error("it is cut short")]
    Truncated,
    /// Something follows it.
    #[error("something is left over after it")]
    Trailing,
    /// Another version.
    #[error("it has another version")]
    Version,
    /// Neither asked for nor known.
    #[error("it is of another kind")]
    Kind,
    /// More than [`ENTRIES_MAX`] runs, or one run twice.
    #[error("its list has too many runs, or one twice")]
    List,
    /// A name that no spec can have.
    #[error("a run's name in it is none")]
    Name,
    /// An accuracy above 1.
    #[error("an accuracy in it is above 1")]
    Accuracy,
    /// Not UTF-8.
    #[error("the spec in it is no text")]
    Text,
}

impl Question {
    /// The question as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::List => vec![VERSION, KIND_LIST],
            Self::Spec(run) => [&[VERSION, KIND_SPEC][..], &run.0].concat(),
        }
    }

    /// Reads a question.
    ///
    /// # Errors
    /// [`CatalogueError`] says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, CatalogueError> {
        let (kind, rest) = open(bytes)?;
        match kind {
            KIND_LIST if rest.is_empty() => Ok(Self::List),
            KIND_SPEC if rest.len() < 32 => Err(CatalogueError::Truncated),
            KIND_SPEC => rest.try_into().map(|run| Self::Spec(RunId(run))).map_err(|_| CatalogueError::Trailing),
            KIND_LIST => Err(CatalogueError::Trailing),
            _ => Err(CatalogueError::Kind),
        }
    }

    /// The longest answer there can be.
    #[must_use]
    pub const fn answer_bytes_max(&self) -> usize {
        match self {
            Self::List => LIST_BYTES_MAX,
            Self::Spec(_) => ANSWER_BYTES_MAX,
        }
    }
}

impl Answer {
    /// The answer as bytes; of a list the first [`ENTRIES_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::NotHere => vec![VERSION, KIND_NOT_HERE],
            Self::Spec(text) => [&[VERSION, KIND_SPEC][..], text.as_bytes()].concat(),
            Self::List(entries) => {
                let entries = &entries[..entries.len().min(ENTRIES_MAX)];
                let mut bytes = vec![VERSION, KIND_LIST, entries.len() as u8];
                for entry in entries {
                    entry.append(&mut bytes);
                }
                bytes
            }
        }
    }

    /// Reads the answer to this question.
    ///
    /// # Errors
    /// [`CatalogueError`] says what is wrong with it.
    pub fn decode(question: &Question, bytes: &[u8]) -> Result<Self, CatalogueError> {
        if bytes.len() > question.answer_bytes_max() {
            return Err(CatalogueError::Oversized);
        }
        let (kind, rest) = open(bytes)?;
        match (kind, question) {
            (KIND_NOT_HERE, _) if rest.is_empty() => Ok(Self::NotHere),
            (KIND_NOT_HERE, _) => Err(CatalogueError::Trailing),
            (KIND_LIST, Question::List) => decode_list(rest),
            (KIND_SPEC, Question::Spec(_)) => {
                core::str::from_utf8(rest).map(|text| Self::Spec(text.to_owned())).map_err(|_| CatalogueError::Text)
            }
            _ => Err(CatalogueError::Kind),
        }
    }
}

impl Entry {
    fn append(&self, bytes: &mut Vec<u8>) {
        let accuracy = self.accuracy.map_or(ACCURACY_UNKNOWN, |share| (share.clamp(0.0, 1.0) * ACCURACY_UNIT).round() as u16);
        let name = &self.name.as_bytes()[..self.name.len().min(NAME_BYTES_MAX)];
        bytes.extend_from_slice(&self.run.0);
        bytes.extend_from_slice(&self.model_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.rounds.to_le_bytes());
        bytes.extend_from_slice(&self.peers.to_le_bytes());
        bytes.extend_from_slice(&accuracy.to_le_bytes());
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name);
    }

    fn take(bytes: &[u8]) -> Result<(Self, &[u8]), CatalogueError> {
        let (run, bytes) = take::<32>(bytes)?;
        let (model_bytes, bytes) = take::<8>(bytes)?;
        let (rounds, bytes) = take::<8>(bytes)?;
        let (peers, bytes) = take::<4>(bytes)?;
        let (accuracy, bytes) = take::<2>(bytes)?;
        let ([length], bytes) = take::<1>(bytes)?;
        let (name, bytes) = bytes.split_at_checked(usize::from(length)).ok_or(CatalogueError::Truncated)?;
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.iter().all(plain) {
            return Err(CatalogueError::Name);
        }
        let accuracy = match u16::from_le_bytes(accuracy) {
            ACCURACY_UNKNOWN => None,
            share if f64::from(share) > ACCURACY_UNIT => return Err(CatalogueError::Accuracy),
            share => Some(f64::from(share) / ACCURACY_UNIT),
        };
        let entry = Self {
            run: RunId(run),
            name: String::from_utf8_lossy(name).into_owned(),
            model_bytes: u64::from_le_bytes(model_bytes),
            rounds: u64::from_le_bytes(rounds),
            peers: u32::from_le_bytes(peers),
            accuracy,
        };
        Ok((entry, bytes))
    }
}

fn open(bytes: &[u8]) -> Result<(u8, &[u8]), CatalogueError> {
    match bytes {
        [VERSION, kind, rest @ ..] => Ok((*kind, rest)),
        [_, _, ..] => Err(CatalogueError::Version),
        _ => Err(CatalogueError::Truncated),
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), CatalogueError> {
    bytes.split_first_chunk::<N>().map(|(head, rest)| (*head, rest)).ok_or(CatalogueError::Truncated)
}

fn decode_list(bytes: &[u8]) -> Result<Answer, CatalogueError> {
    let ([count], mut rest) = take::<1>(bytes)?;
    if usize::from(count) > ENTRIES_MAX {
        return Err(CatalogueError::List);
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (entry, after) = Entry::take(rest)?;
        if entries.iter().any(|known| known.run == entry.run) {
            return Err(CatalogueError::List);
        }
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(Answer::List(entries)) } else { Err(CatalogueError::Trailing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(run: u8) -> Entry {
        let run = RunId([run; 32]);
        Entry { run, name: "digits".to_owned(), model_bytes: 19_240, rounds: 300, peers: 7, accuracy: Some(0.9725) }
    }

    /// PROTOCOL 10, byte by byte.
    #[test]
    fn golden_bytes() {
        assert_eq!(Question::List.encode(), [1, 1]);
        assert_eq!(Question::Spec(RunId([9; 32])).encode(), [&[1, 2][..], &[9; 32]].concat());
        let mut list = vec![1, 1, 1];
        list.extend([5; 32]);
        list.extend([0x28, 0x4b, 0, 0, 0, 0, 0, 0]);
        list.extend([0x2c, 1, 0, 0, 0, 0, 0, 0]);
        list.extend([7, 0, 0, 0]);
        list.extend([0xfd, 0x25]);
        list.extend(b"\x06digits");
        assert_eq!(Answer::List(vec![entry(5)]).encode(), list);
        assert_eq!(Answer::decode(&Question::List, &list), Ok(Answer::List(vec![entry(5)])));
        assert_eq!(Answer::NotHere.encode(), [1, 0]);
        assert_eq!(Answer::Spec("a = 1".to_owned()).encode(), b"\x01\x02a = 1");
    }

    #[test]
    fn what_is_encoded_is_read() {
        let unknown = Entry { accuracy: None, name: "x".repeat(64), ..entry(2) };
        let full: Vec<Entry> = (0..ENTRIES_MAX as u8).map(|run| Entry { run: RunId([run; 32]), ..unknown.clone() }).collect();
        for entries in [vec![], vec![entry(1), unknown], full] {
            let answer = Answer::List(entries);
            assert!(answer.encode().len() <= LIST_BYTES_MAX);
            assert_eq!(Answer::decode(&Question::List, &answer.encode()), Ok(answer));
        }
        for question in [Question::List, Question::Spec(RunId([3; 32]))] {
            assert_eq!(Question::decode(&question.encode()), Ok(question));
            assert_eq!(Answer::decode(&question, &[1, 0]), Ok(Answer::NotHere));
        }
    }

    #[test]
    fn junk_has_a_reason() {
        let good = Answer::List(vec![entry(5)]).encode();
        for end in 0..good.len() {
            assert_eq!(Answer::decode(&Question::List, &good[..end]), Err(CatalogueError::Truncated), "{end}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Answer::decode(&Question::List, &bytes)
        };
        assert_eq!(changed(0, 2), Err(CatalogueError::Version));
        assert_eq!(changed(1, 2), Err(CatalogueError::Kind), "a spec was not asked for");
        assert_eq!(changed(2, 65), Err(CatalogueError::List));
        assert_eq!(changed(2, 0), Err(CatalogueError::Trailing));
        assert_eq!(changed(56, 0x28), Err(CatalogueError::Accuracy));
        assert_eq!(changed(57, 0), Err(CatalogueError::Name));
        assert_eq!(changed(57, 5), Err(CatalogueError::Trailing));
        assert_eq!(changed(58, 0x1b), Err(CatalogueError::Name));
        let twice = Answer::List(vec![entry(5), entry(5)]).encode();
        assert_eq!(Answer::decode(&Question::List, &twice), Err(CatalogueError::List));
        assert_eq!(Answer::decode(&Question::List, &vec![1; LIST_BYTES_MAX + 1]), Err(CatalogueError::Oversized));
        let spec = Question::Spec(RunId([0; 32]));
        assert_eq!(Answer::decode(&spec, &vec![1; ANSWER_BYTES_MAX + 1]), Err(CatalogueError::Oversized));
        assert_eq!(Answer::decode(&spec, &[1, 2, 0xff]), Err(CatalogueError::Text));
        assert_eq!(Answer::decode(&spec, &[1, 0, 0]), Err(CatalogueError::Trailing));
        for (bytes, error) in [
            (&[][..], CatalogueError::Truncated),
            (&[1], CatalogueError::Truncated),
            (&[7, 1], CatalogueError::Version),
            (&[1, 9], CatalogueError::Kind),
            (&[1, 1, 0], CatalogueError::Trailing),
            (&[1, 2, 0], CatalogueError::Truncated),
            (&[[1, 2].as_slice(), &[0; 33]].concat(), CatalogueError::Trailing),
        ] {
            assert_eq!(Question::decode(bytes), Err(error), "{bytes:?}");
        }
    }
}
