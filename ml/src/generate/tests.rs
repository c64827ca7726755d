//! That a text goes on as the whole forward says, as its seed says, and no further than asked.

use super::*;

const CONTEXT: usize = 8;
const CHARACTERS: &str = " abcdef";

fn task() -> Task {
    let text = format!(
        "kind = 'language'\ncontext = {CONTEXT}\nvocabulary = '{CHARACTERS}'\nbatch = 1
         model = {{ kind = 'gpt', layers = 2, width = 8, heads = 2, hidden = 5 }}
         optimizer = {{ kind = 'sgd', rate = 1 }}"
    );
    Task::parse(&text.parse().expect("a table")).expect("a task")
}

/// None zero, and so large that a greedy text is no row of equal letters.
fn weights(task: &Task) -> Vec<f32> {
    let mut rng = seed::stream(9, Purpose::Init, 0);
    (0..task.layout().param_count()).map(|_| seed::symmetric(&mut rng, 1.2)).collect()
}

fn generator() -> Generator {
    let task = task();
    Generator::new(&task, &weights(&task), Device::Cpu).expect("a generator")
}

fn whole() -> Generator {
    let task = task();
    Generator::with(&task, Means::whole(&task, &weights(&task), Device::Cpu)).expect("a generator")
}

fn sampling(max_tokens: usize) -> Sampling {
    Sampling { max_tokens, seed: 4, ..Sampling::default() }
}

fn text(generator: &Generator, prompt: &str, sampling: &Sampling) -> (String, Finish) {
    generator.begin(prompt, sampling.clone()).expect("begun").run().expect("a text")
}

#[test]
fn a_cache_changes_no_text_not_even_past_the_context() {
    let (cached, whole) = (generator(), whole());
    for temperature in [0.0, 1.0] {
        for prompt in ["a", "fade", "abcdefab", "deaf cafe bead"] {
            let sampling = Sampling { temperature, ..sampling(3 * CONTEXT) };
            let (made, finish) = text(&cached, prompt, &sampling);
            assert_eq!((made.chars().count(), finish), (3 * CONTEXT, Finish::Length));
            assert_eq!(made, text(&whole, prompt, &sampling).0, "{prompt}");
        }
    }
    let (a, b) = (cached.logits("bad fad").expect("logits"), whole.logits("bad fad").expect("logits"));
    assert!(a.len() == 7 && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
}

#[test]
fn a_full_window_goes_on_with_its_newer_half() {
    let generator = generator();
    let mut generation = generator.begin("abcdefab", sampling(2)).expect("begun");
    while generation.made_tokens() < 2 {
        generation.step().expect("a step");
    }
    // Eight were read and one made; it did not fit, so four went before it was read.
    let tokens = &generation.window.tokens;
    assert_eq!((tokens.len(), generator.tokens().decode(&tokens[..4])), (5, "efab".to_owned()));
}

#[test]
fn of_a_long_prompt_the_end_is_read() {
    let generator = generator();
    let long = format!("{}deaf cab", "fed ".repeat(9));
    assert_eq!(text(&generator, &long, &sampling(5)), text(&generator, "deaf cab", &sampling(5)));
    assert_eq!(generator.begin(&long, sampling(5)).expect("begun").prompt_tokens(), 44);
}

#[test]
fn the_seed_decides() {
    let generator = generator();
    let with = |seed| text(&generator, "a", &Sampling { seed, ..sampling(40) });
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
    let greedy = |seed| text(&generator, "a", &Sampling { seed, temperature: 0.0, ..sampling(40) });
    assert_eq!(greedy(1), greedy(2));
}

#[test]
fn a_stop_string_ends_the_text_and_is_not_in_it() {
    let generator = generator();
    let (all, _) = text(&generator, "cab", &sampling(40));
    let stop: String = all.chars().skip(5).take(2).collect();
    let first = all.find(&stop).expect("it is there");
    let (made, finish) = text(&generator, "cab", &Sampling { stop: vec![stop], ..sampling(40) });
    assert_eq!((made.as_str(), finish), (&all[..first], Finish::Stop));
}

#[test]
fn nothing_is_made_where_nothing_is_asked_for() {
    let mut generation = generator().begin("a", sampling(0)).expect("begun");
    assert_eq!(generation.run().expect("a text"), (String::new(), Finish::Length));
    assert_eq!((generation.step(), generation.made_tokens()), (Ok(Step::Quiet), 0));
}

#[test]
fn what_cannot_be_continued_is_said() {
    let generator = generator();
    let error = |prompt: &str, sampling| generator.begin(prompt, sampling).err().map(|error| error.to_string());
    assert_eq!(error("", sampling(1)), Some(GenerateError::EmptyPrompt.to_string()));
    let long = "a".repeat(PROMPT_BYTES_MAX + 1);
    assert_eq!(error(&long, sampling(1)).as_deref(), Some("the prompt has 1048577 bytes; at most 1048576 are read"));
    let table = [
        (Sampling { max_tokens: TOKENS_MAX + 1, ..sampling(1) }, "`max_tokens` must be 0 to 65536"),
        (Sampling { temperature: -0.1, ..sampling(1) }, "`temperature` must be 0 to 2"),
        (Sampling { temperature: f32::NAN, ..sampling(1) }, "`temperature` must be 0 to 2"),
        (Sampling { top_p: 0.0, ..sampling(1) }, "`top_p` must be above 0 and at most 1"),
        (Sampling { top_p: f32::NAN, ..sampling(1) }, "`top_p` must be above 0 and at most 1"),
        (Sampling { stop: vec![String::new()], ..sampling(1) }, "`stop` must be at most 4 strings of 1 to 256 bytes"),
        (Sampling { stop: vec!["a".to_owned(); 5], ..sampling(1) }, "`stop` must be at most 4 strings of 1 to 256 bytes"),
    ];
    for (sampling, message) in table {
        assert_eq!(error("a", sampling).as_deref(), Some(message));
    }
    let task = task();
    // Rows of the embedding that can be normed, and layers that overflow.
    let huge: Vec<f32> = (0..task.layout().param_count()).map(|i| if i < 7 * 8 { 0.5 } else { f32::MAX }).collect();
    let huge = Generator::new(&task, &huge, Device::Cpu).expect("finite weights");
    assert_eq!(huge.begin("a", sampling(1)).expect("begun").run(), Err(GenerateError::NotFinite));
    assert!(matches!(Generator::new(&task, &[0.0], Device::Cpu), Err(GenerateError::Weights(_))));
}
