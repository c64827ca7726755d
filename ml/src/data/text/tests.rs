//! Text on disk: windows, parts, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::data::source::tests::{error, language};
use crate::data::{Passage, Source, Vocabulary};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).expect("written");
    }
    directory
}

fn source(directory: &tempfile::TempDir, name: &str) -> Source {
    format!("text:{}", directory.path().join(name).display()).parse().expect("a source")
}

#[test]
fn a_text_on_disk_gives_the_windows_it_gives_in_memory() {
    let play = crate::data::hamlet::load().expect("the play");
    let directory = folder(&[("play.txt", play.as_bytes())]);
    let task = language(64, crate::data::hamlet::CHARACTERS);
    let split = source(&directory, "play.txt").load(&task, 1).expect("a split");
    assert_eq!((split.train.len(), split.test.len()), (2_664, 296));
    let vocabulary = Vocabulary::new(crate::data::hamlet::CHARACTERS).expect("a vocabulary");
    let memory = Dataset::text(&[Passage { speaker: 0, text: &play }], &vocabulary, 64).expect("a text");
    for (data, first) in [(&split.train, 0), (&split.test, 2_664)] {
        assert!(data.is_streamed() && data.class_counts() == [data.len()]);
        for index in 0..data.len() {
            assert_eq!(data.input(index), memory.input(first + index));
        }
    }
    let device = crate::Device::Cpu.open();
    let answers = |data: &Dataset, index| {
        data.batch([index].into_iter(), &device).expect("a batch").answers.try_to_vec_as::<i64>().expect("numbers")
    };
    assert_eq!(answers(&split.test, 7), answers(&memory, 2_671));
}

#[test]
fn the_files_of_a_folder_are_who_speaks() {
    let directory = folder(&[("b.txt", b"bbbbbbb"), ("a.txt", b"aaaaaaaaaa"), ("c.md", b"ccc")]);
    let split = format!("text:{}?test=0.2", directory.path().display())
        .parse::<Source>()
        .expect("a source")
        .load(&language(3, " ab"), 1)
        .expect("a split");
    assert_eq!((split.train.labels(), split.test.labels(), split.train.classes()), (&[0, 0, 0, 1][..], &[1][..], 2));
    assert_eq!((split.train.input(3), split.test.input(0)), (Some(vec![2.0; 3]), Some(vec![2.0; 3])));
    assert_eq!(split.train.subset(&[3, 0]).expect("two").labels(), [1, 0]);
    let Ok(Schema::Text { characters, length }) =
        Source::Path(Place::parse(&directory.path().display().to_string(), &[]).expect("a place")).schema()
    else {
        panic!("text")
    };
    assert_eq!((characters.as_str(), length), (" ab", 17));
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line() {
    let mut long = "é\n".repeat(CHUNK_BYTES).into_bytes();
    long.push(0xC3);
    let directory =
        folder(&[("a.txt", b"ok\nstill\nbroken \xE9\n"), ("cut.txt", &long), ("short.txt", b"abc"), ("empty.txt", b"")]);
    let task = language(3, " ab");
    assert!(error(&source(&directory, "a.txt"), &task).ends_with("a.txt: line 3 is not UTF-8, so this is no text"));
    assert!(
        error(&source(&directory, "cut.txt"), &task)
            .ends_with(&format!("line {} is not UTF-8, so this is no text", CHUNK_BYTES + 1))
    );
    let short = |length| format!("a text of {length} characters is too short for one example of 3 and the character after them");
    assert_eq!(error(&source(&directory, "short.txt"), &task), short(3));
    assert_eq!(error(&source(&directory, "empty.txt"), &task), short(0));
}

proptest! {
    #[test]
    fn pieces_put_together_are_the_text(text in "\\PC{0,60}", chunk in 4_usize..40) {
        let directory = folder(&[("a.txt", text.as_bytes())]);
        let mut found = String::new();
        let bytes = read_file(&directory.path().join("a.txt"), &mut vec![0; chunk], &mut |piece| found += piece).expect("a text");
        prop_assert_eq!((bytes, &found), (text.len() as u64, &text));
        let mut characters = Characters::default();
        characters.add(&text);
        let vocabulary = characters.vocabulary();
        prop_assert!(text.chars().all(|character| vocabulary.contains(character)) && vocabulary.starts_with(' '));
        prop_assert_eq!(characters.length as usize, text.chars().count());
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), chunk in 4_usize..20) {
        let directory = folder(&[("a.txt", &bytes)]);
        let read = read_file(&directory.path().join("a.txt"), &mut vec![0; chunk], &mut |_| ());
        prop_assert_eq!(read.is_ok(), std::str::from_utf8(&bytes).is_ok());
    }
}
