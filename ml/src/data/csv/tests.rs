//! Tables as people write them, and as an enemy would.

use proptest::prelude::*;

use super::*;
use crate::data::source::tests::{classify, error};
use crate::data::{ColumnKind, Dataset, Schema, Source};

fn file(text: &[u8], rest: &str) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("t.csv");
    std::fs::write(&path, text).expect("written");
    let source = format!("csv:{}{rest}", path.display()).parse().expect("a source");
    (directory, source)
}

fn rows(data: &Dataset) -> Vec<(Vec<f32>, u32)> {
    data.labels().iter().enumerate().map(|(i, &label)| (data.input(i).expect("a row"), label)).collect()
}

/// Both parts' rows, in the order of their first numbers.
fn all(source: &Source, task: &crate::Task) -> Vec<(Vec<f32>, u32)> {
    let split = source.load(task, 1).expect("a split");
    let mut rows = [rows(&split.train), rows(&split.test)].concat();
    rows.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
    rows
}

const PEOPLE: &str = "age;colour;risk;id\n40;red;yes;1\n52.5;\"blue\";no;2\n27.5;red;no;3\n";
const COLUMNS: &str = "labels = ['no', 'yes']\ncolumns = [{ name = 'age', mean = 40, scale = 12.5 }, { name = 'colour', values = ['blue', 'red'] }]";

#[test]
fn the_columns_of_the_task_make_the_numbers() {
    let (_directory, source) = file(PEOPLE.as_bytes(), "?label=risk");
    let expected = vec![(vec![-1.0, 0.0, 1.0], 0), (vec![0.0, 0.0, 1.0], 1), (vec![1.0, 1.0, 0.0], 0)];
    assert_eq!(all(&source, &classify("[3]", 2, COLUMNS)), expected);
    let tabs = format!("\u{FEFF}{}", PEOPLE.replace(';', "\t").replace('\n', "\r\n"));
    let (_directory, source) = file(tabs.as_bytes(), "?label=risk");
    assert_eq!(all(&source, &classify("[3]", 2, COLUMNS)), expected, "a mark, tabs and carriage returns change nothing");
}

#[test]
fn without_columns_numbers_stay_as_they_are() {
    let (_directory, source) = file(b"a,label,b\n1,1,2\n3,0.0,4\n", "");
    assert_eq!(all(&source, &classify("[2]", 2, "")), [(vec![1.0, 2.0], 1), (vec![3.0, 4.0], 0)]);
}

#[test]
fn a_schema_is_what_a_task_needs() {
    let (_directory, source) = file(PEOPLE.as_bytes(), "?label=risk&skip=id");
    let Ok(Schema::Labelled { shape, classes, examples, legend }) = source.schema() else { panic!("a table") };
    assert_eq!((shape, classes, examples), (vec![3], 2, 3));
    assert_eq!(legend.labels(), ["no", "yes"]);
    assert_eq!(legend.columns()[0].kind, ColumnKind::Number { mean: 40.0, scale: 10.206 });
    assert_eq!(legend.columns()[1].kind, ColumnKind::Category { values: vec!["blue".to_owned(), "red".to_owned()] });
    all(&source, &classify("[3]", 2, &legend.to_toml()));
}

#[test]
fn rows_may_belong_to_somebody() {
    let (_directory, source) = file(b"x,who,label\n1,first,0\n2,second,1\n3,first,1\n4,third,0\n", "?natural=who&test=0.01");
    let split = source.load(&classify("[1]", 2, ""), 1).expect("a split");
    let groups: Vec<(f32, u32)> =
        rows(&split.train).iter().zip(split.train.groups()).map(|((row, _), &group)| (row[0], group)).collect();
    assert!(groups.len() == 3 && groups.iter().all(|&(x, group)| [0, 1, 0, 2][x as usize - 1] == group), "{groups:?}");
}

