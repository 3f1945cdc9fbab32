//! Tables from CSV files.

use super::error::DataError;
use crate::{errors::errors, shape::Number};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{fmt, str::FromStr};
use csv::{Reader, StringRecord};
use std::{
    error::Error,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// A table from a CSV file, whose first line names the columns.
///
/// An empty field, `?`, `NA`, `NaN` and `null` are missing values. They are errors where a number or a class is
/// needed; [`drop_missing`](Self::drop_missing) removes their rows first.
///
/// ```
/// use chainrule::data::{Dataset, Table};
///
/// let file = "length,width,kind\n5.1,3.5,setosa\n6.2,2.9,versicolor\n4.9,,setosa\n";
/// let mut table = Table::read("iris.csv", file.as_bytes())?;
/// let error = table.numbers::<f32, 2>(["length", "width"]).unwrap_err();
/// assert_eq!(error.to_string(), "iris.csv, line 4, column width: expected a number, found no value");
///
/// assert_eq!(table.drop_missing(), 1);
/// let x = table.numbers::<f32, 2>(table.columns_except(&["kind"]))?;
/// let (labels, names) = table.classes("kind")?;
/// assert_eq!((x[1], labels[1], &names[1][..]), ([6.2, 2.9], 1, "versicolor"));
/// let data = Dataset::labelled(x, labels, names.len())?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("read_csv", "DataFrame"))]
#[derive(Clone, Debug)]
pub struct Table {
    file: PathBuf,
    columns: Vec<String>,
    /// The line in the file, and the fields.
    rows: Vec<(u64, StringRecord)>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// [`TableErrorKind`] lists them.
    pub fn open(file: impl AsRef<Path>) -> Result<Self, TableError> {
        let open = |error: std::io::Error| TableErrorKind::Read(error.into());
        let opened = File::open(&file).map_err(|error| open(error).at(&file, None, None))?;
        Table::read(file, opened)
    }

    /// Reads a table. Errors name it `file`. Blank lines are no rows, also in a table of one column.
    ///
    /// # Errors
    /// It is not CSV; a row has another number of fields than the first line; a column name occurs twice; or
    /// there is no row.
    pub fn read(file: impl AsRef<Path>, reader: impl Read) -> Result<Self, TableError> {
        let fail = |kind: TableErrorKind, line| kind.at(&file, line, None);
        let broken = |error: csv::Error| {
            let line = error.position().map(|position| position.line());
            fail(TableErrorKind::Read(error), line)
        };
        let mut reader = Reader::from_reader(reader);
        let names = reader.headers().map_err(broken)?.iter();
        let columns: Vec<_> = names.map(|name| name.trim().to_owned()).collect();
        for (i, name) in columns.iter().enumerate() {
            if columns.iter().take(i).any(|other| other == name) {
                return Err(TableErrorKind::Twice.at(&file, Some(1), Some(name)));
            }
        }
        let mut rows = Vec::new();
        for record in reader.into_records() {
            let mut record = record.map_err(broken)?;
            record.trim();
            rows.push((record.position().map_or(0, |position| position.line()), record));
        }
        if rows.is_empty() {
            return Err(fail(DataError::Empty.into(), None));
        }
        Ok(Table { file: file.as_ref().into(), columns, rows })
    }

    /// The number of rows.
    #[expect(clippy::len_without_is_empty, reason = "a file without rows is an error")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The names of all columns but these.
    pub fn columns_except(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str).filter(move |name| !names.contains(name))
    }

    /// Removes the rows with a missing value in any column. Returns how many.
    pub fn drop_missing(&mut self) -> usize {
        let before = self.rows.len();
        self.rows.retain(|(_, record)| !record.iter().any(missing));
        before - self.rows.len()
    }

    /// `N` columns of numbers, a row for each row of the table.
    ///
    /// # Errors
    /// The number of names is not `N`; there is no such column; or a field is not a finite number.
    pub fn numbers<T: Number + FromStr, const N: usize>(
        &self,
        columns: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<Vec<[T; N]>, TableError> {
        let places = columns.into_iter().map(|name| self.place(name.as_ref()));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let places: [usize; N] = places.try_into().map_err(|places: Vec<_>| {
            let wrong = DataError::Features { expected: N, found: places.len() };
            TableErrorKind::Data(wrong).at(&self.file, None, None)
        })?;
        let row = |row| {
            let mut numbers = [T::zero(); N];
            for (number, &place) in numbers.iter_mut().zip(&places) {
                *number = self.number(row, place)?;
            }
            Ok(numbers)
        };
        self.filled()?.iter().map(row).collect()
    }

    /// One column of numbers.
    ///
    /// # Errors
    /// As [`numbers`](Self::numbers).
    pub fn column<T: Number + FromStr>(&self, name: &str) -> Result<Vec<T>, TableError> {
        let place = self.place(name)?;
        self.filled()?.iter().map(|row| self.number(row, place)).collect()
    }

    /// A column of class names as class numbers, and the names. The classes are in the order of their names.
    ///
    /// # Errors
    /// There is no such column; a name is missing; or there is only one class.
    #[doc(alias("LabelEncoder"))]
    pub fn classes(&self, name: &str) -> Result<(Vec<usize>, Vec<String>), TableError> {
        let place = self.place(name)?;
        let fields = self.filled()?.iter().map(|row| self.field(row, place, "a class"));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let mut names = fields.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() == 1 {
            let one = DataError::OneClass { class: 0 };
            return Err(TableErrorKind::Data(one).at(&self.file, None, Some(name)));
        }
        let labels = fields.iter().map(|field| names.partition_point(|name| name < field));
        Ok((labels.collect(), names.iter().map(|&name| name.to_owned()).collect()))
    }

    /// A column of class names as class numbers, in the order of `classes`: for a file that may not contain all
    /// of them, such as a test set.
    ///
    /// # Errors
    /// There is no such column, or a field is not one of `classes`.
    pub fn labels(
        &self,
        name: &str,
        classes: &[impl AsRef<str>],
    ) -> Result<Vec<usize>, TableError> {
        let place = self.place(name)?;
        let label = |row: &(u64, StringRecord)| {
            let field = self.field(row, place, "a class")?;
            let label = classes.iter().position(|class| class.as_ref() == field);
            label.ok_or_else(|| self.wrong(row.0, place, "one of the classes", field))
        };
        self.filled()?.iter().map(label).collect()
    }

    fn place(&self, name: &str) -> Result<usize, TableError> {
        let place = self.columns.iter().position(|column| column == name);
        let none = || TableErrorKind::NoColumn { columns: self.columns.clone() };
        place.ok_or_else(|| none().at(&self.file, None, Some(name)))
    }

    /// The rows, if there are any.
    fn filled(&self) -> Result<&[(u64, StringRecord)], TableError> {
        match &self.rows[..] {
            [] => Err(TableErrorKind::from(DataError::Empty).at(&self.file, None, None)),
            rows => Ok(rows),
        }
    }

    fn field<'a>(
        &self,
        (line, record): &'a (u64, StringRecord),
        place: usize,
        expected: &'static str,
    ) -> Result<&'a str, TableError> {
        let field = record.get(place).unwrap_or_default();
        if missing(field) { Err(self.wrong(*line, place, expected, "")) } else { Ok(field) }
    }

    fn number<T: Number + FromStr>(
        &self,
        row: &(u64, StringRecord),
        place: usize,
    ) -> Result<T, TableError> {
        let field = self.field(row, place, "a number")?;
        let number = field.parse().ok().filter(|number: &T| number.is_finite());
        number.ok_or_else(|| self.wrong(row.0, place, "a finite number", field))
    }

    fn wrong(&self, line: u64, place: usize, expected: &'static str, found: &str) -> TableError {
        let column = self.columns.get(place).map(String::as_str);
        TableErrorKind::Field { expected, found: found.to_owned() }.at(
            &self.file,
            Some(line),
            column,
        )
    }
}

