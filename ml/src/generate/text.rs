//! From tokens to text that can be shown: nothing that may be taken back.
//!
//! Two things are held back: bytes that are not yet a character, where a token may be a piece of one,
//! and a tail that may be the beginning of a stop string.

use super::Tokens;

/// The text of one generation.
pub(super) struct Text {
    stop: Vec<String>,
    /// The last tokens: those before `read` are in the text, but what follows is decoded with them, since
    /// a token may read differently at a text's beginning.
    tokens: Vec<u32>,
    read: usize,
    /// Decoded and held back.
    held: String,
}

impl Text {
    pub(super) fn new(stop: &[String]) -> Self {
        Self { stop: stop.to_vec(), tokens: Vec::new(), read: 0, held: String::new() }
    }

    /// One token more: the text that can be shown, and whether a stop string ends it.
    pub(super) fn push(&mut self, token: u32, tokens: &dyn Tokens) -> (String, bool) {
        self.tokens.push(token);
        self.decode(tokens, false);
        self.show(false)
    }

    /// What was held back, and whether a stop string ends it.
    pub(super) fn finish(&mut self, tokens: &dyn Tokens) -> (String, bool) {
        self.decode(tokens, true);
        self.show(true)
    }

    fn decode(&mut self, tokens: &dyn Tokens, last: bool) {
        let before = tokens.decode(&self.tokens[..self.read]);
        let all = tokens.decode(&self.tokens);
        if !last && all.ends_with(char::REPLACEMENT_CHARACTER) {
            return;
        }
        if let Some(more) = all.get(before.len()..) {
            self.held.push_str(more);
            self.tokens.drain(..self.read);
            self.read = self.tokens.len();
        }
    }

    fn show(&mut self, last: bool) -> (String, bool) {
        let found = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(end) = found {
            self.held.truncate(end);
            return (std::mem::take(&mut self.held), true);
        }
        let kept = if last { 0 } else { self.stop.iter().map(|stop| begun(&self.held, stop)).max().unwrap_or(0) };
        let tail = self.held.split_off(self.held.len() - kept);
        (std::mem::replace(&mut self.held, tail), false)
    }
}

/// Bytes of the longest end of `text` with which `stop` begins.
fn begun(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&bytes| text.is_char_boundary(text.len() - bytes) && stop.starts_with(&text[text.len() - bytes..]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every token is a byte.
    struct Bytes;

    impl Tokens for Bytes {
        fn encode(&self, text: &str) -> Vec<u32> {
            text.bytes().map(u32::from).collect()
        }

        fn decode(&self, tokens: &[u32]) -> String {
            String::from_utf8_lossy(&tokens.iter().map(|&token| token as u8).collect::<Vec<_>>()).into_owned()
        }
    }

    /// All that is shown of a text, piece by piece.
    fn shown(text: &str, stop: &[&str]) -> (Vec<String>, bool) {
        let stop: Vec<String> = stop.iter().map(|&stop| stop.to_owned()).collect();
        let mut pieces = Text::new(&stop);
        let mut all = Vec::new();
        for token in Bytes.encode(text) {
            let (piece, stopped) = pieces.push(token, &Bytes);
            all.push(piece);
            if stopped {
                return (all, true);
            }
        }
        let (piece, stopped) = pieces.finish(&Bytes);
        all.push(piece);
        (all, stopped)
    }

    #[test]
    fn what_may_be_a_stop_is_held_back_until_it_is_not() {
        assert_eq!(shown("a--b", &["--x"]).0, ["a", "", "", "--b", ""]);
        assert_eq!(shown("a--xb", &["--x"]), (["a", "", "", ""].map(str::to_owned).to_vec(), true));
        assert_eq!(shown("a--", &["--x"]), (["a", "", "", "--"].map(str::to_owned).to_vec(), false));
    }

    #[test]
    fn a_character_is_shown_whole() {
        assert_eq!(shown("a\u{e9}\u{1f41f}", &[]).0, ["a", "", "\u{e9}", "", "", "", "\u{1f41f}", ""]);
    }

    #[test]
    fn a_character_that_never_becomes_whole_is_replaced_at_the_end() {
        let mut text = Text::new(&[]);
        assert_eq!(text.push(0xc3, &Bytes), (String::new(), false));
        assert_eq!(text.finish(&Bytes), ("\u{fffd}".to_owned(), false));
    }

    proptest! {
        #[test]
        fn pieces_make_the_text_up_to_the_first_stop(text in "[ab\u{e9}]{0,40}", stops in prop::collection::vec("[ab\u{e9}]{1,4}", 0..4)) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let end = stops.iter().filter_map(|stop| text.find(stop)).min();
            let (pieces, stopped) = shown(&text, &stops);
            prop_assert_eq!(stopped, end.is_some());
            // Of two stops that overlap the one that is complete first ends the text.
            let shown = pieces.concat();
            prop_assert!(text.starts_with(&shown));
            if stopped {
                prop_assert!(stops.iter().any(|stop| text[shown.len()..].starts_with(stop)));
                prop_assert!(stops.iter().all(|stop| !shown.contains(stop)));
            } else {
                prop_assert_eq!(shown, text);
            }
        }
    }
}
