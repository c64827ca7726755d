//! Series as the archives write them, and as an enemy would.

use proptest::prelude::*;

use super::*;
use crate::data::Source;
use crate::data::source::tests::{classify, error};

const HEAD: &str = "# a comment\n@problemName Small\n@timeStamps false\n@univariate false\n@dimensions 2\n@equalLength true\n@classLabel true run walk\n@data\n";

fn files(train: &str, test: Option<&str>) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("Small_TRAIN.ts");
    std::fs::write(&path, train).expect("written");
    if let Some(test) = test {
        std::fs::write(directory.path().join("Small_TEST.ts"), test).expect("written");
    }
    let source = path.display().to_string().parse().expect("a source");
    (directory, source)
}

#[test]
fn channels_come_one_after_the_other_and_scaled() {
    let train = format!("{HEAD}1,2,3:10,20,30:walk\n 5,6,7 : 40,50,60 :run\n");
    let (_directory, source) = files(&train, Some(&format!("{HEAD}0,0,0:0,0,0:run\n")));
    let legend =
        "labels = ['run', 'walk']\ncolumns = [{ name = 'a', mean = 1, scale = 2 }, { name = 'b', mean = 0, scale = 10 }]";
    let split = source.load(&classify("[2, 3]", 2, legend), 1).expect("a split");
    assert_eq!((split.train.labels(), split.test.labels()), (&[1, 0][..], &[0][..]));
    assert_eq!(split.train.input(0), Some(vec![0.0, 0.5, 1.0, 1.0, 2.0, 3.0]));
    let Ok(Schema::Labelled { shape, classes, examples, legend }) = source.schema() else { panic!("series") };
    assert_eq!((shape, classes, examples), (vec![2, 3], 2, 3));
    assert_eq!(legend.labels(), ["run", "walk"]);
    assert_eq!(
        legend.columns()[1],
        Column { name: "channel 2".to_owned(), kind: ColumnKind::Number { mean: 35.0, scale: 17.078 } }
    );
    source.load(&classify("[2, 3]", 2, &legend.to_toml()), 1).expect("fits what was made from it");
}

#[test]
fn a_wrong_line_is_named() {
    let task = classify("[2, 2]", 2, "labels = ['run', 'walk']");
    let refusal = |data: &str| {
        let (_directory, source) = files(&format!("{HEAD}{data}\n"), None);
        error(&source, &task)
    };
    let table = [
        ("1,2:run", "line 9 has 1 channels; 2 were expected"),
        ("1,2:3:run", "row 9, column channel 2: 1 steps; 2 were expected"),
        ("1,2:3,4,5:run", "row 9, column channel 2: more than 2 steps"),
        ("1,?:3,4:run", "row 9, column channel 1, step 2: \"?\" is not a finite number"),
        ("1,NaN:3,4:run", "row 9, column channel 1, step 2: \"NaN\" is not a finite number"),
        ("1,2:3,4:sit", "row 9, column the label: \"sit\" is not one of the task's labels (run, walk)"),
        ("1 2", "row 9, column the label: there is none behind a colon"),
        ("", "there is no example in the data"),
        ("1,2:3,4:run", "1 of 1 examples cannot be held out; at least one must be left on each side"),
    ];
    for (data, expected) in table {
        assert!(refusal(data).ends_with(expected), "{}", refusal(data));
    }
    for (head, expected) in [
        ("@equalLength false", "line 1: series of different lengths are not read"),
        ("@timeStamps true", "line 1: time stamps are not read; only values at equal steps are"),
        ("@classLabel false", "line 1: the series have no class, so there is nothing to learn"),
        ("@targetLabel true", "line 1: the series have a number to predict instead of a class"),
        ("@problemName x", "no line @data, so this is no .ts file"),
    ] {
        let (_directory, source) = files(&format!("{head}\n"), None);
        assert!(error(&source, &task).ends_with(expected), "{}", error(&source, &task));
    }
}

proptest! {
    #[test]
    fn nothing_panics(noise in "[0-9,:.?a\n -]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Place { path: directory.path().join("x_TRAIN.ts"), settings: Default::default() };
        for data in [format!("@data\n{noise}").into_bytes(), [&b"@data\n"[..], &bytes].concat(), bytes.clone()] {
            std::fs::write(&place.path, data).expect("written");
            let _ = schema(&place);
            let _ = load(&place, &classify("[1, 2]", 2, ""));
        }
    }
}