#[test]
fn a_wrong_cell_is_named() {
    let task = classify("[3]", 2, COLUMNS);
    let few = "(blue, red)";
    let table = [
        ("52.5", "x", "row 3, column \"age\": \"x\" is not a finite number".to_owned()),
        ("52.5", "inf", "row 3, column \"age\": \"inf\" is not a finite number".to_owned()),
        ("52.5", "1e300", "row 3, column \"age\": \"1e300\" is not a finite number".to_owned()),
        ("52.5", "NaN", "row 3, column \"age\": the value is missing (`?missing=mean` reads it as the mean)".to_owned()),
        ("52.5", "", "row 3, column \"age\": the value is missing (`?missing=mean` reads it as the mean)".to_owned()),
        ("\"blue\"", "green", format!("row 3, column \"colour\": \"green\" is not one of the task's words {few}")),
        (";yes", ";maybe", "row 2, column \"risk\": \"maybe\" is not one of the task's labels (no, yes)".to_owned()),
        (";yes;1", ";yes", "line 2 has 3 columns; the first line names 4".to_owned()),
        ("age;", "years;", "no column \"age\", which the task asks for; there are years, colour, risk, id".to_owned()),
        ("risk", "danger", "no column \"risk\"; there are age, colour, danger, id".to_owned()),
        ("id", "age", "two columns are called \"age\"; the first line must name each".to_owned()),
    ];
    for (from, to, expected) in table {
        let (_directory, source) = file(PEOPLE.replacen(from, to, 1).as_bytes(), "?label=risk");
        let told = error(&source, &task);
        assert!(told.ends_with(&expected), "{told}");
    }
    let (_directory, source) = file(PEOPLE.replacen("52.5;\"blue\"", "?;NA", 1).as_bytes(), "?label=risk&missing=mean");
    assert!(all(&source, &task).contains(&(vec![0.0, 0.0, 0.0], 0)), "the mean, and none of the words");
    for (text, expected) in
        [("", "the file is empty; the first line must name the columns"), ("a,label\n", "there is no example in the data")]
    {
        let (_directory, source) = file(text.as_bytes(), "");
        assert!(error(&source, &classify("[1]", 2, "")).ends_with(expected));
    }
}

#[test]
fn a_schema_says_which_column_cannot_be_learned_from() {
    let schema = |text: &str, rest: &str| {
        let (_directory, source) = file(text.as_bytes(), rest);
        source.schema().expect_err("refused").to_string()
    };
    let names: String = (0..300).map(|i| format!("name{i},0\n")).collect();
    let told = schema(&format!("name,label\n{names}"), "");
    assert!(told.contains("row 258, column \"name\": \"name256\": a column of words has at most 256 of them"), "{told}");
    assert!(schema("x,label\n1,\n", "").ends_with("row 2, column \"label\": the label is missing"));
    assert!(schema("x,label\n", "").ends_with("no row below the header"));
    assert!(schema("x,label\n1,0\n", "?skip=y").ends_with("no column \"y\" to skip; there are x, label"));
}

#[test]
fn a_quote_that_never_ends_does_not_take_in_the_file() {
    let begin = b"x,label\n\"".to_vec();
    let mut table = Delimited::new(Path::new("t.csv"), begin, Box::new(io::repeat(b'a'))).expect("a header");
    let told = table.next(&mut Row::default()).expect_err("refused").to_string();
    assert_eq!(told, "t.csv: line 2: a row is longer than 16777216 bytes; does a quote not end?");
}

proptest! {
    #[test]
    fn nothing_panics(text in prop::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'1'), any::<u8>()], 0..80)) {
        let begin = [b"x,label\n".to_vec(), text.clone()].concat();
        for begin in [begin, text] {
            if let Ok(mut table) = Delimited::new(Path::new("t.csv"), begin, Box::new(io::empty())) {
                let (mut row, columns) = (Row::default(), table.names().len());
                while let Ok(true) = table.next(&mut row) {
                    prop_assert_eq!(row.cells.len(), columns);
                }
            }
        }
    }
}
