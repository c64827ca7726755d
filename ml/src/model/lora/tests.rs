//! That a correction starts as nothing, is all that learns and travels, and can be merged; and what is refused.

use std::path::Path;

use super::*;
use crate::data::Dataset;
use crate::safetensors;
use crate::task::{Task, TaskSpec};
use crate::train::Trainer;
use crate::{Metrics, Passage, Vocabulary, evaluate};

const GPT: &str = "kind = 'gpt', layers = 2, width = 8, heads = 2, hidden = 12";
const LETTERS: &str = " abcdef";

fn spec(model: &str) -> Result<TaskSpec, TaskError> {
    let text = format!(
        "kind = 'language'\ncontext = 6\nvocabulary = '{LETTERS}'\nbatch = 4
         model = {{ {model} }}\noptimizer = {{ kind = 'sgd', rate = 0.5 }}"
    );
    TaskSpec::parse(&text.parse().expect("a table"))
}

fn lora(digest: impl fmt::Display, base: &str) -> String {
    format!("kind = 'lora', rank = 2, alpha = 3, weights = '{digest}', base = {{ {base} }}")
}

fn data() -> Dataset {
    let text = "abe cafe fad bee dead a ".repeat(4);
    Dataset::text(&[Passage { speaker: 0, text: &text }], &Vocabulary::new(LETTERS).expect("a vocabulary"), 6).expect("a text")
}

fn tried(task: &Task, weights: &[f32]) -> Metrics {
    evaluate(task, weights, &data(), crate::Device::Cpu).expect("evaluated")
}

/// A base that has been trained, its weights in a file, and the task that corrects it.
fn corrected(folder: &Path) -> (Task, Vec<f32>, Task) {
    let base = spec(GPT).and_then(|spec| spec.equip(&Assets::new())).expect("a base");
    let mut weights = base.init(1);
    Trainer::new(&base, data(), 1, crate::Device::Cpu)
        .expect("a trainer")
        .train(&mut weights, 20, &mut || true)
        .expect("trained");
    let path = folder.join("base.safetensors");
    safetensors::save(&path, base.layout(), &weights, &Default::default()).expect("saved");
    let mut assets = Assets::new();
    let digest = assets.add(path).expect("given");
    let task = spec(&lora(digest, GPT)).and_then(|spec| spec.equip(&assets)).expect("equipped");
    (base, weights, task)
}

#[test]
fn at_first_the_model_is_its_base_and_only_thin_matrices_travel() {
    let folder = tempfile::tempdir().expect("a folder");
    let (base, weights, task) = corrected(folder.path());
    assert_eq!(tried(&task, &task.init(1)), tried(&base, &weights));
    let names: Vec<_> = task.layout().tensors().iter().map(|tensor| (tensor.name(), tensor.shape())).collect();
    let first: [(&str, &[usize]); 4] = [
        ("layers.0.attention.qkv.lora_a", &[8, 2]),
        ("layers.0.attention.qkv.lora_b", &[2, 24]),
        ("layers.0.attention.out.lora_a", &[8, 2]),
        ("layers.0.attention.out.lora_b", &[2, 8]),
    ];
    assert_eq!((names.len(), &names[..4]), (16, &first[..]));
    assert_eq!(task.layout().param_count(), 2 * (16 + 48 + 16 + 16 + 16 + 24 + 24 + 16));
}

#[test]
fn it_learns_and_can_be_merged_into_its_base() {
    let folder = tempfile::tempdir().expect("a folder");
    let (base, before, task) = corrected(folder.path());
    let mut weights = task.init(1);
    let mut trainer = Trainer::new(&task, data(), 1, crate::Device::Cpu).expect("a trainer");
    trainer.train(&mut weights, 60, &mut || true).expect("trained");
    let (at_first, learned) = (tried(&base, &before).loss, tried(&task, &weights).loss);
    assert!(learned < at_first - 0.1, "{at_first} {learned}");
    let (whole, merged) = task.merged(&weights).expect("merged");
    assert_eq!((whole.layout(), whole.model()), (base.layout(), base.model()));
    assert!((tried(&whole, &merged).loss - learned).abs() < 1e-5);
    assert_eq!(merged[..7 * 8], before[..7 * 8], "the embedding is the base's");
    assert!(matches!(task.merged(&weights[1..]), Err(WeightsError::Count { .. })));
    let (same, plain) = base.merged(&before).expect("itself");
    assert_eq!((same, plain), (base, before));
}

