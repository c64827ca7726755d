//! Weights out to a `.safetensors` file, and in again.
//!
//! The format is Hugging Face's: a JSON header with names, shapes and a map of strings, then the
//! numbers, little-endian. Tensors carry the names and shapes of the [`Layout`], all f32. A file
//! from outside is bounded before it is parsed and taken whole or not at all: every tensor of the
//! layout once, nothing else, every number finite. A file appears under its name only when it is
//! complete and on the disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ::safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::flat::{self, WeightsError};
use crate::layout::Layout;

/// Longest header that is read or written, bytes: names, shapes and metadata (a guess; a thousand
/// tensors take about 100 KiB).
pub const HEADER_BYTES_MAX: usize = 1 << 20;
/// The header's length stands before it in eight bytes.
const LENGTH_BYTES: usize = 8;

/// What a caller says of the weights: run, round, and the like.
pub type Metadata = BTreeMap<String, String>;

/// A file that cannot be written or is not what it must be.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// The weights do not fit the layout or are not finite.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Longer than this model's weights and the longest header.
    #[error("{bytes} bytes are more than this model's file can have ({most})")]
    TooLong {
        /// What there is.
        bytes: u64,
        /// What there may be.
        most: u64,
    },
    /// Not of this format.
    #[error("not a safetensors file: {0}")]
    Format(String),
    /// Names and metadata do not fit into a header.
    #[error("names and metadata make a header longer than {HEADER_BYTES_MAX} bytes")]
    Header,
    /// A tensor of the layout that is not in the file.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// A tensor in the file that is not in the layout.
    #[error("tensor `{0}` does not belong to this model")]
    Unknown(String),
    /// A tensor of another type or shape.
    #[error("tensor `{name}` is {actual}, but must be {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// Type and shape in the file.
        actual: String,
        /// Type and shape of the layout.
        expected: String,
    },
    /// The file system said no.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The bytes of a safetensors file with these weights and this metadata.
///
/// # Errors
/// If the weights do not fit the layout, are not finite, or the metadata is too long.
pub fn export(layout: &Layout, weights: &[f32], metadata: &Metadata) -> Result<Vec<u8>, SafetensorsError> {
    flat::check(layout, weights)?;
    let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let format = |error: ::safetensors::SafeTensorError| SafetensorsError::Format(error.to_string());
    let mut views = Vec::with_capacity(layout.tensors().len());
    for (tensor, range) in layout.ranges() {
        let view = TensorView::new(Dtype::F32, tensor.shape().to_vec(), &bytes[4 * range.start..4 * range.end]);
        views.push((tensor.name(), view.map_err(format)?));
    }
    let metadata = metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let file = serialize(views, Some(metadata)).map_err(format)?;
    if file.len() - bytes.len() > LENGTH_BYTES + HEADER_BYTES_MAX { Err(SafetensorsError::Header) } else { Ok(file) }
}

