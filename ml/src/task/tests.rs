//! What a task's table may say, what is refused and in which words, and that all nodes start alike.

use super::*;
use crate::Gpt;
use crate::optimizer::{AdamW, Decay, Rule, Schedule};

const CONSTANT: Schedule = Schedule { warmup: 0, decay: Decay::Constant };

const DIGITS: &str = r#"
    kind = "classify"
    inputs = [8, 8]
    classes = 10
    batch = 16
    model = { kind = "mlp", hidden = [64] }
    optimizer = { kind = "sgd", rate = 0.2 }
"#;

fn parse(text: &str) -> Result<Task, TaskError> {
    Task::parse(&text.parse().expect("a table"))
}

#[test]
fn the_documented_table_is_read() {
    let task = parse(DIGITS).expect("a task");
    assert_eq!((task.inputs(), task.classes(), task.batch()), (&[8, 8][..], 10, 16));
    assert_eq!(*task.optimizer(), OptimizerSpec { rule: Rule::Sgd { rate: 0.2, momentum: 0.0 }, clip: None, schedule: CONSTANT });
    let names: Vec<_> = task.layout().tensors().iter().map(|tensor| (tensor.name(), tensor.shape())).collect();
    let expected: [(&str, &[usize]); 4] =
        [("layers.0.weight", &[64, 64]), ("layers.0.bias", &[64]), ("layers.1.weight", &[64, 10]), ("layers.1.bias", &[10])];
    assert_eq!(names, expected);
    assert_eq!(task.layout().param_count(), 4_810);
}

#[test]
fn a_wrong_table_is_told_which_key_and_what_would_be_right() {
    let counts = "1 to 4 whole numbers, each between 1 and 16777216";
    let widths = "0 to 16 whole numbers, each between 1 and 65536";
    let table: &[(&str, &str, String)] = &[
        ("kind = \"classify\"", "", "`task.kind` is missing; it must be \"classify\" or \"language\"".to_owned()),
        ("\"classify\"", "\"guess\"", "`task.kind` is \"guess\", but must be \"classify\" or \"language\"".to_owned()),
        ("\"classify\"", "7", "`task.kind` is 7, but must be \"classify\" or \"language\"".to_owned()),
        ("classes = 10", "", "`task.classes` is missing; it must be a whole number between 2 and 1048576".to_owned()),
        ("classes = 10", "classes = 1", "`task.classes` is 1, but must be a whole number between 2 and 1048576".to_owned()),
        ("batch = 16", "batch = -1", "`task.batch` is -1, but must be a whole number between 1 and 65536".to_owned()),
        ("batch = 16", "batch = 1.5", "`task.batch` is 1.5, but must be a whole number between 1 and 65536".to_owned()),
        ("[8, 8]", "[]", format!("`task.inputs` is [], but must be {counts}")),
        ("[8, 8]", "[1, 1, 1, 1, 1]", format!("`task.inputs` is [1, 1, 1, 1, 1], but must be {counts}")),
        ("[8, 8]", "[8, 0]", format!("`task.inputs[1]` is 0, but must be {counts}")),
        (
            "[8, 8]",
            "[4096, 4097]",
            "`task.inputs` is [4096, 4097], but must be a shape of at most 16777216 numbers in all".to_owned(),
        ),
        ("[64]", "[64, \"x\"]", format!("`task.model.hidden[1]` is \"x\", but must be {widths}")),
        ("[64]", "[65537]", format!("`task.model.hidden[0]` is 65537, but must be {widths}")),
        ("[64]", "64", format!("`task.model.hidden` is 64, but must be {widths}")),
        ("hidden", "hiddn", "`task.model.hiddn` is not a key of this table; there are `kind`, `hidden`".to_owned()),
        ("\"mlp\"", "\"gpt\"", "`task.model.kind` is \"gpt\", but must be \"mlp\", \"cnn\" or \"lora\"".to_owned()),
        ("\"sgd\"", "\"adam\"", "`task.optimizer.kind` is \"adam\", but must be \"sgd\" or \"adamw\"".to_owned()),
        ("rate = 0.2", "", "`task.optimizer.rate` is missing; it must be a number above 0 and at most 10".to_owned()),
        ("rate = 0.2", "rate = 0", "`task.optimizer.rate` is 0, but must be a number above 0 and at most 10".to_owned()),
        ("rate = 0.2", "rate = nan", "`task.optimizer.rate` is NaN, but must be a number above 0 and at most 10".to_owned()),
        ("rate = 0.2", "rate = 11", "`task.optimizer.rate` is 11, but must be a number above 0 and at most 10".to_owned()),
        (
            "rate = 0.2",
            "rate = 1, momentum = 1",
            "`task.optimizer.momentum` is 1, but must be a number between 0 and 0.999".to_owned(),
        ),
        (
            "rate = 0.2",
            "rate = 1, momentum = \"x\"",
            "`task.optimizer.momentum` is \"x\", but must be a number between 0 and 0.999".to_owned(),
        ),
        (
            "batch = 16",
            "batch = 16\nlearn = 1",
            "`task.learn` is not a key of this table; there are `kind`, `inputs`, `classes`, `labels`, `columns`, `batch`, `model`, `optimizer`, `init`"
                .to_owned(),
        ),
    ];
    for (from, to, expected) in table {
        let text = DIGITS.replacen(from, to, 1);
        assert_ne!(text, DIGITS, "{from}");
        assert_eq!(parse(&text).expect_err(&text).to_string(), *expected);
    }
}

