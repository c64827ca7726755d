//! Names of data, what is found at a path, and what is said of a wrong file of any format.

use std::fs;
use std::io::Write;

use super::*;
use crate::data::digits;

/// A task of labelled examples.
pub(in crate::data) fn classify(inputs: &str, classes: usize, rest: &str) -> Task {
    let text = format!(
        "kind = 'classify'\ninputs = {inputs}\nclasses = {classes}\nbatch = 1\nmodel = {{ kind = 'mlp', hidden = [] }}
         optimizer = {{ kind = 'sgd', rate = 0.1 }}\n{rest}"
    );
    Task::parse(&text.parse().expect("a table")).expect("a task")
}

/// A task of text.
pub(crate) fn language(context: usize, characters: &str) -> Task {
    let text = format!(
        "kind = 'language'\ncontext = {context}\nvocabulary = {}\nbatch = 1\noptimizer = {{ kind = 'sgd', rate = 0.1 }}
         model = {{ kind = 'gpt', layers = 1, width = 4, heads = 1 }}",
        toml::Value::from(characters)
    );
    Task::parse(&text.parse().expect("a table")).expect("a task")
}

/// Why data is refused.
pub(in crate::data) fn error(source: &Source, task: &Task) -> String {
    source.load(task, 1).expect_err("refused").to_string()
}

#[test]
fn names_parse_and_print() {
    for name in [
        "digits",
        "hamlet",
        "idx:some/where:else",
        "images:a/b?size=28x28",
        "csv:a.csv?label=x&test=0.2",
        "parquet:x.parquet",
        "ts:a_TRAIN.ts",
        "wav:sounds?bands=40&frames=98",
        "text:a.txt",
        "some/path",
        "./x?label=y",
        "table.csv",
        "C:\\data\\x.csv",
    ] {
        assert_eq!(name.parse::<Source>().expect("a source").to_string(), name);
    }
    for name in ["", "idx", "idx:", "Digits", "digits:1", "csv:", "photos", "mnist:x", "a.b:c"] {
        assert_eq!(name.parse::<Source>(), Err(DataError::Name(name.to_owned())));
    }
    let error = |text: &str| text.parse::<Source>().expect_err("refused").to_string();
    assert_eq!(error("text:a?label=x"), "`label` is \"x\", but must be one of test");
    assert!(
        error("hamlett")
            .starts_with("\"hamlett\" is no data and nothing lies there; give a file, a folder, or one of \"digits\", ")
    );
}

#[test]
fn data_of_another_kind_or_shape_than_the_tasks_is_refused() {
    let images = classify("[8, 8]", 10, "");
    let text = language(8, " abc");
    assert_eq!(Source::Digits.load(&images, 1), digits::seeded(1));
    let split = Source::Hamlet.load(&text, 1).expect("a split");
    assert_eq!((split.train.shape(), split.test.len()), (&[8][..], 2_369));
    assert_eq!(error(&Source::Digits, &text), "the task takes text, but the data is labelled examples");
    assert_eq!(error(&Source::Hamlet, &images), "the task takes labelled examples, but the data is text");
    let nowhere = error(&Source::Idx("no/such/directory".into()), &images);
    assert_eq!(nowhere, "no/such/directory/train-images-idx3-ubyte: there is no such file or folder");
}

/// A folder in which something of every kind lies.
fn everything() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::File::create(path).and_then(|mut file| file.write_all(bytes)).expect("written");
    };
    write("t.csv", b"x,label\n1,0\n2,1\n3,0\n");
    write("s_TRAIN.ts", b"@data\n1,2:0\n3,4:1\n");
    write("t.txt", b"abcabcabc");
    write("texts/a.txt", b"abcabcabc");
    write("odd.bin", b"abc");
    write("empty/.hidden", b"");
    write("two/cat/a.png", b"");
    write("two/a.txt", b"a");
    write("photos/cat/a.png", b"");
    write("sounds/cat/a.wav", b"");
    write("idx/train-images-idx3-ubyte.gz", b"");
    directory
}

#[test]
fn what_lies_at_a_path_is_recognised() {
    let directory = everything();
    let found = |name: &str| {
        let place =
            Place::parse(&directory.path().join(name).display().to_string(), &["label", "size", "test"]).expect("a place");
        place.found().map(|source| source.to_string().split_once(':').map(|(format, _)| format.to_owned()).unwrap_or_default())
    };
    for (name, format) in [
        ("t.csv", "csv"),
        ("s_TRAIN.ts", "ts"),
        ("t.txt", "text"),
        ("texts", "text"),
        ("photos", "images"),
        ("sounds", "wav"),
        ("idx", "idx"),
        ("t.csv?label=y", "csv"),
    ] {
        assert_eq!(found(name).as_deref(), Ok(format), "{name}");
    }
    let refusal = |name: &str| found(name).expect_err("refused").to_string();
    for (name, end) in [
        ("absent", "absent: there is no such file or folder"),
        (
            "odd.bin",
            "odd.bin: the file's ending is none of .csv, .tsv, .parquet, .ts, .txt and .md; write the format before it, as in text:FILE",
        ),
        (
            "empty",
            "empty: neither MNIST's four files, nor a folder of .png or .wav files for each class, nor .txt files lie here",
        ),
        ("two", "two: several kinds of data lie here; write which before the path: images: text:"),
        ("t.csv?size=1x1", "`size` is \"1x1\", but must be one of label, natural, skip, missing, test"),
        ("idx?test=0.5", "`test` is \"0.5\", but must be left out: this data has no settings"),
    ] {
        assert!(refusal(name).ends_with(end), "{}", refusal(name));
    }
}

