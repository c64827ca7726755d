//! Images as they should be, and as an enemy would write them.

use image::{GrayImage, Luma, Rgb, RgbImage};
use proptest::prelude::*;

use super::*;
use crate::data::Source;
use crate::data::source::tests::{classify, error};

pub(in crate::data) fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("encoded");
    bytes.into_inner()
}

fn gray(width: u32, height: u32, level: u8) -> Vec<u8> {
    png(&GrayImage::from_fn(width, height, |x, _| Luma([if x == 0 { level } else { 255 }])).into())
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }
    directory
}

fn source(directory: &Path, rest: &str) -> Source {
    format!("images:{}{rest}", directory.display()).parse().expect("a source")
}

#[test]
fn gray_and_coloured_images_are_read() {
    let directory = folder(&[
        ("train/cat/a.png", gray(3, 2, 51)),
        ("train/dog/b.png", gray(3, 2, 0)),
        ("test/dog/c.png", png(&RgbImage::from_pixel(3, 2, Rgb([255, 0, 51])).into())),
    ]);
    let names = "labels = ['cat', 'dog']";
    let split = source(directory.path(), "").load(&classify("[2, 3]", 2, names), 1).expect("a split");
    assert_eq!(split.train.input(0), Some(vec![0.2, 1.0, 1.0, 0.2, 1.0, 1.0]));
    assert_eq!((split.train.labels(), split.test.labels()), (&[0, 1][..], &[1][..]));
    let split = source(directory.path(), "").load(&classify("[3, 2, 3]", 2, names), 1).expect("a split");
    let expected: Vec<f32> = [[1.0; 6], [0.0; 6], [0.2; 6]].concat();
    assert_eq!(split.test.input(0), Some(expected), "red, then green, then blue");
    let Ok(Schema::Labelled { shape, classes, examples, legend }) = source(directory.path(), "").schema() else {
        panic!("images")
    };
    assert_eq!((shape, classes, examples), (vec![3, 2, 3], 2, 3));
    assert_eq!(legend.labels(), ["cat", "dog"]);
}

#[test]
fn another_size_is_refused_or_resized() {
    let directory = folder(&[("0/a.png", gray(3, 2, 255)), ("1/b.png", gray(6, 4, 255))]);
    let task = classify("[2, 3]", 2, "");
    let told = error(&source(directory.path(), ""), &task);
    assert!(told.ends_with("b.png: 6 x 4 pixels; 3 x 2 were expected (`?size=3x2` resizes)"), "{told}");
    let told = source(directory.path(), "").schema().expect_err("two sizes").to_string();
    assert!(told.ends_with("b.png: 6 x 4 pixels, but others have 3 x 2 (`?size=3x2` resizes)"), "{told}");
    let split = source(directory.path(), "?size=3x2&test=0.5").load(&task, 1).expect("a split");
    assert_eq!((split.train.input(0), split.test.input(0)), (Some(vec![1.0; 6]), Some(vec![1.0; 6])));
    let told = error(&source(directory.path(), "?size=2x2"), &task);
    assert_eq!(told, "`size` is \"2x2\", but must be 3x2, as the task says");
}

#[test]
fn what_is_no_image_of_the_task_is_told() {
    let whole = gray(3, 2, 9);
    let directory = folder(&[("0/a.png", whole[..whole.len() / 2].to_vec()), ("cat/b.png", whole)]);
    let told = error(&source(directory.path(), ""), &classify("[2, 3]", 2, ""));
    assert!(told.contains("0/a.png: not a PNG image that can be read: "), "{told}");
    let told = error(&source(directory.path(), ""), &classify("[6]", 2, ""));
    assert!(told.ends_with("images are [height, width] or [3, height, width], but the task takes [6]"), "{told}");
    fs::write(directory.path().join("0/a.png"), gray(3, 2, 1)).expect("written");
    let told = error(&source(directory.path(), ""), &classify("[2, 3]", 2, ""));
    assert!(told.ends_with("cat: the task names no labels, so a label must be a whole number below 2; \"cat\" is not"), "{told}");
}

#[test]
fn one_image_is_made_as_the_task_wants_it() {
    assert_eq!(image(&gray(6, 4, 255), &classify("[2, 3]", 2, "")), Ok(vec![1.0; 6]));
    let told = image(&gray(6, 4, 255), &classify("[6]", 2, ""));
    assert_eq!(told, Err("images are [height, width] or [3, height, width], but the task takes [6]".to_owned()));
}

proptest! {
    #[test]
    fn nothing_panics(at in 0_usize..80, byte: u8, cut in 0_usize..120, noise in prop::collection::vec(any::<u8>(), 0..80)) {
        let frame = Frame { colour: true, size: [2, 3], resize: true };
        let mut bytes = gray(3, 2, 7);
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        for bytes in [bytes, noise] {
            let mut inputs = Vec::new();
            if append(&bytes, frame, &mut inputs).is_ok() {
                prop_assert_eq!(inputs.len(), frame.numbers());
            }
        }
    }
}
