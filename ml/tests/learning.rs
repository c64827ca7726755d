//! That training really learns, that gradients are gradients, and that results repeat.

use std::process::Command;

use shoal_ml::data::{digits, hamlet};
use shoal_ml::{Dataset, Device, Metrics, Split, Task, Trainer, evaluate};

fn task(inputs: &str, classes: usize, batch: usize, hidden: &str, optimizer: &str) -> Task {
    let text = format!(
        "kind = 'classify'\ninputs = {inputs}\nclasses = {classes}\nbatch = {batch}
         model = {{ kind = 'mlp', hidden = {hidden} }}\noptimizer = {{ kind = 'sgd', {optimizer} }}"
    );
    Task::parse(&text.parse().expect("a table")).expect("a task")
}

fn learn(task: &Task, split: Split, seed: u64, steps: u32) -> (Vec<f32>, Metrics) {
    let mut weights = task.init(seed);
    let mut trainer = Trainer::new(task, split.train, seed, Device::Cpu).expect("a trainer");
    trainer.train(&mut weights, steps, &mut || true).expect("trained");
    let metrics = evaluate(task, &weights, &split.test, Device::Cpu).expect("evaluated");
    (weights, metrics)
}

#[test]
fn one_node_alone_learns_the_digits() {
    for (batch, optimizer) in [(16, "rate = 0.2"), (32, "rate = 0.1, momentum = 0.9")] {
        let task = task("[8, 8]", 10, batch, "[64]", optimizer);
        let untrained = evaluate(&task, &task.init(1), &digits::load().expect("digits"), Device::Cpu).expect("evaluated");
        assert!(untrained.accuracy < 0.3, "{untrained:?}");
        for seed in 1..=3 {
            let (_, metrics) = learn(&task, digits::seeded(seed).expect("digits"), seed, 600);
            assert!(metrics.accuracy >= 0.95 && metrics.examples == 360, "{optimizer}, seed {seed}: {metrics:?}");
        }
    }
}

#[test]
fn the_split_by_writers_is_learned_too() {
    let task = task("[8, 8]", 10, 32, "[64]", "rate = 0.4");
    let (_, metrics) = learn(&task, digits::ordered().expect("digits"), 1, 600);
    assert!(metrics.accuracy >= 0.88, "{metrics:?}");
}

/// One step at rate 1 over all the data is the gradient; the loss of nearby weights tells what it
/// must be. This holds the whole way together: layout, model, loss, backward, optimizer's sign.
#[test]
fn a_step_is_the_gradient_that_finite_differences_find() {
    let models = [
        ("[3]", "kind = 'mlp', hidden = [6, 5]"),
        ("[2, 5, 4]", "kind = 'cnn', channels = [3, 2], hidden = [5]"),
        ("[2, 6]", "kind = 'cnn', channels = [3], hidden = [], kernel = 5, series = true"),
    ];
    for (shape, model) in models {
        let text = format!(
            "kind = 'classify'\ninputs = {shape}\nclasses = 4\nbatch = 12
             model = {{ {model} }}\noptimizer = {{ kind = 'sgd', rate = 1.0 }}"
        );
        step_against_differences(&Task::parse(&text.parse().expect("a table")).expect("a task"));
    }
}

fn step_against_differences(task: &Task) {
    let each: usize = task.inputs().iter().product();
    let inputs = (0..12 * each).map(|i| (i as f32 * 1.7).sin()).collect();
    let data = Dataset::new(inputs, (0..12).map(|i| i * 7 % 4).collect(), task.inputs(), 4).expect("a data set");
    // Not the initial weights: where a bias is zero and all before it too, ReLU stands on its corner.
    let before: Vec<f32> = (0..task.layout().param_count()).map(|i| (i as f32 * 1.3).sin() * 0.5).collect();
    let mut after = before.clone();
    let mut trainer = Trainer::new(task, data.clone(), 0, Device::Cpu).expect("a trainer");
    trainer.train(&mut after, 1, &mut || true).expect("trained");
    let loss = |weights: &[f32]| evaluate(task, weights, &data, Device::Cpu).expect("evaluated").loss;
    let mut largest = 0.0_f64;
    for i in 0..before.len() {
        let step = 2e-3_f32;
        let (mut less, mut more) = (before.clone(), before.clone());
        less[i] -= step;
        more[i] += step;
        let expected = (loss(&more) - loss(&less)) / f64::from(more[i] - less[i]);
        let gradient = f64::from(before[i] - after[i]);
        assert!((gradient - expected).abs() < 2e-3, "parameter {i}: {gradient}, by differences {expected}");
        largest = largest.max(gradient.abs());
    }
    assert!(largest > 0.05, "the gradient must be there to be checked: {largest}");
}

