//! That a text is trained on without being taken into memory.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use shoal_ml::data::hamlet;
use shoal_ml::{Device, Partition, Source, Task, Trainer};

/// Megabytes of text; as tokens they would be four times as many.
const TEXT_MB: u64 = 64;
/// Megabytes that finding the windows and training may add: a quarter of the text. The lists of windows, of
/// their labels and of their order that a text in memory has would be more than this alone.
const ADDED_MB_MAX: u64 = 16;
const FILE: &str = "SHOAL_TEST_TEXT";
const SAID: &str = "added: ";

/// The most memory this process has had, KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn trainer(path: &str, task: &Task) -> Trainer {
    let split = format!("text:{path}").parse::<Source>().expect("a source").load(task, 1).expect("a split");
    let data = Partition::Iid.part(&split.train, 2, 3, 1).expect("a part");
    Trainer::new(task, data, 1, Device::Cpu).expect("a trainer")
}

/// Run by the test below in a process of its own; alone it has no file, and nothing to say.
#[test]
fn megabytes_added_by_a_long_text() {
    let Ok(path) = std::env::var(FILE) else { return };
    let mut table: toml::Table = "kind = 'language'\ncontext = 16\nbatch = 8\noptimizer = { kind = 'sgd', rate = 0.1 }
        model = { kind = 'gpt', layers = 1, width = 8, heads = 1 }"
        .parse()
        .expect("a table");
    table.insert("vocabulary".to_owned(), hamlet::CHARACTERS.into());
    let task = Task::parse(&table).expect("a task");
    // The same steps with a short text: what the tensors take is no matter here.
    let mut weights = task.init(1);
    trainer(&format!("{path}.short"), &task).train(&mut weights, 20, &mut || true).expect("trained");
    let before = peak();
    let mut long = trainer(&path, &task);
    assert!(long.examples() > 1_000_000, "{}", long.examples());
    long.train(&mut weights, 20, &mut || true).expect("trained");
    println!("{SAID}{}", peak() - before);
}

#[test]
fn a_text_is_not_taken_into_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let path: PathBuf = directory.path().join("long");
    let play = hamlet::load().expect("the play");
    let mut file = File::create(&path).expect("made");
    for _ in 0..(TEXT_MB << 20) / play.len() as u64 {
        file.write_all(play.as_bytes()).expect("written");
    }
    fs::write(path.with_extension("short"), &play).expect("written");
    let mut child = Command::new(std::env::current_exe().expect("this test's own path"));
    child.args(["--exact", "megabytes_added_by_a_long_text", "--nocapture"]).env(FILE, &path);
    let output = String::from_utf8(child.output().expect("ran").stdout).expect("text");
    let added = output.split_once(SAID).and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok());
    let added = added.unwrap_or_else(|| panic!("nothing was said in {output}"));
    assert!(added >> 10 < ADDED_MB_MAX, "{added} KiB");
}
