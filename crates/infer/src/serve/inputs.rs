//! What a request's body holds, by its content type: an image, several files, rows or pixels in JSON, a table. Decoding images is left to `decoding`,
//! rows to `rows`.

use std::sync::Arc;

use axum::RequestExt;
use axum::body::{Body, Bytes};
use axum::extract::{Multipart, Request};
use axum::http::header;
use axum::http::request::Parts;
use data::{ImageSpec, InputSpec};
use infer::Sample;
use serde_json::{Map, Value};

use super::base64;
use super::decoding::{Decoders, expected_pixels};
use super::loaded::Loaded;
use super::nesting;
use super::problem::{Kind, Problem};
use super::rows::{self, kind, too_many};

/// Letters of a file's name that are kept.
const NAME: usize = 200;

/// One thing to predict.
#[derive(Debug)]
pub(crate) struct Input {
    /// What it is called in the answer.
    pub(crate) source: String,
    pub(crate) raw: Result<Raw, Problem>,
}

/// An input before it is decoded.
#[derive(Debug)]
pub(crate) enum Raw {
    /// An image file.
    Image(Bytes),
    /// What the network takes.
    Ready(Sample),
}

/// Everything that a request wants predicted.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) inputs: Vec<Input>,
    /// Whether the body speaks of a list, be it one of a single input.
    pub(crate) list: bool,
}

impl Asked {
    fn one(source: &str, raw: Result<Raw, Problem>) -> Self {
        Self { inputs: vec![Input { source: source.into(), raw }], list: false }
    }
}

/// Finds the inputs in `bytes`; at most `most`.
pub(crate) async fn read(
    parts: &Parts,
    bytes: Bytes,
    model: &Arc<Loaded>,
    decoders: &Decoders,
    most: usize,
) -> Result<Asked, Problem> {
    let declared = match parts.headers.get(header::CONTENT_TYPE) {
        Some(value) => value.to_str().map_err(|_| unsupported("letters that are none", model))?,
        None => "application/octet-stream",
    };
    let media = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let model = model.clone();
    match (media.as_str(), model.predictor.input()) {
        ("multipart/form-data", InputSpec::Image(_)) => files(parts, bytes, most).await,
        ("application/json", _) => decoders.parse(bytes.len(), move || json(&bytes, &model, most)).await,
        ("text/csv", InputSpec::Table(_)) => {
            let len = bytes.len();
            let parse = move || match model.predictor.input() {
                InputSpec::Table(spec) => rows::of_csv(&bytes, spec, most),
                InputSpec::Image(_) => Err(unsupported("text/csv", &model)),
            };
            Ok(Asked { inputs: decoders.parse(len, parse).await?, list: true })
        }
        ("application/octet-stream", InputSpec::Image(_)) => Ok(Asked::one("body", Ok(Raw::Image(bytes)))),
        (other, InputSpec::Image(_)) if other.starts_with("image/") => Ok(Asked::one("body", Ok(Raw::Image(bytes)))),
        (other, _) => Err(unsupported(other, &model)),
    }
}

fn unsupported(found: &str, model: &Loaded) -> Problem {
    let expected = match model.predictor.input() {
        InputSpec::Image(_) => "image/*, application/octet-stream, multipart/form-data or application/json",
        InputSpec::Table(_) => "application/json or text/csv",
    };
    let found: String = found.chars().filter(|letter| !letter.is_control()).take(100).collect();
    Problem::new(Kind::UnsupportedType, format!("expected Content-Type: {expected}, found {found}"))
}

/// The files of a form.
async fn files(parts: &Parts, bytes: Bytes, most: usize) -> Result<Asked, Problem> {
    let bad = |error: &dyn std::fmt::Display| {
        Problem::new(Kind::MalformedRequest, format!("the form cannot be read: {error}"))
    };
    let mut request = Request::new(Body::from(bytes));
    // The route's extensions say that the body has been measured already.
    (*request.headers_mut(), *request.extensions_mut()) = (parts.headers.clone(), parts.extensions.clone());
    let mut form = request.extract::<Multipart, _>().await.map_err(|error| bad(&error.body_text()))?;
    let mut inputs = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| bad(&error.body_text()))? {
        if inputs.len() == most {
            return Err(too_many(most));
        }
        let name = field.file_name().or_else(|| field.name()).unwrap_or_default();
        let source = clean(name).unwrap_or_else(|| format!("files[{}]", inputs.len()));
        let bytes = field.bytes().await.map_err(|error| bad(&error.body_text()))?;
        inputs.push(Input { source, raw: Ok(Raw::Image(bytes)) });
    }
    if inputs.is_empty() {
        return Err(Problem::new(Kind::MalformedRequest, "expected a form with a file, found none"));
    }
    let list = inputs.len() > 1;
    Ok(Asked { inputs, list })
}

/// A file's name as it may be shown: the client made it up, and nothing is opened by it.
fn clean(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|letter| !letter.is_control()).take(NAME).collect();
    (!name.trim().is_empty()).then_some(name)
}

