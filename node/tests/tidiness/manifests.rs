//! The check of the manifests: every dependency is taken by a crate that uses it.

use super::Source;

/// The workspace's crates.
const MEMBERS: [&str; 4] = ["ml", "node", "protocol", "sim"];
/// Dependencies of the workspace's table that no crate takes, and those a crate takes but never names.
pub fn unused(files: &[Source]) -> Vec<String> {
    let manifest = |path: &str| -> toml::Table {
        let file = files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is missing"));
        file.text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let root = manifest("Cargo.toml");
    let mut untaken: Vec<String> =
        root["workspace"]["dependencies"].as_table().map(|table| table.keys().cloned().collect()).unwrap_or_default();
    let mut complaints = Vec::new();
    for member in MEMBERS {
        let path = format!("{member}/Cargo.toml");
        let table = manifest(&path);
        // Those of some platforms stand in tables of their own.
        let platforms = table.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
        let tables: Vec<&toml::Table> = platforms.filter_map(toml::Value::as_table).chain([&table]).collect();
        let sections = tables.iter().flat_map(|table| ["dependencies", "dev-dependencies"].map(|name| table.get(name)));
        let dependencies = sections.flatten().filter_map(toml::Value::as_table);
        for name in dependencies.flat_map(|dependencies| dependencies.keys()) {
            untaken.retain(|untaken| untaken != name);
            let word = name.replace('-', "_");
            let own = |file: &&Source| file.path.starts_with(&format!("{member}/")) && file.path.ends_with(".rs");
            if !files.iter().filter(own).any(|file| names_crate(&file.text, &word)) {
                complaints.push(format!("{path}: {name} is never named in {member}"));
            }
        }
    }
    complaints.extend(untaken.iter().map(|name| format!("Cargo.toml: no crate takes {name}")));
    complaints
}

/// Whether some line uses the crate: `word::`, or `use word`.
fn names_crate(text: &str, word: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices(word).map(move |(at, _)| (&line[..at], &line[at + word.len()..]))).any(
        |(before, after)| {
            !before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && (after.starts_with("::") || before.ends_with("use "))
        },
    )
}
