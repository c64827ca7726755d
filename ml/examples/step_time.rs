//! How long a step of training takes: `step_time [CASE STEPS]`, or all cases.
//!
//! Prints a line for each case: its name, a tab, milliseconds a step. Numbers are of this machine as it
//! is at the moment; nothing is asserted. `bench/step_time.py` runs the first four beside PyTorch's.

use std::error::Error;
use std::time::{Duration, Instant};

use shoal_ml::data::hamlet;
use shoal_ml::{Dataset, Device, Passage, Task, Trainer, Vocabulary, evaluate};

/// The node's own: the system's gives pages back between steps, and a small model spends half its time on
/// getting them again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Steps before the clock starts: a tenth of those that are timed, two at least.
const WARM_UP: u32 = 10;

/// Name, steps where nobody says how many, and the task.
const CASES: [(&str, u32, &str); 8] = [
    (
        "mlp",
        400,
        "inputs = [28, 28]\nbatch = 64\nmodel = { kind = 'mlp', hidden = [256] }\noptimizer = { kind = 'sgd', rate = 0.1 }",
    ),
    (
        "cnn",
        200,
        "inputs = [28, 28]\nbatch = 64\nmodel = { kind = 'cnn', channels = [8, 16], hidden = [64] }
         optimizer = { kind = 'sgd', rate = 0.05, momentum = 0.9 }",
    ),
    (
        "gpt",
        10,
        "context = 128\nbatch = 16\nmodel = { kind = 'gpt', layers = 4, width = 128, heads = 4 }
         optimizer = { kind = 'adamw', rate = 0.003 }",
    ),
    (
        "gpt-relu2",
        10,
        "context = 128\nbatch = 16\nmodel = { kind = 'gpt', layers = 4, width = 128, heads = 4, activation = 'relu2' }
         optimizer = { kind = 'adamw', rate = 0.003 }",
    ),
    (
        "gpt-32",
        60,
        "context = 32\nbatch = 16\nmodel = { kind = 'gpt', layers = 2, width = 32, heads = 4, hidden = 166 }
         optimizer = { kind = 'adamw', rate = 0.003 }",
    ),
    (
        "gpt-64",
        60,
        "context = 64\nbatch = 16\nmodel = { kind = 'gpt', layers = 2, width = 32, heads = 4, hidden = 166 }
         optimizer = { kind = 'adamw', rate = 0.003 }",
    ),
    (
        "mlp-digits",
        3_000,
        "inputs = [8, 8]\nbatch = 16\nmodel = { kind = 'mlp', hidden = [64] }\noptimizer = { kind = 'sgd', rate = 0.1 }",
    ),
    (
        "mlp-32",
        3_000,
        "inputs = [28, 28]\nbatch = 16\nmodel = { kind = 'mlp', hidden = [32] }\noptimizer = { kind = 'sgd', rate = 0.1 }",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases: Vec<(&str, u32, &str)> = match &arguments[..] {
        [] => CASES.to_vec(),
        [name, steps] => {
            let steps = steps.parse()?;
            CASES.iter().filter(|case| case.0 == name).map(|&(name, _, table)| (name, steps, table)).collect()
        }
        _ => Vec::new(),
    };
    if cases.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.0).collect();
        return Err(format!("[CASE STEPS]; there are {}", names.join(", ")).into());
    }
    for (name, steps, table) in cases {
        let (task, data) = if table.starts_with("context") { text(table)? } else { images(table)? };
        let step = timed(&task, &data, steps)?;
        let test = data.subset(&(0..360).collect::<Vec<_>>())?;
        let began = Instant::now();
        evaluate(&task, &task.init(1), &test, Device::Cpu)?;
        let (step, evaluation) = (step.as_secs_f64() * 1e3, began.elapsed().as_secs_f64() * 1e3);
        println!("{name}\t{step:.4}\t{} parameters; 360 evaluated in {evaluation:.1} ms", task.layout().param_count());
    }
    Ok(())
}

/// A language task and 1,000 windows of letters.
fn text(table: &str) -> Result<(Task, Dataset), Box<dyn Error>> {
    let mut table: toml::Table = format!("kind = 'language'\n{table}").parse()?;
    table.insert("vocabulary".to_owned(), hamlet::CHARACTERS.into());
    let task = Task::parse(&table)?;
    let context = task.inputs()[0];
    let text: String = hamlet::CHARACTERS.chars().cycle().step_by(7).take(1_000 * context + 1).collect();
    let vocabulary = Vocabulary::new(hamlet::CHARACTERS).ok_or("not a vocabulary")?;
    let data = Dataset::text(&[Passage { speaker: 0, text: &text }], &vocabulary, context)?;
    Ok((task, data))
}

/// Images of noise. Their pixels pass through bytes, as those of a file do.
fn images(table: &str) -> Result<(Task, Dataset), Box<dyn Error>> {
    let task = Task::parse(&format!("kind = 'classify'\nclasses = 10\n{table}").parse()?)?;
    let each: usize = task.inputs().iter().product();
    let bytes = (0..6_000 * each).map(|i| (i * i % 251) as u8);
    let inputs = bytes.map(|byte| f32::from(byte) / 255.0).collect();
    let data = Dataset::new(inputs, (0..6_000).map(|i| i % 10).collect(), task.inputs(), 10)?;
    Ok((task, data))
}

/// The time of one of so many steps, which one call takes, as a node's round does.
fn timed(task: &Task, data: &Dataset, steps: u32) -> Result<Duration, Box<dyn Error>> {
    let mut trainer = Trainer::new(task, data.clone(), 1, Device::Cpu)?;
    let mut weights = task.init(1);
    trainer.train(&mut weights, (steps / WARM_UP).max(2), &mut || true)?;
    let began = Instant::now();
    trainer.train(&mut weights, steps, &mut || true)?;
    Ok(began.elapsed() / steps)
}