fn missing(field: &str) -> bool {
    ["", "?", "na", "nan", "null"].iter().any(|missing| field.eq_ignore_ascii_case(missing))
}

/// A field in a message.
fn field(found: &str) -> String {
    if found.is_empty() { "no value".into() } else { format!("\"{found}\"") }
}

/// An error in a table, with its place.
#[derive(Debug)]
pub struct TableError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, if it is one line.
    pub line: Option<u64>,
    /// The name of the column, if it is one column.
    pub column: Option<String>,
    /// What is wrong.
    pub kind: TableErrorKind,
}

errors! {
    /// What is wrong with a table.
    #[derive(Debug)]
    pub enum TableErrorKind {
        /// The file cannot be read, is not CSV, or a row has another number of fields than the first line.
        Read(error: csv::Error) => "expected a CSV file, found: {error}";
        /// The name of a column occurs twice.
        Twice => "expected one column of this name, found two";
        /// There is no column of this name.
        NoColumn {
            /// The columns that there are.
            columns: Vec<String>,
        } => "expected a column of this name, found only {}", columns.join(", ");
        /// A field has no value, or a wrong one.
        Field {
            /// The expected kind of value.
            expected: &'static str,
            /// What it is; empty if the value is missing.
            found: String,
        } => "expected {expected}, found {}", field(found);
        /// The table can be read, but its data is wrong.
        Data(error: DataError) => "{error}";
    }
}

impl TableErrorKind {
    fn at(self, file: impl AsRef<Path>, line: Option<u64>, column: Option<&str>) -> TableError {
        let (file, column) = (file.as_ref().into(), column.map(ToOwned::to_owned));
        TableError { file, line, column, kind: self }
    }
}

impl From<DataError> for TableErrorKind {
    fn from(error: DataError) -> Self {
        TableErrorKind::Data(error)
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl Error for TableError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}