const LANGUAGE: &str = r#"
    kind = "language"
    context = 64
    vocabulary = " etao\n"
    batch = 16
    model = { kind = "gpt", layers = 2, width = 32, heads = 4 }
    optimizer = { kind = "adamw", rate = 0.003 }
"#;

#[test]
fn the_documented_language_table_is_read() {
    let task = parse(LANGUAGE).expect("a task");
    assert_eq!((task.inputs(), task.classes(), task.batch()), (&[64][..], 6, 16));
    assert_eq!(task.vocabulary().map(|vocabulary| (vocabulary.token('\n'), vocabulary.token('?'))), Some((5, 0)));
    let gpt = task.model().downcast::<Gpt>().expect("a transformer");
    assert_eq!((gpt.layers(), gpt.width(), gpt.heads(), gpt.hidden()), (2, 32, 4, 128));
    let defaults = AdamW { rate: 0.003, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.01 };
    assert_eq!(*task.optimizer(), OptimizerSpec { rule: Rule::AdamW(defaults), clip: None, schedule: CONSTANT });
    let full = "rate = 1, beta1 = 0.8, beta2 = 0.95, epsilon = 1e-6, decay = 0, warmup = 9, clip = 1.5";
    let adamw = AdamW { rate: 1.0, beta1: 0.8, beta2: 0.95, epsilon: 1e-6, decay: 0.0 };
    let task = parse(&LANGUAGE.replace("rate = 0.003", full)).expect("a task");
    assert_eq!(
        *task.optimizer(),
        OptimizerSpec { rule: Rule::AdamW(adamw), clip: Some(1.5), schedule: Schedule { warmup: 9, ..CONSTANT } }
    );
}

