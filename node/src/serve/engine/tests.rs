//! The engine with models that are not trained: who is answered, who is refused, and with which weights.

use std::time::SystemTime;

use shoal_ml::{Finish, Task};
use shoal_protocol::spec::RunSpec;
use tokio::sync::watch;

use super::*;
use crate::api::Snapshot;
use crate::serve::{ServedSender, ServedWeights};

const DIGITS: &str = "kind = 'classify'\ninputs = [2]\nclasses = 3\nbatch = 1
    model = { kind = 'mlp', hidden = [] }\noptimizer = { kind = 'sgd', rate = 1 }";
const LETTERS: &str = "kind = 'language'\ncontext = 16\nvocabulary = \" \\nabcdefgh:ust\"\nbatch = 1
    model = { kind = 'gpt', layers = 1, width = 8, heads = 2 }\noptimizer = { kind = 'sgd', rate = 1 }";

/// A run of this name and task, and where its weights go.
fn run(name: &str, task: &str) -> (ServedRun, ServedSender) {
    let round = "[round]\nsteps = 1\nperiod_ms = 1000\npeers = 3";
    let text = format!("version = 1\nname = '{name}'\nseed = 1\n{round}\n[task]\n{task}");
    let spec = RunSpec::parse(&text).unwrap();
    let (sender, weights) = watch::channel(None);
    let (_, status) = watch::channel(Snapshot::default());
    (ServedRun::new(&spec, Task::parse(spec.task()).unwrap(), weights, status), sender)
}

/// Two numbers, three classes.
pub(crate) fn classifier(name: &str) -> (ServedRun, ServedSender) {
    run(name, DIGITS)
}

/// Thirteen letters.
pub(crate) fn writer(name: &str) -> (ServedRun, ServedSender) {
    run(name, LETTERS)
}

/// Puts out weights that are of this round.
pub(crate) fn put_out(sender: &ServedSender, round: u64, weights: Vec<f32>) {
    sender.send_replace(Some(Arc::new(ServedWeights { round, weights, at: SystemTime::UNIX_EPOCH })));
}

/// The weights that a run starts from.
pub(crate) fn initial(run: &ServedRun) -> Vec<f32> {
    run.task().init(1)
}

#[tokio::test]
async fn an_answer_is_of_the_weights_of_the_moment() {
    let engine = Engine::start().unwrap();
    let (run, sender) = classifier("a");
    assert_eq!(engine.predict(run.clone(), vec![1.0, 2.0]).await, Err(ServeError::NotReady));
    // Logits of (x, y): (x, y, 0), then (-x, -y, 0).
    for (round, sign) in [(3, 1.0), (4, -1.0)] {
        put_out(&sender, round, [sign, 0.0, 0.0, 0.0, sign, 0.0, 0.0, 0.0, 0.0].to_vec());
        let predicted = engine.predict(run.clone(), vec![1.0, 2.0, 5.0, 0.0]).await.unwrap();
        assert_eq!(predicted.round, round);
        let logits: Vec<_> = predicted.predictions.iter().map(|prediction| prediction.logits.clone()).collect();
        assert_eq!(logits, [[sign, 2.0 * sign, 0.0], [5.0 * sign, 0.0, 0.0]]);
        let classes: Vec<_> = predicted.predictions.iter().map(Prediction::class).collect();
        assert_eq!(classes, if sign > 0.0 { [1, 0] } else { [2, 1] });
    }
    let wrong = engine.predict(run.clone(), vec![1.0; 3]).await;
    assert!(matches!(wrong, Err(ServeError::Predict(PredictError::Count { expected: 2, .. }))));
    let text = engine.generate(run, "a".to_owned(), Sampling::default()).await;
    assert_eq!(text.err(), Some(ServeError::Generate(GenerateError::NoText)));
}

/// All pieces of a text.
async fn text(Text { round, prompt_tokens, mut pieces }: Text) -> (u64, String, usize) {
    assert_eq!(prompt_tokens, 3);
    let mut text = String::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Done { text: more, finish, made_tokens } => {
                assert_eq!(finish, Finish::Length);
                return (round, text + &more, made_tokens);
            }
            Piece::Failed(error) => panic!("{error}"),
        }
    }
    panic!("no end");
}

#[tokio::test]
async fn a_text_keeps_the_weights_it_began_with() {
    let engine = Engine::start().unwrap();
    let (run, sender) = writer("a");
    put_out(&sender, 1, initial(&run));
    let sampling = Sampling { max_tokens: 400, seed: 5, ..Sampling::default() };
    let expected = text(engine.generate(run.clone(), "abc".to_owned(), sampling.clone()).await.unwrap()).await;
    assert_eq!((expected.0, expected.1.chars().count(), expected.2), (1, 400, 400));
    let pieces = engine.generate(run.clone(), "abc".to_owned(), sampling.clone()).await.unwrap();
    put_out(&sender, 2, vec![0.5; run.task().layout().param_count()]);
    let other = engine.generate(run, "abc".to_owned(), sampling).await.unwrap();
    assert_eq!(text(pieces).await, expected);
    let (round, other, _) = text(other).await;
    assert!(round == 2 && other != expected.1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_place_that_is_given_up_is_free() {
    let engine = Engine::start().unwrap();
    let (run, sender) = writer("a");
    put_out(&sender, 1, initial(&run));
    let endless = || Sampling { max_tokens: shoal_ml::generate::TOKENS_MAX, ..Sampling::default() };
    let mut texts = Vec::new();
    for _ in 0..TEXTS_MAX {
        texts.push(engine.generate(run.clone(), "a".to_owned(), endless()).await.unwrap());
    }
    assert_eq!(engine.generate(run.clone(), "a".to_owned(), endless()).await.err(), Some(ServeError::Busy));
    // A prediction has a queue of its own, and its answer comes between two tokens.
    let (other, weights) = classifier("b");
    put_out(&weights, 1, initial(&other));
    assert!(engine.predict(other, vec![1.0, 2.0]).await.is_ok());
    drop(texts);
    let freed = Arc::clone(&engine.texts).acquire_many_owned(TEXTS_MAX as u32).await;
    assert!(freed.is_ok(), "who goes away is noticed");
}
