//! The container of the model file: safetensors with string metadata, packed into bytes, read with suspicion.
//!
//! Owns bytes, offsets and sizes; what the metadata and the tensors mean is the business of [`ModelFile`](crate::ModelFile). The
//! `safetensors` crate parses and checks the header; it neither limits sizes before allocating nor writes metadata in a fixed order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::path::Path;

use burn::tensor::TensorData;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use sha2::{Digest, Sha256};

use crate::packed::{self, Section};
use crate::{BEST, Error};

/// Largest header that is read or written: 16 MiB. A resnet20 needs 10 KiB.
pub const MAX_HEADER: u64 = 16 << 20;
/// Lengths that a header may have.
const HEADERS: RangeInclusive<u64> = 2..=MAX_HEADER;
/// Largest file that is read: 16 GiB, four thousand million numbers.
pub const MAX_FILE: u64 = 16 << 30;

/// What a file says about itself before its weights are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The string metadata.
    pub metadata: BTreeMap<String, String>,
    /// The tensors, in the order of their bytes.
    pub tensors: Vec<Entry>,
    /// Where the safetensors file begins: behind a program, or at 0.
    start: u64,
    /// Where its first tensor's bytes start, counted from there.
    data: u64,
}

impl Header {
    /// Bytes of the safetensors file.
    fn len(&self) -> u64 {
        self.data + self.tensors.last().map_or(0, |entry| entry.bytes.1)
    }
}

/// One tensor in a file: of 32-bit floats, unless `open_any` has read the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers' kind.
    dtype: Dtype,
    /// Where its bytes start, counted from the first tensor's, and where they end.
    bytes: (u64, u64),
}

/// Opens `path`, a model file or a program with one [`packed`] behind it, and reads its header: the first 8 bytes, then no more
/// than these ask for, and never more than [`MAX_HEADER`].
///
/// # Errors
/// If the file cannot be read, is no safetensors file, is truncated, has overlapping tensors or gaps, or holds anything but 32-bit floats.
pub fn open(path: &Path) -> Result<(File, Header), Error> {
    let (file, header) = open_any(path)?;
    match header.tensors.iter().find(|entry| entry.dtype != Dtype::F32) {
        None => Ok((file, header)),
        Some(Entry { name, dtype, .. }) => {
            let what = format!("tensor `{name}`: expected 32-bit floats (F32), found {dtype:?}");
            Err(Error::file(path, what))
        }
    }
}

/// The file at `path`, which isn't opened unless it is one: opening a pipe would wait for its writer.
pub(crate) fn regular(path: &Path) -> Result<File, Error> {
    let about = std::fs::metadata(path).map_err(|source| Error::read(path, source))?;
    if about.is_dir() {
        return Err(Error::file(path, format!("is a folder; expected a model file, such as {BEST} in a run's folder")));
    }
    if !about.is_file() {
        return Err(Error::file(path, "is no regular file; expected a model file"));
    }
    File::open(path).map_err(|source| Error::read(path, source))
}

/// The same as [`open`] for a file that others wrote: tensors may be of other numbers.
///
/// # Errors
/// As [`open`], but for the kind of numbers.
pub(crate) fn open_any(path: &Path) -> Result<(File, Header), Error> {
    let mut file = regular(path)?;
    let all = file.metadata().map_err(|source| Error::read(path, source))?.len();
    if all == 0 {
        return Err(Error::file(path, "is empty; expected a safetensors file"));
    }
    let mut whole = Section { start: 0, len: all };
    let mut size = header_size(&mut file, path)?;
    if !HEADERS.contains(&size)
        && let Some(section) = packed::find(&mut file, whole.len, path)?
    {
        // A program begins with bytes that would be far too long a header.
        whole = section;
        file.seek(SeekFrom::Start(whole.start)).map_err(|source| Error::read(path, source))?;
        size = header_size(&mut file, path)?;
    }
    let Section { start, len } = whole;
    if len > MAX_FILE {
        return Err(Error::file(path, format!("has {len} bytes; model files have at most {MAX_FILE}")));
    }
    if !HEADERS.contains(&size) {
        let what = format!(
            "is no safetensors file: its first 8 bytes ask for a header of {size} bytes, expected 2 to {MAX_HEADER}"
        );
        return Err(Error::file(path, what));
    }
    if size > len.saturating_sub(8) {
        let what =
            format!("is truncated or no safetensors file: its header should have {size} bytes, the file has {len}");
        return Err(Error::file(path, what));
    }
    let mut text = vec![0; size as usize];
    read(&mut file, &mut text, path)?;
    let mut header = parse(&text, path)?;
    let expected = header.len();
    if expected != len {
        let what = if expected > len { "is truncated" } else { "has bytes that belong to no tensor" };
        return Err(Error::file(path, format!("{what}: its header describes {expected} bytes, the file has {len}")));
    }
    header.start = start;
    Ok((file, header))
}

/// How long the header is that begins after the next 8 bytes.
fn header_size(file: &mut File, path: &Path) -> Result<u64, Error> {
    let mut size = [0; 8];
    read(file, &mut size, path)?;
    Ok(u64::from_le_bytes(size))
}

