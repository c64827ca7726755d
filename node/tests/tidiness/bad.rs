//! The checks against samples that are bad on purpose: a check that cannot fail checks nothing.

use std::collections::BTreeSet;

use super::Source;
use super::{manifests, rules};

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

const GOOD: &str = "//! Good.\npub fn f() {}\n";

#[test]
fn untidy_files_are_found() {
    assert_eq!(rules::file(&source("node/src/good.rs", GOOD)), [""; 0]);
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(600));
    let main = format!("//! Main.\n{}", "fn f() {}\n".repeat(79));
    let cases = [
        ("node/src/long.rs", long.as_str(), "longer than 600"),
        ("node/src/main.rs", &main, "80 lines or more"),
        ("node/src/x.rs", "fn f() {}\n", "does not start"),
        ("node/src/utils.rs", GOOD, "says nothing"),
        ("node/src/common/x.rs", GOOD, "says nothing"),
        ("docs/x.md", "a \n", "space at the end"),
        ("docs/x.md", "a\r\n", "space at the end"),
        ("docs/x.md", "a\tb\n", "tab"),
        ("docs/x.md", "a", "no newline"),
        ("node/src/x.rs", concat!("//! TO", "DO\n"), "unfinished"),
        ("node/src/x.rs", concat!("//! X.\n#[ig", "nore = \"slow\"]\n"), "unfinished"),
        ("docs/x.md", concat!("/wo", "rk/x\n"), "one machine"),
        ("docs/x.md", concat!("/t", "mp/x\n"), "one machine"),
    ];
    for (path, text, what) in cases {
        let complaints = rules::file(&source(path, text));
        assert_eq!(complaints.len(), 1, "{what}: {complaints:?}");
        assert!(
            complaints.iter().all(|complaint| complaint.contains(what) && complaint.starts_with(path)),
            "{what}: {complaints:?}"
        );
    }
    assert_eq!(rules::file(&source("Makefile", "all:\n\techo\n")), [""; 0]);
}

#[test]
fn broken_laws_are_found() {
    let broken = [
        ("protocol/src/x.rs", "use std::collections::HashMap;"),
        ("protocol/src/x.rs", "let t = std::time::Instant::now(); // why"),
        ("protocol/src/x.rs", "use tokio::sync;"),
        ("protocol/src/x.rs", "fn f(x: &mut rand::rngs::StdRng) {}"),
        ("node/src/x.rs", "use burn::tensor::Tensor;"),
        ("sim/src/x.rs", "burn::f();"),
        ("ml/src/x.rs", "use shoal_protocol::id;"),
    ];
    for (path, text) in broken {
        assert_eq!(rules::laws(&source(path, text)).len(), 1, "{text}");
    }
    let kept = [
        ("protocol/src/x.rs", "// unlike std::time, a `HashMap` or libp2p"),
        ("protocol/src/x.rs", "let operand = burning(\"libp2p\"); // tokio"),
        ("protocol/src/x.rs", "use core::time::Duration;"),
        ("protocol/benches/x.rs", "use std::time::Instant;"),
        ("ml/src/x.rs", "use burn::tensor::Tensor;"),
        ("docs/x.md", "burn tokio"),
    ];
    for (path, text) in kept {
        assert_eq!(rules::laws(&source(path, text)), [""; 0], "{text}");
    }
}

#[test]
fn citations_need_their_rule() {
    let protocol = "# Protocol\n\n**1.2** A rule.\n- 3.10 Another.\n### 4.1 A third\nNot 5.5.\n";
    let cite = |text: &str| rules::citations(&source("x.rs", text), protocol).len();
    let kept =
        ["// PROTOCOL 1.2", "// PROTOCOL.md, rule 3.10.", "// see PROTOCOL 4.1 and 9", "// PROTOCOL says", "// version 5.5"];
    for text in kept {
        assert_eq!(cite(text), 0, "{text}");
    }
    for text in ["// PROTOCOL 1.3", "// PROTOCOL 3.1", "// PROTOCOL.md, rule 5.5", "// PROTOCOL 1.2, PROTOCOL 7.7"] {
        assert_eq!(cite(text), 1, "{text}");
    }
}

#[test]
fn dead_links_are_found() {
    let paths = BTreeSet::from(["README.md", "docs/A.md", "docs/adr/0001-x.md"]);
    let check = |path: &str, text: &str| rules::links(&source(path, text), &paths).len();
    assert_eq!(check("README.md", "[a](docs/A.md) [b](docs/adr/) [c](https://example.org/x) [d](#here) [e](docs/A.md#part)"), 0);
    assert_eq!(check("docs/A.md", "[up](../README.md) [down](adr/0001-x.md)"), 0);
    assert_eq!(check("README.md", "[gone](docs/B.md) [up](../README.txt)"), 2);
}

#[test]
fn unused_dependencies_are_found() {
    let manifest = |path: &str, dependencies: &str| source(path, &format!("[dependencies]\n{dependencies}\n"));
    let mut files = vec![
        source("Cargo.toml", "[workspace.dependencies]\nused = \"1\"\nhalf-used = \"1\"\nuntaken = \"1\"\n"),
        manifest("ml/Cargo.toml", "used.workspace = true\nhalf-used.workspace = true"),
        source("ml/src/lib.rs", "//! half_used::x\nuse used::thing;\nlet not_half_used::x;\n"),
    ];
    files.extend(["node/Cargo.toml", "protocol/Cargo.toml", "sim/Cargo.toml"].map(|path| manifest(path, "")));
    let complaints = manifests::unused(&files);
    assert_eq!(complaints, ["ml/Cargo.toml: half-used is never named in ml", "Cargo.toml: no crate takes untaken"]);
}
