//! How long one prediction takes, and how many tokens a second a transformer makes.
//!
//! Numbers are of this machine as it is at the moment; nothing is asserted. `bench/torch_generate.py`
//! does the same with PyTorch.

use std::error::Error;
use std::time::{Duration, Instant};

use shoal_ml::{Device, Generator, Predictor, Sampling, Source, Task};

const PREDICTIONS: usize = 5_000;
/// Tokens of each measured text: within the context, as in PyTorch's, and far past it.
const TOKENS: [usize; 2] = [120, 600];

fn main() -> Result<(), Box<dyn Error>> {
    predict()?;
    for tokens in TOKENS {
        generate(tokens)?;
    }
    Ok(())
}

fn predict() -> Result<(), Box<dyn Error>> {
    let text = "kind = 'classify'\ninputs = [8, 8]\nclasses = 10\nbatch = 16
        model = { kind = 'mlp', hidden = [64] }\noptimizer = { kind = 'sgd', rate = 0.1 }";
    let task = Task::parse(&text.parse()?)?;
    let data = Source::Digits.load(&task, 1)?.test;
    let predictor = Predictor::new(&task, &task.init(1), Device::Cpu)?;
    let examples: Vec<Vec<f32>> = (0..data.len()).filter_map(|index| data.input(index)).collect();
    let mut times = Vec::with_capacity(PREDICTIONS);
    for example in examples.iter().cycle().take(PREDICTIONS) {
        let began = Instant::now();
        predictor.predict(example)?;
        times.push(began.elapsed());
    }
    println!("digits mlp 64-64-10: p50 {:?}, p99 {:?} a prediction", share(&mut times, 50), share(&mut times, 99));
    Ok(())
}

/// Four layers of 128 numbers, four heads, a context of 128: 0.8 million parameters.
fn generate(tokens: usize) -> Result<(), Box<dyn Error>> {
    let mut table: toml::Table = "kind = 'language'\ncontext = 128\nbatch = 16\noptimizer = { kind = 'adamw', rate = 0.003 }
        model = { kind = 'gpt', layers = 4, width = 128, heads = 4 }"
        .parse()?;
    table.insert("vocabulary".to_owned(), shoal_ml::data::hamlet::CHARACTERS.into());
    let task = Task::parse(&table)?;
    // Not the initial weights, of which a half is zero.
    let weights: Vec<f32> = (0..task.layout().param_count()).map(|i| (i as f32 * 1.3).sin() * 0.08).collect();
    let generator = Generator::new(&task, &weights, Device::Cpu)?;
    let mut times: Vec<Duration> = Vec::new();
    for seed in 0..7 {
        let began = Instant::now();
        let sampling = Sampling { max_tokens: tokens, seed, ..Sampling::default() };
        generator.begin("To be", sampling)?.run()?;
        times.push(began.elapsed());
    }
    let median = share(&mut times, 50);
    let rate = tokens as f64 / median.as_secs_f64();
    println!("gpt of {} parameters, {tokens} tokens: {rate:.0} tokens/s (median of 7)", task.layout().param_count());
    Ok(())
}

/// The time that so many percent did not exceed.
fn share(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
