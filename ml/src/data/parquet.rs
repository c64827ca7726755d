//! Tables in the Parquet format, of builds that have it (`--features parquet`).
//!
//! Cells are read row by row as text, and then as those of any table. Columns of lists and of structures are
//! refused. A row is named by its number, from 1. The library trusts what a file says of itself more than
//! this crate would, so a panic in it is taken as what it is, a broken file; it may still ask for much
//! memory, so take files from people you know.

use std::path::Path;

use super::DataError;
use super::table::Cells;

/// Opens a table.
///
/// # Errors
/// [`DataError::File`] says what is wrong with the file, or that this build does not read such files.
#[cfg(not(feature = "parquet"))]
pub(super) fn open(path: &Path) -> Result<Box<dyn Cells>, DataError> {
    let reason = "this build does not read Parquet files; build it with `--features parquet`, or write the table as CSV";
    Err(DataError::file(path, reason))
}

#[cfg(feature = "parquet")]
pub(super) fn open(path: &Path) -> Result<Box<dyn Cells>, DataError> {
    columnar::Columnar::open(path).map(|table| Box::new(table) as Box<dyn Cells>)
}

#[cfg(feature = "parquet")]
mod columnar {
    use std::fs::File;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::{Path, PathBuf};

    use parquet::errors::ParquetError;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use parquet::record::reader::RowIter;

    use crate::data::DataError;
    use crate::data::table::{self, COLUMNS_MAX, Cells, Row};

    /// A table being read.
    pub(super) struct Columnar {
        path: PathBuf,
        names: Vec<String>,
        rows: RowIter<'static>,
        /// Rows read.
        read: u64,
    }

    impl Columnar {
        /// Reads what the file says of itself.
        pub(super) fn open(path: &Path) -> Result<Self, DataError> {
            let file = File::open(path).map_err(|error| DataError::unreadable(path, &error))?;
            let reader = safely(path, || SerializedFileReader::new(file))?;
            let schema = reader.metadata().file_metadata().schema_descr_ptr();
            let fields = schema.root_schema().get_fields();
            if fields.is_empty() || fields.len() > COLUMNS_MAX {
                return Err(DataError::file(path, &format!("{} columns; 1 to {COLUMNS_MAX} are read", fields.len())));
            }
            if let Some(nested) = fields.iter().find(|field| !field.is_primitive()) {
                let reason = format!("the column {:?} is of lists or structures, which are not read", nested.name());
                return Err(DataError::file(path, &reason));
            }
            let names = fields.iter().map(|field| field.name().to_owned()).collect();
            let rows = safely(path, || Ok(RowIter::from_file_into(Box::new(reader))))?;
            Ok(Self { path: path.to_owned(), names, rows, read: 0 })
        }
    }

    impl Cells for Columnar {
        fn names(&self) -> &[String] {
            &self.names
        }

        fn next(&mut self, row: &mut Row) -> Result<bool, DataError> {
            let rows = &mut self.rows;
            let Some(record) = safely(&self.path, || rows.next().transpose())? else { return Ok(false) };
            self.read += 1;
            row.number = self.read;
            row.cells.resize_with(self.names.len(), String::new);
            row.cells.iter_mut().for_each(String::clear);
            for ((cell, (name, field)), known) in row.cells.iter_mut().zip(record.get_column_iter()).zip(&self.names) {
                if name != known {
                    return Err(DataError::file(&self.path, &format!("row {} has other columns", self.read)));
                }
                let text = text(field).ok_or_else(|| table::at(&self.path, self.read, name, "neither a number nor a text"))?;
                *cell = text;
            }
            Ok(true)
        }
    }

    /// A cell as it would stand in a table of text; `None` of bytes and of what is nested.
    fn text(field: &Field) -> Option<String> {
        match field {
            Field::Null => Some(String::new()),
            Field::Str(text) => Some(text.clone()),
            Field::Float(number) => Some(number.to_string()),
            Field::Double(number) => Some(number.to_string()),
            Field::Bytes(bytes) => bytes.as_utf8().ok().map(str::to_owned),
            Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => None,
            other => Some(other.to_string()),
        }
    }

    /// What the library says, or that it gave up.
    fn safely<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
        let broken = |reason: &str| DataError::file(path, &format!("not a Parquet file that can be read: {reason}"));
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(broken(&error.to_string().chars().take(120).collect::<String>())),
            Err(_) => Err(broken("it contradicts itself")),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::Arc;

        use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
        use parquet::file::writer::SerializedFileWriter;
        use parquet::schema::parser::parse_message_type;

        use crate::data::Source;
        use crate::data::source::tests::{classify, error};

        /// Four rows of a number, a word, which may be missing, and a label.
        fn file() -> Vec<u8> {
            let schema = "message t { required double x; optional binary w (UTF8); required int64 label; }";
            let schema = Arc::new(parse_message_type(schema).expect("a schema"));
            let mut bytes = Vec::new();
            let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).expect("a writer");
            let mut group = writer.next_row_group().expect("a group");
            let mut column = group.next_column().expect("a column").expect("the first");
            column.typed::<DoubleType>().write_batch(&[0.5, 1.5, 2.5, 3.5], None, None).expect("written");
            column.close().expect("closed");
            let mut column = group.next_column().expect("a column").expect("the second");
            let words: Vec<ByteArray> = ["a", "b", "a"].into_iter().map(ByteArray::from).collect();
            column.typed::<ByteArrayType>().write_batch(&words, Some(&[1, 1, 1, 0]), None).expect("written");
            column.close().expect("closed");
            let mut column = group.next_column().expect("a column").expect("the third");
            column.typed::<Int64Type>().write_batch(&[0, 1, 0, 1], None, None).expect("written");
            column.close().expect("closed");
            group.close().expect("closed");
            writer.close().expect("closed");
            bytes
        }

        const COLUMNS: &str = "columns = [{ name = 'x', mean = 1.5, scale = 2.0 }, { name = 'w', values = ['a', 'b'] }]";

        #[test]
        fn a_table_is_read_as_one_of_text_is() {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("t.parquet");
            std::fs::write(&path, file()).expect("written");
            let task = classify("[3]", 2, COLUMNS);
            let source: Source = path.display().to_string().parse().expect("a source");
            let told = error(&source, &task);
            assert!(
                told.ends_with("t.parquet, row 4, column \"w\": the value is missing (`?missing=mean` reads it as the mean)"),
                "{told}"
            );
            let source: Source = format!("parquet:{}?missing=mean&test=0.3", path.display()).parse().expect("a source");
            let split = source.load(&task, 1).expect("a split");
            let mut rows: Vec<Vec<f32>> =
                [&split.train, &split.test].iter().flat_map(|data| (0..data.len()).filter_map(|i| data.input(i))).collect();
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
            assert_eq!(rows, [[-0.5, 1.0, 0.0], [0.0, 0.0, 1.0], [0.5, 1.0, 0.0], [1.0, 0.0, 0.0]]);
        }

        #[test]
        fn a_broken_file_is_told_and_panics_nowhere() {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("t.parquet");
            let (whole, task) = (file(), classify("[3]", 2, COLUMNS));
            let source: Source = path.display().to_string().parse().expect("a source");
            for cut in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
                std::fs::write(&path, &whole[..cut]).expect("written");
                let told = error(&source, &task);
                assert!(told.contains("t.parquet: not a Parquet file that can be read: "), "{told}");
            }
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x55;
                std::fs::write(&path, &bytes).expect("written");
                let _ = source.load(&task, 1);
            }
        }
    }
}
