//! `predict`, `generate`, `eval` and `export` on a node that is not running: on the checkpoint it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use shoal_ml::{Device, Generator, Predictor, Sampling, Source, Task};
use shoal_node::config::DataSettings;
use shoal_node::identity::{Identity, KEY_FILE};
use shoal_node::learner::Checkpoint;
use shoal_node::runs::Memory;
use shoal_node::store::Store;
use shoal_protocol::layout::Layout;
use shoal_protocol::replica::Replica;
use shoal_protocol::spec::RunSpec;

const DIGITS: &str = "version = 1\nname = 'digits'\nseed = 3\n[round]\nsteps = 1\nperiod_ms = 1000\npeers = 3
[task]\nkind = 'classify'\ninputs = [8, 8]\nclasses = 10\nbatch = 16
model = { kind = 'mlp', hidden = [8] }\noptimizer = { kind = 'sgd', rate = 0.1 }\n";
const PLAY: &str = "version = 1\nname = 'play'\nseed = 3\n[round]\nsteps = 1\nperiod_ms = 1000\npeers = 3
[task]\nkind = 'language'\ncontext = 16\nvocabulary = ' abcdefgh'\nbatch = 16
model = { kind = 'gpt', layers = 1, width = 8, heads = 2 }\noptimizer = { kind = 'sgd', rate = 0.1 }\n";

/// A data directory with a node in it that ran before.
struct Left {
    dir: tempfile::TempDir,
}

impl Left {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("as it was set up");
        Identity::load_or_create(dir.path()).expect("as it was set up");
        Self { dir }
    }

    /// The node took part in this run; nothing is saved yet.
    fn joined(&self, text: &str) -> (RunSpec, Task, PathBuf) {
        let spec = RunSpec::parse(text).expect("as it was set up");
        let memory = Memory::new(self.dir.path());
        memory.join(&spec, text, &DataSettings::default()).expect("as it was set up");
        let task = Task::parse(spec.task()).expect("as it was set up");
        let dir = memory.run_dir(&spec.run_id());
        (spec, task, dir)
    }

    /// The node left the run with its initial weights, after round 12.
    fn saved(&self, text: &str) -> (Task, Vec<f32>, PathBuf) {
        let (spec, task, dir) = self.joined(text);
        let own = Identity::load(&self.dir.path().join(KEY_FILE)).expect("as it was set up").node_id();
        let (layout, weights) = (Layout::from_tensors(&task.layout().sizes()).expect("as it was set up"), task.init(spec.seed()));
        let replica = Replica::new(spec.run_id(), &spec, layout, own, [7; 32], weights.clone()).expect("as it was set up");
        let checkpoint = Checkpoint { round: 12, replica: replica.snapshot(), trainer: Vec::new() };
        Store::open(&dir).expect("as it was set up").save_checkpoint(&checkpoint.encode()).expect("as it was set up");
        (task, weights, dir)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("as it was set up").to_owned()
    }

    fn shoal(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
        command.args(args).arg("--data-dir").arg(self.dir.path()).env_clear().output().expect("as it was set up")
    }

    fn answer(&self, args: &[&str]) -> String {
        let output = self.shoal(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("as it was set up")
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.answer(args)).expect("as it was set up")
    }

    fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.shoal(args);
        (output.status.code().expect("as it was set up"), String::from_utf8(output.stderr).expect("as it was set up"))
    }
}

