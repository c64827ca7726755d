//! Trains on a text that is larger than the memory it may take, and says how much it took:
//! `stream FILE MEGABYTES STEPS`.
//!
//! A FILE that is not there is made of Hamlet over and over, until it is that long. What is printed is the
//! process's own peak (`VmHWM`, Linux), before anything was read, after it was loaded, and after training.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use shoal_ml::data::hamlet;
use shoal_ml::{Device, Partition, Source, Task, Trainer, evaluate};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, megabytes, steps] = &arguments[..] else { return Err("FILE MEGABYTES STEPS".into()) };
    let (bytes, steps) = (megabytes.parse::<u64>()? << 20, steps.parse()?);
    if !Path::new(file).exists() {
        make(Path::new(file), bytes)?;
    }
    println!("{} MiB before", peak()? >> 10);
    let mut table: toml::Table = "kind = 'language'\ncontext = 64\nbatch = 16\noptimizer = { kind = 'adamw', rate = 0.003 }
        model = { kind = 'gpt', layers = 2, width = 32, heads = 4, hidden = 166 }"
        .parse()?;
    table.insert("vocabulary".to_owned(), hamlet::CHARACTERS.into());
    let task = Task::parse(&table)?;
    let began = Instant::now();
    let split = format!("text:{file}").parse::<Source>()?.load(&task, 1)?;
    println!("{} MiB with {} windows found in {:?}", peak()? >> 10, split.train.len(), began.elapsed());
    // As one of four nodes that share the text.
    let data = Partition::Iid.part(&split.train, 1, 4, 1)?;
    let mut weights = task.init(1);
    let mut trainer = Trainer::new(&task, data, 1, Device::Cpu)?;
    let began = Instant::now();
    let report = trainer.train(&mut weights, steps, &mut || true)?;
    println!("{steps} steps of {:?}: {:.4} nats", began.elapsed() / steps, report.loss);
    let began = Instant::now();
    let metrics = evaluate(&task, &weights, &split.test, Device::Cpu)?;
    println!("{} windows held out: {:.4} nats, in {:?}", metrics.examples, metrics.loss, began.elapsed());
    println!("{} MiB in all", peak()? >> 10);
    Ok(())
}

/// Hamlet again and again.
fn make(path: &Path, bytes: u64) -> Result<(), Box<dyn Error>> {
    let play = hamlet::load()?;
    let mut file = BufWriter::new(File::create(path)?);
    let mut left = bytes;
    while left > 0 {
        let piece = &play.as_bytes()[..play.len().min(usize::try_from(left)?)];
        file.write_all(piece)?;
        left -= piece.len() as u64;
    }
    Ok(file.flush()?)
}

/// The most memory this process had at once, KiB.
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is told")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