#[test]
fn every_format_says_what_is_wrong_with_its_file() {
    let directory = everything();
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("photos/cat/a.png"), b"RIFF").expect("written");
    fs::write(path("sounds/cat/a.wav"), b"\x89PNG").expect("written");
    fs::write(path("bad.txt"), b"ab\nc\xFF").expect("written");
    fs::write(path("bad.csv"), b"x,label\n1,0\n\xFF,1\n").expect("written");
    let (numbers, picture, letters) =
        (classify("[1]", 2, "labels = ['cat', 'dog']"), classify("[1, 2]", 2, "labels = ['cat', 'dog']"), language(3, " abc"));
    let parquet = if cfg!(feature = "parquet") {
        "t.csv: not a Parquet file that can be read: "
    } else {
        "t.csv: this build does not read Parquet files; "
    };
    let table = [
        ("csv:absent", &numbers, "absent: there is no such file or folder"),
        ("csv:photos", &numbers, "photos: this is a folder; a file was expected"),
        ("csv:t.csv?label=y", &numbers, "t.csv: no column \"y\"; there are x, label"),
        ("csv:t.csv", &picture, "t.csv: 1 columns of numbers beside the label, but the task takes [1, 2]"),
        ("csv:t.csv", &numbers, "t.csv, row 2, column \"label\": \"0\" is not one of the task's labels (cat, dog)"),
        ("csv:bad.csv", &classify("[1]", 2, ""), "bad.csv: line 3 is not UTF-8"),
        ("csv:t.csv", &letters, "the task takes text, but the data is labelled examples"),
        (
            "parquet:absent",
            &numbers,
            if cfg!(feature = "parquet") {
                "absent: there is no such file or folder"
            } else {
                "absent: this build does not read Parquet files; "
            },
        ),
        ("parquet:t.csv", &numbers, parquet),
        ("ts:absent", &picture, "absent: there is no such file or folder"),
        ("ts:photos", &picture, "photos: this is a folder; a file was expected"),
        ("ts:s_TRAIN.ts", &numbers, "s_TRAIN.ts: series are [channels, steps], but the task takes [1]"),
        ("ts:t.csv", &picture, "t.csv: line 1: not a line of a .ts file, whose head is made of lines such as @data"),
        ("images:absent", &picture, "absent: there is no such file or folder"),
        ("images:t.csv", &picture, "t.csv: this is a file; a folder was expected"),
        (
            "images:sounds",
            &picture,
            "sounds: no folder in it has a .png file; there must be one folder for each class, named after it",
        ),
        ("images:photos", &picture, "cat/a.png: not a PNG image that can be read: "),
        ("images:photos", &numbers, "photos: images are [height, width] or [3, height, width], but the task takes [1]"),
        ("wav:absent", &picture, "absent: there is no such file or folder"),
        ("wav:t.csv", &picture, "t.csv: this is a file; a folder was expected"),
        ("wav:sounds", &picture, "cat/a.wav: not a WAV recording that can be read: "),
        ("wav:sounds", &numbers, "sounds: recordings are [bands, frames], but the task takes [1]"),
        ("text:absent", &letters, "absent: there is no such file or folder"),
        ("text:photos", &letters, "photos: there is no .txt file in this folder"),
        ("text:bad.txt", &letters, "bad.txt: line 2 is not UTF-8, so this is no text"),
        ("text:t.txt", &numbers, "the task takes labelled examples, but the data is text"),
        ("text:odd.bin", &letters, "a text of 3 characters is too short for one example of 3 and the character after them"),
        ("idx:photos", &picture, "train-images-idx3-ubyte: there is no such file or folder"),
        ("idx:idx", &picture, "train-images-idx3-ubyte.gz: shorter than its header"),
    ];
    for (source, task, expected) in table {
        let (format, name) = source.split_once(':').expect("a format");
        let source: Source = format!("{format}:{}", path(name)).parse().expect("a source");
        let told = error(&source, task);
        assert!(told.contains(expected), "{source}: {told}");
        assert!(!told.contains('\n'), "one sentence: {told}");
    }
}
