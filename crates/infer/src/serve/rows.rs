//! Rows of a table in JSON and CSV to what the network takes, by the model's recipe: the same encoding as that of files.

use std::borrow::Cow;
use std::path::Path;

use data::TableSpec;
use data::table::RowError;
use infer::Sample;
use serde_json::{Map, Value};

use super::inputs::{Input, Raw};
use super::problem::{Kind, Problem};

/// Encodes `row`: an object with the columns by name, or an array of fields as in the table trained on.
pub(crate) fn encode(row: &Value, spec: &TableSpec) -> Result<Sample, Problem> {
    let features = match row {
        Value::Object(columns) => by_name(columns, spec),
        Value::Array(fields) => {
            let fields: Vec<Cow<str>> =
                fields.iter().map(|field| text("row", field)).collect::<Result<_, _>>().map_err(wrong)?;
            spec.encode(None, &fields.iter().map(AsRef::as_ref).collect::<Vec<_>>())
        }
        other => return Err(wrong(format!("expected a row as an object or an array, found {}", kind(other)))),
    };
    features.map(Sample::features).map_err(|error| wrong(worded(&error)))
}

/// Encodes one field for each of the recipe's columns, in its order.
pub(crate) fn encode_columns(fields: &[&str], spec: &TableSpec) -> Result<Sample, Problem> {
    let last = spec.columns.iter().map(|column| column.position + 1).max().unwrap_or(0);
    let mut row = vec![""; spec.width.max(last)];
    for (column, field) in spec.columns.iter().zip(fields) {
        row[column.position] = field;
    }
    spec.encode(None, &row).map(Sample::features).map_err(|error| wrong(worded(&error)))
}

fn by_name(columns: &Map<String, Value>, spec: &TableSpec) -> Result<Vec<f32>, RowError> {
    let last = spec.columns.iter().map(|column| column.position + 1).max().unwrap_or(0);
    let mut row: Vec<Cow<str>> = vec![Cow::Borrowed(""); spec.width.max(last)];
    let error = |column: &str, expected: &str, found: String| RowError {
        column: Some(column.to_owned()),
        expected: expected.to_owned(),
        found,
    };
    for column in &spec.columns {
        let name = &column.name;
        let alike = || columns.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let Some(value) = columns.get(name).or_else(alike) else {
            let near = data::near(name, columns.keys().map(String::as_str));
            let found = near.map_or_else(
                || "none of that name; null stands for a missing value".into(),
                |near| format!("`{near}`"),
            );
            return Err(error(name, "a key of this name", found));
        };
        row[column.position] = text(name, value).map_err(|found| error(name, "a number, a string or null", found))?;
    }
    spec.encode(None, &row.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

/// A field as it would stand in a file.
pub(crate) fn text<'a>(name: &str, value: &'a Value) -> Result<Cow<'a, str>, String> {
    match value {
        Value::Null => Ok(Cow::Borrowed("")),
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Bool(flag) => Ok(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        other => Err(format!("{} in {name}", kind(other))),
    }
}

/// What a value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn worded(error: &RowError) -> String {
    error.column.as_ref().map_or_else(|| error.to_string(), |column| format!("column `{column}`: {error}"))
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::WrongInput, detail)
}

/// The rows of a table as a file of comma-separated values has them; at most `most`.
pub(crate) fn of_csv(bytes: &[u8], spec: &TableSpec, most: usize) -> Result<Vec<Input>, Problem> {
    if bytes.starts_with(&[0x1F, 0x8B]) {
        return Err(Problem::new(Kind::UnsupportedType, "expected text, found gzip; send it uncompressed"));
    }
    let unreadable = |error: data::Error| Problem::new(Kind::UnreadableInput, error.to_string());
    let rows = data::table::rows(bytes, Path::new("body"), spec).map_err(unreadable)?;
    let mut inputs = Vec::new();
    for row in rows {
        if inputs.len() == most {
            return Err(too_many(most));
        }
        let raw = row.features.map(|features| Raw::Ready(Sample::features(features))).map_err(unreadable);
        inputs.push(Input { source: format!("body:{}", row.line), raw });
    }
    Ok(inputs)
}

/// More inputs than one request may hold.
pub(crate) fn too_many(most: usize) -> Problem {
    Problem::new(Kind::TooManyInputs, format!("expected at most {most} inputs (--max-inputs)"))
}
