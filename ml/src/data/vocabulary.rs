//! From text to tokens and back: the characters a task lists, or the pieces of a tokenizer made elsewhere;
//! and who says what.

use super::tokenizer::Tokenizer;

/// Fewest and most characters of a vocabulary: two, or there is nothing to tell apart; 4,096, so
/// that a spec stays a page (a guess).
const SIZE: std::ops::RangeInclusive<usize> = 2..=4_096;
/// What [`Vocabulary::new`] takes, in words.
pub(crate) const EXPECTED: &str = "a string of 2 to 4096 different characters, the first of which stands for every other";

/// What a language task's tokens stand for.
///
/// Characters: the token of a character is its place; a character that is not there is read as the first
/// one, so let that be one that does little harm: a space. Pieces: what a `tokenizer.json` makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Characters {
        characters: Vec<char>,
        /// Each character with its token, by character.
        sorted: Vec<(char, u32)>,
    },
    Pieces(Tokenizer),
}

impl Vocabulary {
    /// `None` unless there are 2 to 4,096 characters, all different.
    #[must_use]
    pub fn new(characters: &str) -> Option<Self> {
        // One more than allowed is enough to know.
        let characters: Vec<char> = characters.chars().take(SIZE.end() + 1).collect();
        let mut sorted: Vec<(char, u32)> = characters.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let different = sorted.windows(2).all(|pair| pair[0].0 != pair[1].0);
        (SIZE.contains(&characters.len()) && different).then_some(Self { kind: Kind::Characters { characters, sorted } })
    }

    /// The pieces of a tokenizer.
    #[must_use]
    pub const fn pieces(tokenizer: Tokenizer) -> Self {
        Self { kind: Kind::Pieces(tokenizer) }
    }

    /// How many tokens there are: all are below this.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.kind {
            Kind::Characters { characters, .. } => characters.len(),
            Kind::Pieces(tokenizer) => tokenizer.size(),
        }
    }

    /// The token of a character: 0 if it is not in the vocabulary. Of pieces, the first token of it.
    #[must_use]
    pub fn token(&self, character: char) -> u32 {
        match &self.kind {
            Kind::Characters { .. } => self.known(character).unwrap_or(0),
            Kind::Pieces(_) => self.encode(character.encode_utf8(&mut [0; 4])).first().copied().unwrap_or(0),
        }
    }

    /// The character of a token; `None` of pieces, which are not characters.
    #[must_use]
    pub fn character(&self, token: u32) -> Option<char> {
        match &self.kind {
            Kind::Characters { characters, .. } => characters.get(usize::try_from(token).ok()?).copied(),
            Kind::Pieces(_) => None,
        }
    }

    /// The tokens of a text.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match &self.kind {
            Kind::Characters { .. } => text.chars().map(|character| self.token(character)).collect(),
            Kind::Pieces(tokenizer) => tokenizer.encode(text),
        }
    }

    /// The text of these tokens; those that mean nothing are left out.
    #[must_use]
    pub fn decode(&self, tokens: &[u32]) -> String {
        match &self.kind {
            Kind::Characters { .. } => tokens.iter().filter_map(|&token| self.character(token)).collect(),
            Kind::Pieces(tokenizer) => tokenizer.decode(tokens),
        }
    }

    /// Whether a token is a character.
    #[must_use]
    pub const fn are_characters(&self) -> bool {
        matches!(self.kind, Kind::Characters { .. })
    }

    /// Whether a character has a token of its own; a tokenizer takes every one.
    #[must_use]
    pub fn knows(&self, character: char) -> bool {
        matches!(self.kind, Kind::Pieces(_)) || self.known(character).is_some()
    }

    fn known(&self, character: char) -> Option<u32> {
        let Kind::Characters { sorted, .. } = &self.kind else { return None };
        let found = sorted.binary_search_by_key(&character, |&(known, _)| known);
        found.ok().map(|at| sorted[at].1)
    }
}

/// A piece of a text that one speaker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// Who: a small number, for every speaker another.
    pub speaker: u32,
    /// What.
    pub text: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_string_of_different_characters_is_a_vocabulary() {
        let long: String = (0..=4_096).filter_map(|code| char::from_u32(0x4E00 + code)).collect();
        for refused in ["", "a", "aba", "é\u{e9}", long.as_str()] {
            assert_eq!(Vocabulary::new(refused), None);
        }
        let longest: String = long.chars().skip(1).collect();
        assert_eq!(Vocabulary::new(&longest).map(|vocabulary| vocabulary.size()), Some(4_096));
    }

    proptest! {
        #[test]
        fn a_token_is_the_place_of_its_character(characters in "[ -~]{2,80}", other: char) {
            if let Some(vocabulary) = Vocabulary::new(&characters) {
                for (token, character) in (0..).zip(characters.chars()) {
                    prop_assert_eq!((vocabulary.token(character), vocabulary.character(token)), (token, Some(character)));
                }
                let known = characters.chars().position(|character| character == other);
                prop_assert_eq!(vocabulary.token(other) as usize, known.unwrap_or(0));
            } else {
                let distinct: std::collections::BTreeSet<char> = characters.chars().collect();
                prop_assert!(distinct.len() < characters.chars().count());
            }
        }
    }
}
