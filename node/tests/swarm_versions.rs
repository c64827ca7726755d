//! The versions below which known holes are open (THREATS.md): yamux 0.13 and gossipsub before
//! 0.50.1 can be made to panic from afar. `Cargo.lock` says what is really built.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

type Version = (u64, u64, u64);

/// Every locked version of a package.
fn locked(name: &str) -> Vec<Version> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let lock: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .filter(|package| package["name"].as_str() == Some(name))
        .map(|package| version(package["version"].as_str().unwrap()))
        .collect()
}

fn version(text: &str) -> Version {
    let plain = text.split(['-', '+']).next().unwrap();
    let mut numbers = plain.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn nothing_is_below_its_floor() {
    for (name, floor) in [("libp2p", (0, 57, 1)), ("libp2p-gossipsub", (0, 50, 1)), ("libp2p-yamux", (0, 48, 0))] {
        let found = locked(name);
        assert_eq!(found.len(), 1, "{name} is locked as {found:?}");
        assert!(found[0] >= floor, "{name} {found:?} is below {floor:?}");
    }
}

#[test]
fn there_is_one_yamux() {
    let found = locked("yamux");
    assert!(!found.is_empty() && found.iter().all(|&(major, minor, _)| (major, minor) == (0, 14)), "yamux {found:?}");
}

#[test]
fn versions_compare_as_numbers() {
    assert!(version("0.50.1") > version("0.9.12"));
    assert!(version("0.57.1-alpha.2") > version("0.57.0+build"));
}