/// SHA-256 of the model file `path`, in hexadecimal digits; of a packed program that of the model in it.
///
/// # Errors
/// As [`open`].
pub fn digest(path: &Path) -> Result<String, Error> {
    let (mut file, header) = open(path)?;
    file.seek(SeekFrom::Start(header.start)).map_err(|source| Error::read(path, source))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file.take(header.len()), &mut hash).map_err(|source| Error::read(path, source))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// Parses and checks a header: the crate refuses overlapping tensors, gaps, and ranges that don't match shapes.
fn parse(text: &[u8], path: &Path) -> Result<Header, Error> {
    let bad = |what: String| Error::file(path, format!("has no valid safetensors header: {what}"));
    if text.first() != Some(&b'{') {
        return Err(bad("expected `{` at its start".into()));
    }
    let metadata: Metadata = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let bytes = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        tensors.push(Entry { name, shape: info.shape.clone(), dtype: info.dtype, bytes });
    }
    let strings = metadata.metadata().clone().unwrap_or_default();
    Ok(Header { metadata: strings.into_iter().collect(), tensors, start: 0, data: 8 + text.len() as u64 })
}

/// Reads one tensor's numbers. Its size was checked against that of the file, so this allocates no more than the file holds.
///
/// # Errors
/// If the file cannot be read, or a number is NaN or infinite.
pub fn tensor(file: &mut File, header: &Header, entry: &Entry, path: &Path) -> Result<TensorData, Error> {
    let mut bytes = vec![0; (entry.bytes.1 - entry.bytes.0) as usize];
    file.seek(SeekFrom::Start(header.start + header.data + entry.bytes.0))
        .map_err(|source| Error::read(path, source))?;
    read(file, &mut bytes, path)?;
    floats(&bytes, entry.dtype, &entry.name, path).map(|numbers| TensorData::new(numbers, entry.shape.clone()))
}

/// Little-endian bytes as 32-bit floats, each of which is finite.
pub(crate) fn floats(bytes: &[u8], dtype: Dtype, name: &str, path: &Path) -> Result<Vec<f32>, Error> {
    let pairs = || bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    let numbers: Vec<f32> = match dtype {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|quad| f32::from_le_bytes(*quad)).collect(),
        Dtype::F64 => bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32).collect(),
        // The upper half of a 32-bit float.
        Dtype::BF16 => pairs().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
        Dtype::F16 => pairs().map(half).collect(),
        other => {
            let what = format!("tensor `{name}`: expected floating-point numbers, found {other:?}");
            return Err(Error::file(path, what));
        }
    };
    match numbers.iter().position(|number| !number.is_finite()) {
        None => Ok(numbers),
        Some(position) => {
            let found = numbers[position];
            let what = format!("tensor `{name}`, element {position}: expected a finite number, found {found}");
            Err(Error::file(path, what))
        }
    }
}

/// The number of an IEEE 754 half: a sign, 5 bits of exponent, 10 of the fraction.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    let size = match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2f32.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

fn read(file: &mut File, buffer: &mut [u8], path: &Path) -> Result<(), Error> {
    file.read_exact(buffer).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::file(path, "is truncated: it ends before its header says"),
        _ => Error::read(path, source),
    })
}

/// The file of `tensors` (32-bit floats, sorted by name here) and `metadata`. Equal arguments give equal bytes. Errors name `path`.
///
/// # Errors
/// If a tensor is not of 32-bit floats, or the header outgrows [`MAX_HEADER`].
pub fn pack(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &BTreeMap<String, TensorData>,
) -> Result<Vec<u8>, Error> {
    let header = head(metadata, tensors);
    if header.len() as u64 > MAX_HEADER {
        return Err(Error::file(
            path,
            format!("its header would have {} bytes, at most {MAX_HEADER} are allowed", header.len()),
        ));
    }
    let numbers: usize = tensors.values().map(TensorData::num_elements).sum();
    let mut bytes = Vec::with_capacity(8 + header.len() + 4 * numbers);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for (name, tensor) in tensors {
        let numbers = tensor
            .as_slice::<f32>()
            .map_err(|_| Error::file(path, format!("tensor `{name}` is not of 32-bit floats")))?;
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
    Ok(bytes)
}

/// The header's bytes: metadata first, then tensors, both sorted by name, filled up with spaces to a multiple of 8.
fn head(metadata: &BTreeMap<String, String>, tensors: &BTreeMap<String, TensorData>) -> Vec<u8> {
    let mut start = 0;
    let mut fields = vec![format!("\"__metadata__\":{}", serde_json::json!(metadata))];
    for (name, tensor) in tensors {
        let end = start + 4 * tensor.num_elements();
        let shape: &[usize] = tensor.shape();
        let name = serde_json::Value::from(name.as_str());
        fields.push(format!("{name}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"));
        start = end;
    }
    let mut bytes = format!("{{{}}}", fields.join(",")).into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_as_they_are_defined() {
        for (bits, expected) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), expected, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
        let path = Path::new("x");
        assert_eq!(floats(&[0x80, 0x3f, 0x20, 0xc0], Dtype::BF16, "x", path).unwrap(), [1.0, -2.5]);
        assert_eq!(floats(&1.5f64.to_le_bytes(), Dtype::F64, "x", path).unwrap(), [1.5]);
        let error = floats(&1e300f64.to_le_bytes(), Dtype::F64, "x", path).unwrap_err().to_string();
        assert!(error.contains("tensor `x`, element 0: expected a finite number"), "{error}");
        assert!(
            floats(&[1], Dtype::U8, "x", path).unwrap_err().to_string().contains("floating-point numbers, found U8")
        );
    }
}
