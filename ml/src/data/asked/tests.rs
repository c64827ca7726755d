//! That a question is read as training reads the same row, and that what does not fit is told its place.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Source;
use crate::data::source::tests::classify;

const COLUMNS: &str = "labels = ['no', 'yes']\ncolumns = [{ name = 'age', mean = 40, scale = 12.5 }, \
                       { name = 'colour', values = ['blue', 'red', '3'] }]";
const REFUSED: Missing = Missing::Refused("`--missing mean`");

fn people() -> Task {
    classify("[4]", 2, COLUMNS)
}

#[test]
fn a_row_is_what_training_makes_of_it() {
    let text = "colour;risk;age\nred;yes;40\n\"blue\";no;52.5\n3;no;27.5\n";
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("people.csv");
    std::fs::write(&path, text).expect("written");
    let source: Source = format!("csv:{}?label=risk", path.display()).parse().expect("a source");
    let split = source.load(&people(), 1).expect("a split");
    let rows = |data: &crate::Dataset| (0..data.len()).map(|i| data.input(i).expect("a row")).collect::<Vec<_>>();
    let mut trained = [rows(&split.train), rows(&split.test)].concat();
    let asked = rows_of(text);
    trained.sort_by(|a, b| a[0].total_cmp(&b[0]));
    assert_eq!(asked.len(), 3);
    for row in &asked {
        assert!(trained.contains(row), "{row:?} among {trained:?}");
    }
    // Neither the label nor the order matters, and a record says the same as a row.
    assert_eq!(rows_of("age,colour\n40,red\n52.5,blue\n27.5,3\n"), asked);
    let records =
        json!([{"age": 40, "colour": "red", "risk": "yes"}, {"colour": " blue ", "age": "52.5"}, {"age": 27.5, "colour": 3}]);
    assert_eq!(values(&records, &people(), REFUSED), Ok(asked.concat()));
    assert_eq!(values(&records[0], &people(), REFUSED), Ok(asked[0].clone()));
}

fn rows_of(text: &str) -> Vec<Vec<f32>> {
    rows(text, &people(), REFUSED).expect("rows").chunks(4).map(<[f32]>::to_vec).collect()
}

#[test]
fn a_row_that_does_not_fit_is_named() {
    let missing = "the value is missing (`--missing mean` reads it as the mean)";
    let table = [
        ("age,colour\n40,red\nx,red\n", "row 3, column \"age\": \"x\" is not a finite number".to_owned()),
        (
            "age,colour\n40,green\n",
            "row 2, column \"colour\": \"green\" is not one of the task's words (blue, red, 3)".to_owned(),
        ),
        ("age,colour\n,red\n", format!("row 2, column \"age\": {missing}")),
        ("age,colour\n40\n", "line 2 has 1 columns; the first line names 2".to_owned()),
        ("years,colour\n40,red\n", "no column \"age\", which the task asks for; there are years, colour".to_owned()),
        ("40,red\n", "no column \"age\", which the task asks for; there are 40, red".to_owned()),
        ("age,colour\n", "no row below the header".to_owned()),
        ("", "the file is empty; the first line must name the columns".to_owned()),
    ];
    for (text, expected) in table {
        assert_eq!(rows(text, &people(), REFUSED), Err(expected));
    }
    let table = [
        (json!({"age": 40}), "row 1: no column \"colour\", which the task asks for; there are age"),
        (
            json!([{"age": 1, "colour": "red"}, {"age": null, "colour": "red"}]),
            "row 2, column \"age\": the value is missing (`--missing mean` reads it as the mean)",
        ),
        (json!({"age": [40], "colour": "red"}), "row 1, column \"age\": a number or a text was expected, not a list"),
        (json!({"age": true, "colour": "red"}), "row 1, column \"age\": \"true\" is not a finite number"),
        (json!([{"age": 1, "colour": "red"}, [1.0]]), "among objects there is a list"),
        (json!([[1, 2], [{}]]), "a list has numbers, not an object"),
        (json!([1, "a"]), "a list has numbers, not text"),
    ];
    for (value, expected) in table {
        assert_eq!(values(&value, &people(), REFUSED), Err(expected.to_owned()), "{value}");
    }
    assert_eq!(rows("age,colour\n?,NA\n", &people(), Missing::Mean), Ok(vec![0.0; 4]));
    assert_eq!(values(&json!({"age": null, "colour": null}), &people(), Missing::Mean), Ok(vec![0.0; 4]));
}

#[test]
fn numbers_are_read_from_rows_and_lists() {
    let task = classify("[2]", 2, "");
    for text in ["1,2\n3,4\n", "1; 2\r\n\r\n3; 4", "1 2\n 3\t4", "x,y\n1,2\n3,4\n"] {
        assert_eq!(rows(text, &task, REFUSED), Ok(vec![1.0, 2.0, 3.0, 4.0]), "{text}");
    }
    for list in [json!([[1, 2], [3, 4]]), json!([1, 2, 3, 4])] {
        assert_eq!(values(&list, &task, REFUSED), Ok(vec![1.0, 2.0, 3.0, 4.0]));
    }
    let table = [
        ("1,2,3", "row 1 has 3 numbers; an example has 2"),
        ("1,2\n1,x", "row 2, column 2: \"x\" is no finite number"),
        ("1,inf", "row 1, column 2: \"inf\" is no finite number"),
        ("1,2\nx,y", "row 2, column 1: \"x\" is no finite number"),
    ];
    for (text, reason) in table {
        assert_eq!(rows(text, &task, REFUSED), Err(reason.to_owned()));
    }
    let none = values(&json!({"a": 1}), &task, REFUSED).expect_err("refused");
    assert_eq!(none, "the run names no columns; give lists of the model's numbers");
}

#[test]
fn a_series_has_a_list_for_each_channel() {
    let columns = "columns = [{ name = 'x', mean = 1, scale = 2 }, { name = 'y', mean = 0, scale = 1 }]";
    let task = classify("[2, 3]", 2, columns);
    let asked = values(&json!({"y": [4, 5, 6], "x": [1, 3, 5]}), &task, REFUSED);
    assert_eq!(asked, Ok(vec![0.0, 1.0, 2.0, 4.0, 5.0, 6.0]));
    let table = [
        (json!({"x": [1, 2], "y": [1, 2, 3]}), "row 1, column \"x\": a list of 3 numbers was expected"),
        (json!({"x": [1, 2, null], "y": [1, 2, 3]}), "row 1, column \"x\": null is not a finite number"),
        (json!({"x": 1, "y": [1, 2, 3]}), "row 1, column \"x\": a list of 3 numbers was expected"),
    ];
    for (value, expected) in table {
        assert_eq!(values(&value, &task, REFUSED), Err(expected.to_owned()));
    }
}

#[test]
fn words_of_many_numbers_are_bounded() {
    assert!(room(&[], NUMBERS_MAX).is_ok());
    assert!(room(&[0.0], NUMBERS_MAX).is_err() && room(&[0.0], usize::MAX).is_err());
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_read_is_whole(text in "(age|colour|x|[,;\"\n 1-9red.]){0,30}") {
        for (task, each) in [(people(), 4), (classify("[2]", 2, ""), 2)] {
            if let Ok(numbers) = rows(&text, &task, REFUSED) {
                prop_assert!(numbers.len() % each == 0 && numbers.iter().all(|number| number.is_finite()));
            }
        }
    }
}