#[test]
fn momentum_follows_its_definition() {
    let data = || Dataset::new(vec![1.0, -0.5], vec![1], &[2], 2).expect("a data set");
    let plain = task("[2]", 2, 1, "[]", "rate = 0.5");
    let heavy = task("[2]", 2, 1, "[]", "rate = 0.5, momentum = 0.25");
    let step = |task: &Task, weights: &[f32], steps| {
        let mut weights = weights.to_vec();
        Trainer::new(task, data(), 0, Device::Cpu).expect("a trainer").train(&mut weights, steps, &mut || true).expect("trained");
        weights
    };
    let start = plain.init(1);
    let first = step(&plain, &start, 1);
    let second = step(&plain, &first, 1);
    for (i, weight) in step(&heavy, &start, 2).into_iter().enumerate() {
        // The second step adds a quarter of the first.
        let expected = second[i] + 0.25 * (first[i] - start[i]);
        assert!((weight - expected).abs() < 1e-6, "{weight} {expected}");
    }
}

/// A digest of the weights of two models, each large enough that burn divides its matrix products among
/// threads (it does from 192^3 multiplications on).
fn digest() -> u64 {
    let task = task("[8, 8]", 10, 256, "[512, 128]", "rate = 0.1, momentum = 0.9");
    let (weights, metrics) = learn(&task, digits::seeded(1).expect("digits"), 1, 20);
    let (letters, spoken) = letters(64);
    let mut read = letters.init(1);
    Trainer::new(&letters, spoken, 1, Device::Cpu).expect("a trainer").train(&mut read, 4, &mut || true).expect("trained");
    let numbers = weights.iter().chain(&read);
    let digest = numbers.fold(0_u64, |digest, weight| digest.wrapping_mul(0x0100_0000_01b3) ^ u64::from(weight.to_bits()));
    digest ^ metrics.loss.to_bits()
}

/// A small transformer and the beginning of a play.
fn letters(batch: usize) -> (Task, Dataset) {
    let text = format!(
        "kind = 'language'\ncontext = 32\nvocabulary = ' abcdefghijklmnopqrstuvwxyz'\nbatch = {batch}
         model = {{ kind = 'gpt', layers = 1, width = 32, heads = 4 }}\noptimizer = {{ kind = 'adamw', rate = 0.01 }}"
    );
    let task = Task::parse(&text.parse().expect("a table")).expect("a task");
    let play = hamlet::load().expect("the play");
    let vocabulary = task.vocabulary().expect("of a language task");
    let data = Dataset::text(&hamlet::speeches(&play[..16_384]), vocabulary, 32).expect("a text");
    (task, data)
}

#[test]
fn trainers_on_several_threads_do_not_disturb_each_other() {
    let (task, data) = letters(8);
    let train = &|seed: u64| {
        let mut weights = task.init(1);
        let mut trainer = Trainer::new(&task, data.clone(), seed, Device::Cpu).expect("a trainer");
        for _ in 0..5 {
            trainer.train(&mut weights, 2, &mut || true).expect("trained");
        }
        weights
    };
    let one_by_one: Vec<Vec<f32>> = (0..4).map(train).collect();
    let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || train(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("trained")).collect()
    });
    assert!(together == one_by_one);
    assert!(one_by_one[0] != one_by_one[1], "seeds must matter");
}

const DIGEST: &str = "digest of the weights: ";

/// Run by the test below, each time in a process with another number of threads.
#[test]
fn digest_of_the_weights() {
    println!("{DIGEST}{:016x}", digest());
}

#[test]
fn results_do_not_depend_on_the_run_nor_on_the_number_of_threads() {
    let program = std::env::current_exe().expect("this test's own path");
    let digest_with = |threads: &str| {
        let mut child = Command::new(&program);
        child.args(["--exact", "digest_of_the_weights", "--nocapture"]).env("RAYON_NUM_THREADS", threads);
        let output = String::from_utf8(child.output().expect("ran").stdout).expect("text");
        let digest = output.split_once(DIGEST).map(|(_, rest)| rest[..16].to_owned());
        digest.unwrap_or_else(|| panic!("no digest in {output}"))
    };
    let one = digest_with("1");
    for threads in ["1", "2", "5"] {
        assert_eq!(digest_with(threads), one, "with {threads} threads");
    }
}
