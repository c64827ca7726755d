//! A vocabulary of pieces: the `tokenizer.json` of Hugging Face's tokenizers, checked and bounded.
//!
//! The file is named by its hash in the spec, so all nodes cut a text alike. What it says of padding,
//! truncation and special tokens is left out: windows are cut here, and a text is only a text.

use std::fmt;
use std::sync::Arc;

use super::DataError;

/// Longest file: the largest published vocabularies (256,000 pieces) take half of it.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// A tokenizer whose tokens are below [`Tokenizer::size`].
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    size: usize,
    largest: u32,
    /// Of the file: two tokenizers are the same if it is.
    hash: blake3::Hash,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. `size` is the number of tokens a spec says: none may be as large.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] says what is wrong with the file.
    pub fn parse(bytes: &[u8], size: usize) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Tokenizer(reason);
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(format!("{} bytes are more than {FILE_BYTES_MAX}", bytes.len())));
        }
        let said = |error: tokenizers::Error| refused(error.to_string().chars().take(120).collect());
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(said)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(said)?;
        let largest = inner.get_vocab(true).into_values().max().ok_or_else(|| refused("it has no piece".to_owned()))?;
        if largest as usize >= size {
            return Err(refused(format!("it has a token {largest}, but the task says {size} tokens")));
        }
        Ok(Self { inner: Arc::new(inner), size, largest, hash: blake3::hash(bytes) })
    }

    /// Tokens are below this.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The largest token of all.
    #[must_use]
    pub const fn largest(&self) -> u32 {
        self.largest
    }

    /// The tokens of a text. A text that the tokenizer refuses (it has no piece for what is in it) has none.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.inner.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    }

    /// The text of these tokens; what is no piece is left out.
    #[must_use]
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.inner.decode(tokens, false).unwrap_or_default()
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer {{ size: {}, hash: {} }}", self.size, self.hash)
    }
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        (self.size, self.hash) == (other.size, other.hash)
    }
}

impl Eq for Tokenizer {}

#[cfg(test)]
pub(in crate::data) mod tests {
    use super::*;
    use crate::data::Vocabulary;

    /// Bytes a to e and a space, and three merges.
    pub(crate) const SMALL: &str = r#"{
        "version": "1.0", "truncation": { "max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
        "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "dropout": null, "unk_token": "?", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": { "?": 0, " ": 1, "a": 2, "b": 3, "c": 4, "ab": 5, "abc": 6, " c": 7 },
            "merges": [["a", "b"], ["ab", "c"], [" ", "c"]] }
    }"#;

    #[test]
    fn pieces_are_found_and_put_together_again() {
        let vocabulary = Vocabulary::pieces(Tokenizer::parse(SMALL.as_bytes(), 9).expect("a tokenizer"));
        assert_eq!((vocabulary.size(), vocabulary.encode("abcab cc")), (9, vec![6, 5, 7, 4]), "and nothing is cut off");
        assert_eq!(vocabulary.decode(&[6, 5, 7, 4, 99]), "abcab cc");
        assert_eq!((vocabulary.encode("é"), vocabulary.token('b'), vocabulary.character(2)), (vec![0], 3, None));
        assert!(vocabulary.knows('é') && vocabulary.encode("").is_empty());
    }

    /// As most published ones are made: bytes as characters, words found by a regular expression.
    #[test]
    fn bytes_are_pieces_too() {
        let level = r#"{ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true }"#;
        let text = SMALL
            .replace(r#""pre_tokenizer": null"#, &format!("\"pre_tokenizer\": {level}"))
            .replace(r#"{ "type": "Fuse" }"#, level)
            .replace(r#"" c": 7"#, r#""Ġc": 7, "Ġ": 8, "Ã": 9, "©": 10"#)
            .replace(r#"[" ", "c"]"#, r#"["Ġ", "c"]"#);
        let tokenizer = Tokenizer::parse(text.as_bytes(), 11).expect("a tokenizer");
        assert_eq!(tokenizer.encode("abc cé"), [6, 7, 9, 10], "a letter of two bytes is two pieces");
        assert_eq!(tokenizer.decode(&[6, 7, 9, 10]), "abc cé");
    }

    #[test]
    fn a_file_that_is_none_is_told() {
        let refusal = |bytes: &[u8], size| Tokenizer::parse(bytes, size).expect_err("refused").to_string();
        let begins = "not a tokenizer.json: ";
        assert_eq!(refusal(SMALL.as_bytes(), 7), format!("{begins}it has a token 7, but the task says 7 tokens"));
        for bytes in [&b""[..], b"{}", b"\xFF\xFE", &SMALL.as_bytes()[..200]] {
            assert!(refusal(bytes, 9).starts_with(begins), "{}", refusal(bytes, 9));
        }
        assert!(refusal(SMALL.replace("\"vocab\": {", "\"vocab\": { \"x\": -1,").as_bytes(), 9).starts_with(begins));
    }
}