fn row(example: &[f32]) -> String {
    example.iter().map(f32::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn a_classifier_at_rest_answers() {
    let left = Left::new();
    let (task, weights, _) = left.saved(DIGITS);
    let test = Source::Digits.load(&task, 0).unwrap().test;
    let (first, second) = (test.input(0).unwrap(), test.input(1).unwrap());
    let file = left.path("rows.csv");
    fs::write(&file, format!("{}\n{}\n", row(&first), row(&second))).unwrap();
    let predictor = Predictor::new(&task, &weights, Device::Cpu).unwrap();

    let logits = left.answer(&["predict", &file, "--logits"]);
    let said: Vec<f32> = logits.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(said, predictor.logits(&[first.clone(), second].concat()).unwrap());
    let said = left.json(&["predict", &file, "--json"]);
    let expected = predictor.predict(&first).unwrap();
    let best = expected.iter().copied().fold(0.0, f32::max);
    assert_eq!(said[0]["probability"].as_f64().unwrap() as f32, best);
    assert_eq!((said[1]["example"].as_u64(), said.as_array().unwrap().len()), (Some(2), 2));
    assert!(left.answer(&["predict", &file, "--top", "3"]).ends_with("by the weights of round 12\n"));

    let found = left.json(&["eval", "--json", "--run", "digits"]);
    let metrics = shoal_ml::evaluate(&task, &weights, &test, Device::Cpu).unwrap();
    assert_eq!(found["figures"]["accuracy"].as_f64(), Some(metrics.accuracy));
    assert_eq!((found["round"].as_u64(), found["confusions"].as_array().unwrap().len()), (Some(12), 10));

    let to = left.path("folder");
    let files = left.json(&["export", "--to", &to, "--json", "--license", "mit"])["files"].as_array().unwrap().len();
    assert_eq!(files, 3);
    let (read, said) = shoal_ml::safetensors::load(&Path::new(&to).join("model.safetensors"), task.layout()).unwrap();
    assert_eq!((read, said["round"].as_str()), (weights, "12"));
    let (code, why) = left.refused(&["export", "--to", &to]);
    assert!(code == 1 && why.contains("exists already"), "{why}");
}

#[test]
fn a_writer_at_rest_goes_on() {
    let left = Left::new();
    let (task, weights, _) = left.saved(PLAY);
    let generator = Generator::new(&task, &weights, Device::Cpu).unwrap();
    let sampling = Sampling { max_tokens: 40, temperature: 0.7, seed: 5, ..Sampling::default() };
    let (expected, _) = generator.begin("a bad cafe", sampling).unwrap().run().unwrap();
    let args = ["generate", "a bad cafe", "--max-tokens", "40", "--temperature", "0.7", "--seed", "5"];
    assert_eq!(left.answer(&args), format!("{expected}\n"));
    let said = left.json(&[&args[..], &["--json"]].concat());
    assert_eq!((said["text"].as_str(), said["completion_tokens"].as_u64()), (Some(expected.as_str()), Some(40)));
    assert_eq!((said["seed"].as_u64(), said["finish_reason"].as_str()), (Some(5), Some("length")));

    let file = left.path("prompt.txt");
    fs::write(&file, "a bad").unwrap();
    let logits = left.answer(&["predict", &file, "--logits"]);
    let said: Vec<f32> = logits.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(said, generator.logits("a bad").unwrap());
}

#[test]
fn what_cannot_be_answered_is_said() {
    let left = Left::new();
    let (code, why) = left.refused(&["generate", "a"]);
    assert!(code == 1 && why.contains("takes part in no run"), "{why}");
    left.joined(PLAY);
    let (code, why) = left.refused(&["generate", "a"]);
    assert!(code == 1 && why.contains("no checkpoint yet"), "{why}");
    left.saved(DIGITS);
    let (code, why) = left.refused(&["generate", "a"]);
    assert!(code == 2 && why.contains("several runs: ") && why.contains("--run"), "{why}");
    let table: &[(&[&str], i32, &str)] = &[
        (&["generate", "a", "--run", "digits"], 2, "does not continue texts"),
        (&["generate", "a", "--run", "other"], 2, "no run of the name or id \"other\""),
        (&["generate", "a", "--run", "digits", "--temperature", "3"], 2, "`temperature` must be 0 to 2"),
        (&["predict", "absent.csv", "--run", "digits"], 1, "absent.csv cannot be read"),
        (&["eval", "--run", "digits", "--data", "hamlet"], 1, "the data: "),
        (&["eval", "--run", "digits", "--data", "no such data"], 2, "`data` is \"no such data\""),
    ];
    for (args, code, said) in table {
        let (exit, why) = left.refused(args);
        assert!(exit == *code && why.contains(said), "{args:?}: {exit}, {why}");
        assert_eq!(why.lines().count(), 2, "{why}");
    }
}

#[test]
fn a_run_that_somebody_else_has_open_is_left_alone() {
    let left = Left::new();
    let (_, _, dir) = left.saved(PLAY);
    let open = Store::open(&dir).unwrap();
    let (code, why) = left.refused(&["generate", "a"]);
    assert!(code == 1 && why.contains("use"), "{why}");
    drop(open);
    left.answer(&["generate", "a", "--max-tokens", "1"]);
}
