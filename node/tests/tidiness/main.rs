//! The tree's own tidiness: what the laws of docs/ARCHITECTURE.md and CONTRIBUTING.md say of files
//! can be read off the files. Reads the tree and nothing else.

mod bad;
mod manifests;
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One text file of the tree.
pub struct Source {
    /// From the top, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The names at the top of the tree that must be there.
const TOP: [&str; 25] = [
    ".cargo",
    ".ci",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "bench",
    "clippy.toml",
    "dist",
    "docs",
    "examples",
    "interop",
    "ml",
    "node",
    "protocol",
    "rustfmt.toml",
    "scripts",
    "sim",
];
/// Those that may be there.
const TOP_ALLOWED: [&str; 2] = [".git", "rust-toolchain.toml"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// Names at the top that git ignores: `.gitignore` here holds nothing but `/name` lines.
fn ignored() -> BTreeSet<String> {
    let text = fs::read_to_string(top().join(".gitignore")).expect("a .gitignore");
    text.lines().map(|line| line.trim_start_matches('/').to_owned()).collect()
}

/// All text files of the tree.
fn tree() -> Vec<Source> {
    let (top, ignored) = (top(), ignored());
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(top.join(&folder)).expect("a readable folder") {
            let entry = entry.expect("a readable entry");
            let path = folder.join(entry.file_name());
            let name = path.to_str().expect("a UTF-8 name").to_owned();
            if name == ".git" || ignored.contains(&name) {
                continue;
            }
            if entry.file_type().expect("a file type").is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(Source { path: name, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn expect_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_tree_was_found() {
    let files = tree();
    assert!(files.len() > 30 && files.iter().any(|file| file.path == "node/tests/tidiness/main.rs"), "{} files", files.len());
}

#[test]
fn every_file_is_tidy() {
    expect_none(tree().iter().flat_map(rules::file).collect());
}

#[test]
fn the_laws_of_the_crates_hold() {
    expect_none(tree().iter().flat_map(rules::laws).collect());
}

#[test]
fn every_cited_rule_is_written() {
    let files = tree();
    if let Some(protocol) = files.iter().find(|file| file.path == "docs/PROTOCOL.md") {
        // The bad samples cite rules that nobody wrote.
        let files = files.iter().filter(|file| !file.path.starts_with("node/tests/tidiness/"));
        expect_none(files.flat_map(|file| rules::citations(file, &protocol.text)).collect());
    }
}

#[test]
fn every_link_leads_somewhere() {
    let files = tree();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    expect_none(files.iter().flat_map(|file| rules::links(file, &paths)).collect());
}

#[test]
fn every_dependency_is_used() {
    expect_none(manifests::unused(&tree()));
}

#[test]
fn the_top_holds_what_it_should() {
    let ignored = ignored();
    let found: BTreeSet<String> = fs::read_dir(top())
        .expect("a readable top")
        .map(|entry| entry.expect("a readable entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !ignored.contains(name))
        .collect();
    let missing = TOP.iter().filter(|name| !top().join(name).exists()).map(|name| format!("{name}: missing"));
    let known = |name: &String| TOP.contains(&name.as_str()) || TOP_ALLOWED.contains(&name.as_str());
    let strange = found.iter().filter(|name| !known(name)).map(|name| format!("{name}: not expected at the top"));
    expect_none(missing.chain(strange).collect());
}