/// One step at rate 1 over all the data is the gradient, as for other models.
#[test]
fn a_step_is_the_gradient_that_finite_differences_find() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, _, task) = corrected(folder.path());
    let data = data().subset(&[0, 1, 2, 3]).expect("a batch");
    let before: Vec<f32> = (0..task.layout().param_count()).map(|i| (i as f32 * 1.3).sin() * 0.4).collect();
    let mut after = before.clone();
    Trainer::new(&task, data.clone(), 0, crate::Device::Cpu)
        .expect("a trainer")
        .train(&mut after, 1, &mut || true)
        .expect("trained");
    let loss = |weights: &[f32]| evaluate(&task, weights, &data, crate::Device::Cpu).expect("evaluated").loss;
    for i in 0..before.len() {
        let (mut less, mut more) = (before.clone(), before.clone());
        less[i] -= 4e-3;
        more[i] += 4e-3;
        let expected = (loss(&more) - loss(&less)) / f64::from(more[i] - less[i]);
        let gradient = f64::from(before[i] - after[i]) / 0.5;
        assert!((gradient - expected).abs() < 3e-3, "parameter {i}: {gradient}, by differences {expected}");
    }
}

#[test]
fn what_lacks_its_file_or_has_another_is_no_task() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.safetensors");
    let nothing = Digest::of(b"");
    let unequipped = spec(&lora(nothing, GPT)).expect("a spec");
    assert_eq!(unequipped.needs(), [nothing]);
    let missing = unequipped.equip(&Assets::new()).expect_err("no file").to_string();
    let expected =
        format!("`task.model.weights`: the file with the BLAKE3 hash {nothing} is needed, but was not given to this node");
    assert_eq!(missing, expected);
    let other = spec("kind = 'gpt', layers = 1, width = 8, heads = 2, hidden = 12").expect("another");
    let weights = vec![0.5; other.layout().param_count()];
    safetensors::save(&path, other.layout(), &weights, &Default::default()).expect("saved");
    let mut assets = Assets::new();
    let digest = assets.add(&path).expect("given");
    let misfit = spec(&lora(digest, GPT)).expect("a spec").equip(&assets).expect_err("another's weights").to_string();
    assert_eq!(misfit, format!("`task.model.weights`: {}: tensor `layers.1.attention.qkv` is missing", path.display()));
}

#[test]
fn a_wrong_table_is_told_what_would_be_right() {
    let nothing = Digest::of(b"");
    let good = lora(nothing, GPT);
    let hash = "the BLAKE3 hash of a file, 64 hexadecimal digits in lower case";
    let cases = [
        ("rank = 2", "rank = 0", "`task.model.rank` is 0, but must be a whole number between 1 and 1024".to_owned()),
        ("alpha = 3", "alpha = 0", "`task.model.alpha` is 0, but must be a number above 0 and at most 10000".to_owned()),
        (
            "weights",
            "weight",
            "`task.model.weight` is not a key of this table; there are `kind`, `rank`, `alpha`, `weights`, `base`".to_owned(),
        ),
        (&nothing.to_string(), "base.safetensors", format!("`task.model.weights` is \"base.safetensors\", but must be {hash}")),
        ("kind = 'gpt'", "kind = 'mlp'", "`task.model.base.kind` is \"mlp\", but must be \"gpt\" or \"lora\"".to_owned()),
        (
            "kind = 'gpt'",
            "kind = 'lora'",
            "`task.model.base.kind` is \"lora\", but must be a kind that has weights of its own".to_owned(),
        ),
        ("layers = 2", "layers = 0", "`task.model.base.layers` is 0, but must be a whole number between 1 and 64".to_owned()),
    ];
    for (from, to, expected) in cases {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        assert_eq!(spec(&text).expect_err(&text).to_string(), expected);
    }
}