/// The weights in flat order and the metadata of a safetensors file's bytes.
///
/// # Errors
/// If it is not such a file, or not one of this layout with finite numbers.
pub fn import(layout: &Layout, bytes: &[u8]) -> Result<(Vec<f32>, Metadata), SafetensorsError> {
    check_length(layout, bytes.len() as u64)?;
    let header = bytes.first_chunk().map_or(0, |&length| u64::from_le_bytes(length));
    if header > HEADER_BYTES_MAX as u64 {
        return Err(SafetensorsError::Header);
    }
    let format = |error: ::safetensors::SafeTensorError| SafetensorsError::Format(error.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
    let file = SafeTensors::deserialize(bytes).map_err(format)?;
    if let Some(name) = file.names().into_iter().find(|&name| layout.tensors().iter().all(|tensor| tensor.name() != name)) {
        return Err(SafetensorsError::Unknown(name.chars().take(80).collect()));
    }
    let mut weights = Vec::with_capacity(layout.param_count());
    for tensor in layout.tensors() {
        let view = file.tensor(tensor.name()).map_err(|_| SafetensorsError::Missing(tensor.name().to_owned()))?;
        if view.dtype() != Dtype::F32 || view.shape() != tensor.shape() {
            let actual = format!("{:?} {:?}", view.dtype(), view.shape()).chars().take(200).collect();
            let expected = format!("F32 {:?}", tensor.shape());
            return Err(SafetensorsError::Tensor { name: tensor.name().to_owned(), actual, expected });
        }
        weights.extend(view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
    }
    flat::check(layout, &weights)?;
    Ok((weights, header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()))
}

/// Writes [`export`]'s bytes to `path`, replacing what is there at once: the old file or the new
/// one stands there, never a part of one. A file beside it, `<path>.part`, holds the bytes until they are
/// on the disk; two processes must not save to one path at the same time.
///
/// # Errors
/// Those of [`export`], and the file system's.
pub fn save(path: &Path, layout: &Layout, weights: &[f32], metadata: &Metadata) -> Result<(), SafetensorsError> {
    let bytes = export(layout, weights, metadata)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|error| {
        // Best effort: what matters is that `path` was not touched.
        let _ = fs::remove_file(&part);
        SafetensorsError::Io { path: path.to_owned(), error }
    })
}

/// Reads a file as [`import`] reads bytes.
///
/// # Errors
/// Those of [`import`], and the file system's.
pub fn load(path: &Path, layout: &Layout) -> Result<(Vec<f32>, Metadata), SafetensorsError> {
    let io = |error| SafetensorsError::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(io)?;
    check_length(layout, file.metadata().map_err(io)?.len())?;
    let mut bytes = Vec::new();
    // The length may have changed since; one byte more than allowed is enough to be refused.
    file.take(bytes_max(layout) + 1).read_to_end(&mut bytes).map_err(io)?;
    import(layout, &bytes)
}

/// The longest file that weights of this layout may lie in, bytes.
pub(crate) const fn bytes_max(layout: &Layout) -> u64 {
    (LENGTH_BYTES + HEADER_BYTES_MAX) as u64 + 4 * layout.param_count() as u64
}

fn check_length(layout: &Layout, bytes: u64) -> Result<(), SafetensorsError> {
    let most = bytes_max(layout);
    if bytes > most { Err(SafetensorsError::TooLong { bytes, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::TensorSpec;
    use proptest::prelude::*;

    fn layout() -> Layout {
        let tensor = |name: &str, shape: &[usize]| TensorSpec::new(name, shape, 0.0);
        Layout::new(vec![tensor("b.weight", &[2, 3]), tensor("a.bias", &[3])]).expect("a layout")
    }

    const WEIGHTS: [f32; 9] = [1.0, -2.0, 3.5, 0.0, -0.0, 6.0, 1e-40, 8.0, f32::MAX];

    fn metadata() -> Metadata {
        [("run", "5e1f"), ("round", "60"), ("note", "a \"quoted\" word, \u{e9}")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// A file with this header and the right amount of data.
    fn file(header: &str) -> Vec<u8> {
        let data: Vec<u8> = WEIGHTS.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }

    fn error(bytes: &[u8]) -> String {
        import(&layout(), bytes).expect_err("refused").to_string()
    }

    #[test]
    fn out_and_in_again_loses_nothing() {
        let bytes = export(&layout(), &WEIGHTS, &metadata()).expect("exported");
        let (weights, read) = import(&layout(), &bytes).expect("imported");
        assert_eq!(weights.iter().map(|weight| weight.to_bits()).collect::<Vec<_>>(), WEIGHTS.map(f32::to_bits));
        assert_eq!(read, metadata());
    }

    #[test]
    fn a_file_written_by_hand_is_read() {
        let header = r#"{"a.bias":{"dtype":"F32","shape":[3],"data_offsets":[24,36]},"b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
        let (weights, metadata) = import(&layout(), &file(header)).expect("imported");
        assert_eq!((&weights[..], metadata.len()), (&WEIGHTS[..], 0));
    }

    #[test]
    fn a_file_that_is_not_this_model_is_refused() {
        let weight = r#""b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#;
        let of = |rest: &str| file(&format!("{{{weight}{rest}}}"));
        let header = |bias: &str| of(&format!(",{bias}"));
        assert_eq!(
            error(&header(r#""c":{"dtype":"F32","shape":[3],"data_offsets":[24,36]}"#)),
            "tensor `c` does not belong to this model"
        );
        let short = &of("")[..8 + weight.len() + 2 + 24];
        assert_eq!(error(short), "tensor `a.bias` is missing");
        let bias = |dtype, shape| header(&format!(r#""a.bias":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[24,36]}}"#));
        assert_eq!(error(&bias("I32", "[3]")), "tensor `a.bias` is I32 [3], but must be F32 [3]");
        assert_eq!(error(&bias("F32", "[3,1]")), "tensor `a.bias` is F32 [3, 1], but must be F32 [3]");
        let mut nan = bias("F32", "[3]");
        let at = nan.len() - 4;
        nan[at..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(error(&nan), "weight 2 of tensor `a.bias` is not a finite number");
        for bad in [
            bias("F32", "[4]"),
            bias("F32", "[3]")[..60].to_vec(),
            [bias("F32", "[3]"), vec![0]].concat(),
            vec![],
            vec![0; 7],
            file("{}"),
            file("["),
        ] {
            assert!(error(&bad).starts_with("not a safetensors file: "), "{}", error(&bad));
        }
    }

    #[test]
    fn too_long_is_refused_before_it_is_parsed() {
        let long = vec![0; bytes_max(&layout()) as usize + 1];
        assert_eq!(error(&long), format!("{} bytes are more than this model's file can have ({})", long.len(), long.len() - 1));
        let mut header = file("{}");
        header[..8].copy_from_slice(&(HEADER_BYTES_MAX as u64 + 1).to_le_bytes());
        assert!(matches!(import(&layout(), &header), Err(SafetensorsError::Header)));
        let talk: Metadata = [("note".to_owned(), "x".repeat(HEADER_BYTES_MAX))].into();
        assert!(matches!(export(&layout(), &WEIGHTS, &talk), Err(SafetensorsError::Header)));
    }

    #[test]
    fn weights_that_are_not_the_models_are_not_written() {
        assert!(matches!(export(&layout(), &WEIGHTS[1..], &metadata()), Err(SafetensorsError::Weights(_))));
        let mut weights = WEIGHTS;
        weights[4] = f32::NAN;
        assert!(matches!(export(&layout(), &weights, &metadata()), Err(SafetensorsError::Weights(_))));
    }

    #[test]
    fn saving_replaces_a_file_at_once_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        save(&path, &layout(), &[0.0; 9], &metadata()).expect("saved");
        save(&path, &layout(), &WEIGHTS, &metadata()).expect("saved again");
        assert_eq!(load(&path, &layout()).expect("loaded").0, WEIGHTS);
        assert!(save(&path, &layout(), &[f32::NAN; 9], &metadata()).is_err());
        assert_eq!(load(&path, &layout()).expect("still there").0, WEIGHTS);
        assert_eq!(fs::read_dir(folder.path()).expect("a listing").count(), 1, "nothing is left beside it");
        let nowhere = folder.path().join("no/model.safetensors");
        assert!(matches!(save(&nowhere, &layout(), &WEIGHTS, &metadata()), Err(SafetensorsError::Io { .. })));
        // A folder in the way: renaming fails, and the part must not stay.
        assert!(matches!(save(folder.path(), &layout(), &WEIGHTS, &metadata()), Err(SafetensorsError::Io { .. })));
        assert!(!folder.path().with_extension("part").exists());
    }

    proptest! {
        #[test]
        fn no_damaged_file_panics_or_gives_a_number_that_is_not_finite(at in 0_usize..400, byte: u8) {
            let mut bytes = export(&layout(), &WEIGHTS, &metadata()).expect("exported");
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok((weights, _)) = import(&layout(), &bytes) {
                prop_assert!(weights.len() == 9 && weights.iter().all(|weight| weight.is_finite()));
            }
        }
    }
}
