//! How answers look: lines on stdout, columns, numbers, JSON.
//!
//! Text that a peer may have chosen passes [`plain`] first, so that nobody draws on another's terminal.

use std::io::{self, Write};

use serde::Serialize;

/// Writes one line to stdout; a closed pipe is an error to the caller, not a panic.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes one value to stdout as indented JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// The name this program was called by: for telling the next command to try.
#[must_use]
pub fn program() -> String {
    std::env::args_os().next().map_or_else(|| "shoal".to_owned(), |name| plain(&name.to_string_lossy()))
}

/// Text as one word of a shell's command line, to be copied from the screen.
#[must_use]
pub fn word(text: &str) -> String {
    let text = plain(text);
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@+".contains(&byte);
    if !text.is_empty() && text.bytes().all(bare) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `text` with every control and direction character replaced, so that it is only text.
#[must_use]
pub fn plain(text: &str) -> String {
    let marks = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || marks(c) { '\u{fffd}' } else { c }).collect()
}

/// Rows in columns as wide as their widest cell; the first column to the left, the others to the right.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
    let width_of =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width_of).collect();
    let draw = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(i, (cell, &width))| if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(draw).collect::<Vec<_>>().join("\n")
}

/// One thing a line: its name, then its value, values aligned.
#[must_use]
pub fn named(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0) + 2;
    rows.iter()
        .map(|(name, value)| format!("{name:<width$}{}", plain(value)).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A whole number in groups of three: `12,345`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share or loss with three decimals, or a dash if it is not known yet.
#[must_use]
pub fn decimal(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_to_a_shell() {
        for (text, typed) in [("a/b.toml", "a/b.toml"), ("p.csv?label=x&skip=id", "'p.csv?label=x&skip=id'"), ("", "''")] {
            assert_eq!(word(text), typed);
        }
        assert_eq!(word("it's $HOME"), "'it'\\''s $HOME'");
    }

    #[test]
    fn numbers_are_grouped() {
        let table = [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (u64::MAX, "18,446,744,073,709,551,615")];
        for (number, text) in table {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(columns(&[row(["a", "10"]), row(["long", "7"])]), "a     10\nlong   7");
        assert_eq!(columns(&[]), "");
    }

    #[test]
    fn control_characters_become_text() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}");
        assert_eq!(plain("Grüße, 世界"), "Grüße, 世界");
    }
}
