//! The text that every build carries: Shakespeare's Hamlet, with its speakers.
//!
//! So a language model needs no download and no file. Origin and licence are in `data/NOTICE`. The
//! text is taken as it stands, Markdown and all. A speech begins at a line that is nothing but a
//! name in bold and goes on to the next such line, stage directions included; what comes before the
//! first speech belongs to its speaker.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{DataError, Dataset, Passage, Split, Vocabulary};

/// Characters in all; each is one byte.
pub const LENGTH: usize = 189_481;
/// The characters that occur, by how often they do: the space first, which so stands for all others.
pub const CHARACTERS: &str = " etoasnhir\nld*um,ywfcgpbATIE.vLkO'HRNSUM;:D_CWG?-!PBFxKqYjQ#Zz\\[]V&J";

/// Markdown; gzip.
const FILE: &[u8] = include_bytes!("../../data/hamlet.md.gz");

/// The whole play.
///
/// # Errors
/// None with the file this crate was published with.
pub fn load() -> Result<String, DataError> {
    let mut text = String::new();
    let unreadable = |error: std::io::Error| DataError::Unreadable(error.to_string());
    GzDecoder::new(FILE).take(LENGTH as u64).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// The play's text as speeches. Speakers are numbered as they first speak.
#[must_use]
pub fn speeches(play: &str) -> Vec<Passage<'_>> {
    let mut passages = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    // Where the speech at hand began, and who speaks.
    let mut open: Option<(usize, u32)> = None;
    let mut at = 0;
    for line in play.split_inclusive('\n') {
        if let Some(name) = speaker(line) {
            let known = names.iter().position(|&known| known == name).unwrap_or(names.len());
            if known == names.len() {
                names.push(name);
            }
            if let Some((start, speaker)) = open {
                passages.push(Passage { speaker, text: &play[start..at] });
            }
            open = Some((if passages.is_empty() && open.is_none() { 0 } else { at }, known as u32));
        }
        at += line.len();
    }
    let (start, speaker) = open.unwrap_or((0, 0));
    passages.push(Passage { speaker, text: &play[start..] });
    passages
}

/// The last tenth of the play (rounded up to whole windows) to test on, all before it to train on.
/// The two share one character: the answer to the last one trained on is the first one tested on.
///
/// # Errors
/// [`DataError`] if `context` is 0 or so long that either part would be empty.
pub fn split(vocabulary: &Vocabulary, context: usize) -> Result<Split, DataError> {
    let play = load()?;
    let data = Dataset::text(&speeches(&play), vocabulary, context)?;
    Split::ordered(&data, data.len().div_ceil(10))
}

/// The name in `**NAME**`, alone on its line.
fn speaker(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_prefix("**")?.strip_suffix("**")?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A tokenizer's pieces, not its characters one by one: more of the play in fewer tokens.
    #[test]
    fn pieces_are_found_in_the_play_too() {
        let tokenizer = crate::Tokenizer::parse(crate::data::tests::TOKENIZER.as_bytes(), 9).expect("a tokenizer");
        let vocabulary = Vocabulary::pieces(tokenizer);
        let passages = [Passage { speaker: 0, text: "abcab cc" }, Passage { speaker: 1, text: "abc" }];
        let data = Dataset::text(&passages, &vocabulary, 4).expect("a data set");
        assert_eq!((data.len(), data.input(0)), (1, Some(vec![6.0, 5.0, 7.0, 4.0])));
        let split = split(&vocabulary, 8).expect("the play");
        assert!(split.train.len() + split.test.len() < LENGTH / 8, "characters one by one would be as many");
    }

    #[test]
    fn the_file_holds_what_it_should() {
        let play = load().expect("the embedded text");
        assert_eq!(play.len(), LENGTH);
        assert!(play.starts_with("# Hamlet\n") && play.ends_with('\n'));
        let mut counts = BTreeMap::new();
        for character in play.chars() {
            *counts.entry(character).or_insert(0_usize) += 1;
        }
        assert_eq!(counts.len(), CHARACTERS.chars().count());
        let frequencies: Vec<usize> = CHARACTERS.chars().map(|character| counts[&character]).collect();
        assert!(frequencies.is_sorted_by(|more, fewer| more >= fewer), "{frequencies:?}");
    }

    #[test]
    fn speeches_are_the_whole_play_and_hamlet_speaks_most() {
        let play = load().expect("the embedded text");
        let speeches = speeches(&play);
        assert_eq!(speeches.iter().map(|speech| speech.text).collect::<String>(), play);
        let mut speakers = BTreeMap::new();
        for speech in &speeches {
            *speakers.entry(speech.speaker).or_insert(0_usize) += 1;
        }
        assert_eq!((speeches.len(), speakers.len()), (1_138, 40));
        let hamlet = speeches.iter().find(|speech| speech.text.starts_with("**HAMLET**")).expect("he speaks").speaker;
        assert_eq!(speakers[&hamlet], 359);
        assert_eq!(speakers.values().max(), Some(&359));
    }

    #[test]
    fn a_speech_goes_to_the_next_name() {
        let play = "# T\n\n**A**  \nx\n**B & C**\ny **z**\n\n_Exit_\n**A**\n****\nw";
        let speeches: Vec<(u32, &str)> = speeches(play).iter().map(|speech| (speech.speaker, speech.text)).collect();
        assert_eq!(speeches, [(0, "# T\n\n**A**  \nx\n"), (1, "**B & C**\ny **z**\n\n_Exit_\n"), (0, "**A**\n****\nw")]);
        assert_eq!(super::speeches("nobody"), [Passage { speaker: 0, text: "nobody" }]);
    }

    #[test]
    fn the_last_tenth_is_held_out() {
        let vocabulary = Vocabulary::new(CHARACTERS).expect("a vocabulary");
        let split = split(&vocabulary, 64).expect("a split");
        assert_eq!((split.train.len(), split.test.len()), (2_664, 296));
        assert!(super::split(&vocabulary, LENGTH).is_err());
    }
}
