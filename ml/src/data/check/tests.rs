//! What a look at data says of good data and of odd data.

use super::*;
use crate::data::source::tests::{classify, language};
use crate::data::tests::text_of;

fn table(text: &str) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("t.csv");
    std::fs::write(&path, text).expect("written");
    let source = format!("{}?test=0.2", path.display()).parse().expect("a source");
    (directory, source)
}

#[test]
fn the_digits_are_shown_as_pictures() {
    let report = check(&Source::Digits, None).expect("a report");
    assert_eq!((report.shape.as_slice(), report.train, report.test), (&[8, 8][..], 1_437, 360));
    assert_eq!((report.classes.len(), report.samples.len(), report.models.as_slice()), (10, 3, &["cnn", "mlp"][..]));
    assert_eq!(report.classes.iter().map(|class| class.train + class.test).collect::<Vec<_>>()[..3], [178, 182, 177]);
    let picture = &report.samples[0];
    assert!(picture.lines().count() == 9 && picture.contains("@@"), "{picture}");
    let text = report.to_string();
    for part in [
        "data      digits\n",
        "shape     [8, 8]\n",
        "examples  1437 to train on, 360 held out\n",
        "\nclass     train  held out\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_may_go_wrong_is_told() {
    let rows: String = (0..60).map(|i| format!("{i},5,{}\n", if i == 7 || i == 9 { "rare" } else { "usual" })).collect();
    let (_directory, source) = table(&format!("x,y,label\n{rows}{rows}0,5,usual\n"));
    let report = check(&source, None).expect("a report");
    let hints = report.hints.join("\n");
    assert!(hints.contains("usual has ") && hints.contains("the same in every row: y"), "{hints}");
    assert!(hints.contains("examples to train on are doubles of others") && !hints.contains("are trained on too"), "{hints}");
    assert_eq!(report.models, ["mlp"]);
    let task = classify("[2]", 3, "labels = ['none', 'rare', 'usual']");
    let hints = check(&source, Some(&task)).expect("a report").hints.join("\n");
    assert!(hints.contains("nothing to train on of none: fine if other nodes have it"), "{hints}");
    let batches = check(&source, Some(&Task::parse(&many_in_a_batch()).expect("a task"))).expect("a report").hints.join("\n");
    assert!(batches.contains("are few for batches of 64"), "{batches}");
}

fn many_in_a_batch() -> toml::Table {
    "kind = 'classify'\ninputs = [2]\nclasses = 2\nbatch = 64\nlabels = ['rare', 'usual']
     model = { kind = 'mlp', hidden = [] }\noptimizer = { kind = 'sgd', rate = 0.1 }"
        .parse()
        .expect("a table")
}

#[test]
fn a_text_is_measured_against_the_vocabulary() {
    let (_directory, source) = text_of(&"abc\nxyz ".repeat(40));
    let report = check(&source, Some(&language(8, " abc\n"))).expect("a report");
    assert_eq!((report.text, report.characters, report.models.as_slice()), (true, 320, &["gpt"][..]));
    assert!(
        report.hints.contains(&"120 of 320 characters are not in the vocabulary and are read as its first: \"xyz\"".to_owned())
    );
    assert_eq!(report.samples[..2], ["abc".to_owned(), "xyz abc".to_owned()]);
    assert_eq!(check(&source, None).expect("a report").hints, [""; 0]);
    let report = check(&Source::Hamlet, None).expect("a report");
    assert!(report.to_string().contains("text      189481 characters, read 64 tokens at a time"), "{report}");
}

#[test]
fn data_that_does_not_fit_says_only_that() {
    let (_directory, source) = table("x,label\n1,0\n2,1\n");
    let error = check(&source, Some(&classify("[2]", 2, ""))).expect_err("refused").to_string();
    assert!(error.ends_with("t.csv: 1 columns of numbers beside the label, but the task takes [2]"), "{error}");
    let (_directory, source) = table("x,label\n1,0\n2,0\n");
    let error = check(&source, None).expect_err("refused").to_string();
    assert_eq!(error, "no task can be made of this data: `task.classes` is 1, but must be a whole number between 2 and 1048576");
}