#[test]
fn a_wrong_language_table_is_told_too() {
    let vocabulary = "a string of 2 to 4096 different characters, the first of which stands for every other";
    let table = [
        ("context = 64", "context = 0", "`task.context` is 0, but must be a whole number between 1 and 8192".to_owned()),
        ("\" etao\\n\"", "\" etae\"", format!("`task.vocabulary` is \" etae\", but must be {vocabulary}")),
        ("\" etao\\n\"", "\"e\"", format!("`task.vocabulary` is \"e\", but must be {vocabulary}")),
        (
            "vocabulary",
            "vocabulari",
            "`task.vocabulari` is not a key of this table; there are `kind`, `context`, \
            `vocabulary`, `tokenizer`, `tokens`, `batch`, `model`, `optimizer`, `init`"
                .to_owned(),
        ),
        ("\"gpt\"", "\"mlp\"", "`task.model.kind` is \"mlp\", but must be \"gpt\" or \"lora\"".to_owned()),
        ("heads = 4", "heads = 32", "`task.model.width` is 32, but must be a multiple of twice the heads".to_owned()),
        ("layers = 2", "layers = 65", "`task.model.layers` is 65, but must be a whole number between 1 and 64".to_owned()),
        (
            "heads = 4",
            "heads = 4, activation = 'tanh'",
            "`task.model.activation` is \"tanh\", but must be \"gelu\" or \"relu2\"".to_owned(),
        ),
        (
            "heads = 4",
            "heads = 4, hidden = 0",
            "`task.model.hidden` is 0, but must be a whole number between 1 and 32768".to_owned(),
        ),
        (
            "rate = 0.003",
            "rate = 1, beta2 = 1",
            "`task.optimizer.beta2` is 1, but must be a number between 0 and 0.99999".to_owned(),
        ),
        (
            "rate = 0.003",
            "rate = 1, epsilon = 0",
            "`task.optimizer.epsilon` is 0, but must be a number between 0.000000000001 and 1".to_owned(),
        ),
        (
            "rate = 0.003",
            "rate = 1, clip = 0",
            "`task.optimizer.clip` is 0, but must be a number above 0 and at most 1000000".to_owned(),
        ),
        (
            "rate = 0.003",
            "rate = 1, momentum = 0",
            "`task.optimizer.momentum` is not a key of this table; there are `kind`, \
            `rate`, `beta1`, `beta2`, `epsilon`, `decay`, `clip`, `warmup`, `schedule`, `until`, `floor`"
                .to_owned(),
        ),
    ];
    for (from, to, expected) in table {
        let text = LANGUAGE.replacen(from, to, 1);
        assert_ne!(text, LANGUAGE, "{from}");
        assert_eq!(parse(&text).expect_err(&text).to_string(), expected);
    }
    let long = LANGUAGE.replace("context = 64", "context = 8192");
    let error = parse(&long).expect_err("attention of 8192 x 8192, 4 heads, 16 windows").to_string();
    assert_eq!(error, "`task.batch` is 16, but must be so small that batch times the widest layer is at most 268435456");
    assert!(parse(&long.replace("batch = 16", "batch = 1")).is_ok());
}

#[test]
fn what_would_not_fit_into_memory_is_refused() {
    let wide = DIGITS.replace("[64]", "[65536, 65536]");
    assert_eq!(parse(&wide), Err(TaskError::TooManyParameters));
    let long = DIGITS.replace("[8, 8]", "[16777216]").replace("batch = 16", "batch = 17");
    let error = parse(&long).expect_err("refused").to_string();
    assert_eq!(error, "`task.batch` is 17, but must be so small that batch times the widest layer is at most 268435456");
    assert!(parse(&long.replace("batch = 17", "batch = 16").replace("[64]", "[32]")).is_ok());
}

/// Two nodes of different builds must start from the same weights: a change here is a new
/// version of every run.
#[test]
fn initial_weights_are_the_same_for_ever() {
    let weights = parse(DIGITS).expect("a task").init(42);
    let digest = weights.iter().fold(0_u64, |digest, weight| digest.wrapping_mul(0x0100_0000_01b3) ^ u64::from(weight.to_bits()));
    assert_eq!((weights.len(), digest), (4_810, 17_241_801_563_954_564_298));
    let bound = (6.0_f32 / 64.0).sqrt();
    assert!(weights.iter().all(|weight| weight.abs() <= bound));
    assert!(weights[4_096..4_160].iter().chain(&weights[4_800..]).all(|&bias| bias == 0.0));
}