/// A body of JSON: an object with one key.
fn json(bytes: &[u8], model: &Loaded, most: usize) -> Result<Asked, Problem> {
    let object = object(bytes, model.predictor.input(), most)?;
    let keys = match model.predictor.input() {
        InputSpec::Table(_) => "`row` or `rows`",
        InputSpec::Image(_) => "`image`, `images` (base64) or `pixels`",
    };
    let mut fields = object.into_iter();
    let (Some((key, value)), None) = (fields.next(), fields.next()) else {
        return Err(Problem::new(Kind::MalformedJson, format!("expected an object with {keys}, and nothing else")));
    };
    let list = |value: Value| match value {
        Value::Array(list) if list.len() > most => Err(too_many(most)),
        Value::Array(list) => Ok(list),
        other => Err(Problem::new(Kind::MalformedJson, format!("`{key}`: expected an array, found {}", kind(&other)))),
    };
    let numbered = |list: Vec<Value>, read: &dyn Fn(&Value) -> Result<Raw, Problem>| {
        let input = |(at, value): (usize, &Value)| Input { source: format!("{key}[{at}]"), raw: read(value) };
        Asked { inputs: list.iter().enumerate().map(input).collect(), list: true }
    };
    match (key.as_str(), model.predictor.input()) {
        ("row", InputSpec::Table(spec)) => Ok(Asked::one("row", rows::encode(&value, spec).map(Raw::Ready))),
        ("rows", InputSpec::Table(spec)) => Ok(numbered(list(value)?, &|row| rows::encode(row, spec).map(Raw::Ready))),
        ("image", InputSpec::Image(_)) => Ok(Asked::one("image", image(&value))),
        ("images", InputSpec::Image(_)) => Ok(numbered(list(value)?, &image)),
        ("pixels", InputSpec::Image(spec)) => Ok(Asked::one("pixels", pixels(&value, spec).map(Raw::Ready))),
        _ => Err(Problem::new(
            Kind::MalformedJson,
            format!("expected an object with {keys}, found `{}`", clean(&key).unwrap_or_default()),
        )),
    }
}

/// The object that `bytes` are, for at most `most` inputs.
pub(crate) fn object(bytes: &[u8], input: &InputSpec, most: usize) -> Result<Map<String, Value>, Problem> {
    nesting::check(bytes, input, most)?;
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Problem::new(Kind::MalformedJson, format!("expected an object, found {}", kind(&other)))),
        Err(error) => Err(Problem::new(Kind::MalformedJson, error.to_string())),
    }
}

fn image(value: &Value) -> Result<Raw, Problem> {
    let Value::String(text) = value else {
        return Err(Problem::new(Kind::WrongInput, format!("expected an image file as base64, found {}", kind(value))));
    };
    let text = if text.starts_with("data:") { text.split_once(',').map_or("", |(_, rest)| rest) } else { text };
    let bytes = base64::decode(text).map_err(|place| {
        Problem::new(
            Kind::WrongInput,
            format!("expected an image file as base64, found another letter at place {place}"),
        )
    })?;
    Ok(Raw::Image(bytes.into()))
}

/// Whole numbers of 0 to 255, `[channels, height, width]`: nested so, or in one list; of a gray picture also `[height, width]`.
fn pixels(value: &Value, spec: &ImageSpec) -> Result<Sample, Problem> {
    let wrong =
        |found: String| Problem::new(Kind::WrongInput, format!("expected {}, found {found}", expected_pixels(spec)));
    let (shape, mut numbers) = (shape(value), Vec::new());
    flatten(value, &mut numbers).map_err(wrong)?;
    let whole = [spec.channels, spec.height, spec.width];
    let len = whole.iter().product::<usize>();
    let fits = numbers.len() == len && (shape == [len] || shape == whole || spec.channels == 1 && shape == whole[1..]);
    if !fits {
        return Err(wrong(format!("{} in arrays of {shape:?}", numbers.len())));
    }
    let byte = |number: &f64| (number.fract() == 0.0 && (0.0..=255.0).contains(number)).then_some(*number as u8);
    let pixels = numbers
        .iter()
        .map(|number| byte(number).ok_or_else(|| format!("{number}, which is no whole number of 0 to 255")));
    Ok(Sample::pixels(pixels.collect::<Result<_, _>>().map_err(wrong)?))
}

/// How arrays are nested, by the first of each.
pub(crate) fn shape(value: &Value) -> Vec<usize> {
    let (mut shape, mut value) = (Vec::new(), value);
    while let Value::Array(values) = value {
        shape.push(values.len());
        let Some(first) = values.first() else { break };
        value = first;
    }
    shape
}

/// All numbers in nested arrays, whose parts must be alike.
pub(crate) fn flatten(value: &Value, numbers: &mut Vec<f64>) -> Result<(), String> {
    match value {
        Value::Number(number) => numbers.extend(number.as_f64()),
        Value::Array(values) => {
            let inner = values.first().map(shape);
            for value in values {
                if matches!(value, Value::Array(_)) && Some(shape(value)) != inner {
                    return Err("arrays of different lengths".into());
                }
                flatten(value, numbers)?;
            }
        }
        other => return Err(kind(other).to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrays_are_flattened_only_if_they_are_alike() {
        let flat = |value: Value| {
            let mut numbers = Vec::new();
            flatten(&value, &mut numbers).map(|()| (shape(&value), numbers))
        };
        assert_eq!(flat(json!([[1, 2], [3, 4.5]])), Ok((vec![2, 2], vec![1.0, 2.0, 3.0, 4.5])));
        assert_eq!(flat(json!([[1, 2], [3]])), Err("arrays of different lengths".into()));
        assert_eq!(flat(json!([1, null])), Err("null".into()));
        assert_eq!(flat(json!([[], []])), Ok((vec![2, 0], vec![])));
    }
}
