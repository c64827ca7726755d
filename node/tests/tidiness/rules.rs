//! The checks of one file. Each returns its complaints as `path:line: what`.

use std::collections::BTreeSet;
use std::path::Path;

use super::Source;

/// Longest Rust file, lines: longer ones are split before.
const LINES_MAX: usize = 600;
/// `main.rs` only hands over.
const MAIN_LINES_MAX: usize = 79;
/// Names that say nothing of what is in the file.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "manager", "misc", "stuff"];
// Written in two halves, so that this file does not hold what it forbids.
const UNFINISHED: [&str; 5] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimple", "mented!"), concat!("#[ig", "nore")];
const MACHINE_PATHS: [&str; 5] =
    [concat!("/wo", "rk/"), concat!("/fa", "rm/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("artif", "actory")];
/// What `protocol` never names: no clock, dice, thread, file, socket, unordered map, runtime or network.
const NOT_IN_PROTOCOL: [&str; 10] =
    ["tokio", "libp2p", "burn", "rand", "HashMap", "HashSet", "std::time", "std::fs", "std::net", "std::thread"];

pub fn file(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let rust = source.path.ends_with(".rs");
    let lines = source.text.lines().count();
    let stem = Path::new(&source.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut complain = |line: usize, what: &str| complaints.push(format!("{}:{line}: {what}", source.path));
    if rust && lines > LINES_MAX {
        complain(lines, "longer than 600 lines");
    }
    if rust && stem == "main" && source.path.contains("/src/") && lines > MAIN_LINES_MAX {
        complain(lines, "main.rs has 80 lines or more");
    }
    if rust && !source.text.starts_with("//!") {
        complain(1, "does not start with //!");
    }
    if EMPTY_NAMES.contains(&stem) || source.path.split('/').any(|part| EMPTY_NAMES.contains(&part)) {
        complain(1, "the name says nothing");
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        complain(lines, "no newline at the end");
    }
    let tabs = Path::new(&source.path).file_name().is_some_and(|name| name == "Makefile");
    // Not `lines`, which would take a carriage return away unseen.
    for (index, line) in source.text.split('\n').enumerate() {
        let line_number = index + 1;
        if line.ends_with([' ', '\t', '\r']) {
            complain(line_number, "space at the end");
        }
        if line.contains('\t') && !tabs {
            complain(line_number, "tab");
        }
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(*word)) {
            complain(line_number, &format!("unfinished: {word}"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(*path)) {
            complain(line_number, &format!("a path of one machine: {path}"));
        }
        if temporary_path(line) {
            complain(line_number, "a path of one machine: the temporary folder");
        }
    }
    complaints
}

/// Whether the line names a file in the temporary folder.
fn temporary_path(line: &str) -> bool {
    line.match_indices(concat!("/t", "mp/"))
        .any(|(at, found)| line[at + found.len()..].starts_with(|c: char| c.is_ascii_lowercase()))
}

/// What the code of a crate may not name.
pub fn laws(source: &Source) -> Vec<String> {
    if !source.path.ends_with(".rs") {
        return Vec::new();
    }
    let forbidden: &[&str] = match source.path.split('/').next() {
        Some("protocol") if source.path.starts_with("protocol/src/") => &NOT_IN_PROTOCOL,
        Some("node" | "sim" | "protocol") => &["burn"],
        Some("ml") => &["tokio", "libp2p", "shoal_protocol", "shoal_node"],
        _ => &[],
    };
    let mut complaints = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let code = code_of(line);
        for name in forbidden.iter().filter(|name| names(code, name)) {
            complaints.push(format!("{}:{}: this crate may not name {name}", source.path, index + 1));
        }
    }
    complaints
}

/// The line without its comment.
fn code_of(line: &str) -> &str {
    let comment = line.match_indices("//").map(|found| found.0).find(|&at| at == 0 || line[..at].ends_with(' '));
    &line[..comment.unwrap_or(line.len())]
}

/// Whether `code` holds `name` as a path of its own: not a part of a longer word, nor inside a string.
fn names(code: &str, name: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let in_string = before.matches('"').count() % 2 == 1;
        !in_string && !before.ends_with(part_of_word) && !after.starts_with(part_of_word)
    })
}

/// Citations of rules that `protocol` (the text of docs/PROTOCOL.md) does not hold.
pub fn citations(source: &Source, protocol: &str) -> Vec<String> {
    if !source.path.ends_with(".rs") {
        return Vec::new();
    }
    let written: BTreeSet<&str> =
        protocol.lines().filter_map(|line| number(line.trim_start_matches(['#', '*', '-', '|', ' ']))).collect();
    let cited = source.text.lines().enumerate().flat_map(|(index, line)| {
        let after = line.match_indices("PROTOCOL").map(move |(at, found)| &line[at + found.len()..]);
        let rule = after.filter_map(|rest| {
            let rest = rest.strip_prefix(".md").unwrap_or(rest);
            let rest = rest.trim_start_matches([',', ' ', ':']);
            number(rest.strip_prefix("rules ").or_else(|| rest.strip_prefix("rule ")).unwrap_or(rest))
        });
        rule.map(move |rule| (index + 1, rule))
    });
    let missing = cited.filter(|(_, rule)| !written.contains(rule));
    missing.map(|(line, rule)| format!("{}:{line}: PROTOCOL {rule} is not written", source.path)).collect()
}

/// The `n.m` that a text starts with.
fn number(text: &str) -> Option<&str> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let major = digits(text);
    let minor = digits(text.get(major..)?.strip_prefix('.')?);
    (major > 0 && minor > 0).then(|| &text[..major + 1 + minor])
}

/// Links of a Markdown file to files that are not there. `paths`: every file of the tree.
pub fn links(source: &Source, paths: &BTreeSet<&str>) -> Vec<String> {
    if !source.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = source.path.rsplit_once('/').map_or("", |parts| parts.0);
    let mut complaints = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let targets = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split_once(')').map(|parts| parts.0));
        for target in targets.map(|target| target.split('#').next().unwrap_or_default()) {
            let outside = target.is_empty() || target.contains("://");
            let resolved = resolve(folder, target);
            let there =
                paths.iter().any(|path| *path == resolved || path.starts_with(&format!("{}/", resolved.trim_end_matches('/'))));
            if !outside && !there {
                complaints.push(format!("{}:{}: the link {target} leads nowhere", source.path, index + 1));
            }
        }
    }
    complaints
}

/// A link's target from the top of the tree.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