#[test]
fn seeds_give_different_weights() {
    let task = parse(DIGITS).expect("a task");
    assert_ne!(task.init(1), task.init(2));
}

#[test]
fn a_run_starts_from_the_weights_that_its_spec_names_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    let plain = parse(DIGITS).expect("a task");
    let weights: Vec<f32> = (0..4_810).map(|i| i as f32 / 4_810.0).collect();
    crate::safetensors::save(&path, plain.layout(), &weights, &Default::default()).expect("saved");
    let mut assets = Assets::new();
    let digest = assets.add(&path).expect("given");
    let table = format!("init = \"{digest}\"\n{DIGITS}").parse().expect("a table");
    let spec = TaskSpec::parse(&table).expect("a spec");
    assert_eq!((spec.needs(), plain.spec().needs()), (vec![digest], vec![]));
    let task = spec.clone().equip(&assets).expect("equipped");
    assert!(task.init(1) == weights && task.init(2) == weights);
    assert_ne!(task, plain);
    let missing = Task::parse(&table).expect_err("not given").to_string();
    assert_eq!(missing, format!("`task.init`: the file with the BLAKE3 hash {digest} is needed, but was not given to this node"));
    let other = Layout::new(plain.layout().tensors()[1..].to_vec()).expect("a layout");
    crate::safetensors::save(&path, &other, &weights[4_096..], &Default::default()).expect("saved");
    let changed = spec.equip(&assets).expect_err("changed").to_string();
    assert_eq!(changed, format!("`task.init`: {}: the file has changed since it was given (BLAKE3 {digest})", path.display()));
    let digest = assets.add(&path).expect("given");
    let table = format!("init = \"{digest}\"\n{DIGITS}").parse().expect("a table");
    let cut = TaskSpec::parse(&table).expect("a spec").equip(&assets).expect_err("too little").to_string();
    assert_eq!(cut, format!("`task.init`: {}: tensor `layers.0.weight` is missing", path.display()));
    let wrong = parse(&format!("init = \"weights.safetensors\"\n{DIGITS}")).expect_err("a path").to_string();
    assert_eq!(
        wrong,
        "`task.init` is \"weights.safetensors\", but must be the BLAKE3 hash of a file, 64 hexadecimal digits in lower case"
    );
}

#[test]
fn a_tokenizer_is_a_file_the_task_needs() {
    use crate::asset::{Assets, Digest};
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tokenizer.json");
    std::fs::write(&path, crate::data::tests::TOKENIZER).expect("written");
    let digest = Digest::of(crate::data::tests::TOKENIZER.as_bytes());
    let spec = |rest: &str| {
        let text = LANGUAGE.replace("vocabulary = \" etao\\n\"", &format!("tokenizer = '{digest}'\n{rest}"));
        TaskSpec::parse(&text.parse().expect("a table"))
    };
    let error = |rest: &str| spec(rest).expect_err("refused").to_string();
    assert_eq!(error(""), "`task.tokens` is missing; it must be a whole number between 2 and 1048576");
    let both = "`task.vocabulary` is there, but must be left out where `tokenizer` is";
    assert_eq!(error("tokens = 9\nvocabulary = 'ab'"), both);
    let whole = spec("tokens = 9").expect("a spec");
    assert_eq!((whole.needs(), whole.classes(), whole.vocabulary()), (vec![digest], 9, None));
    assert!(whole.clone().equip(&Assets::new()).is_err(), "nobody gave the file");
    let mut assets = Assets::new();
    assets.add(&path).expect("a file");
    let task = whole.equip(&assets).expect("a task");
    assert_eq!(task.vocabulary().map(|vocabulary| vocabulary.encode("abc")), Some(vec![6]));
    let error = spec("tokens = 7").expect("a spec").equip(&assets).expect_err("refused").to_string();
    assert!(error.ends_with("tokenizer.json: not a tokenizer.json: it has a token 7, but the task says 7 tokens"), "{error}");
}
