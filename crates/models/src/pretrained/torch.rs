//! What `torch.save` writes, read with suspicion. The crate `pytorch-reader` understands the pickle without running it and checks lengths
//! against the file; here stands what it leaves open: compressed archives, whose content may be far larger than the file, directories and
//! pickles (`pickle`) that would become far larger in memory, the tar archives of PyTorch's first days, and panics. No tensor is read whose
//! shape the network doesn't ask for.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use burn::tensor::TensorData;
use pytorch_reader::PytorchReader;
use safetensors::Dtype;
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{End, MOST_BYTES, walk};
use crate::{Error, container};

/// Bytes of a legacy file's pickles before that of the tensors: a number, a version, and what the machine was.
const MOST_PREAMBLE: u64 = 4 << 10;
/// Bytes that may be read of an archive's directory; an entry has about a hundred.
const MOST_DIRECTORY: u64 = 32 << 20;
/// Where a tar archive says that it is one.
const TAR: usize = 257;
/// A legacy file begins with this number, in the little-endian bytes that pickle gives it.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A file of PyTorch's, of which nothing but the list of tensors is read.
pub(super) struct Checkpoint {
    tensors: HashMap<String, pytorch_reader::Tensor>,
}

/// Whether the file begins as PyTorch's files do. An archive of the old kind is an error here: it can claim any size.
pub(super) fn is_torch(path: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    let file = container::regular(path)?;
    file.take(512).read_to_end(&mut head).map_err(|source| Error::read(path, source))?;
    if head.get(TAR..TAR + 5) == Some(b"ustar") {
        let what = "is a tar archive, as PyTorch wrote before version 0.1.10; load it with PyTorch and save it again";
        return Err(Error::file(path, what));
    }
    let legacy = head.windows(LEGACY.len()).take(64).any(|window| window == LEGACY);
    Ok(head.starts_with(b"PK\x03\x04") || legacy)
}

impl Checkpoint {
    /// Reads what the file says of its tensors.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        check(path)?;
        let read = data::contain(|| PytorchReader::new(path));
        let reader = match read {
            Ok(Ok(reader)) => reader,
            Ok(Err(error)) => return Err(refused(path, &error.to_string())),
            Err(panic) => return Err(refused(path, &panic)),
        };
        Ok(Self { tensors: reader.into_tensors() })
    }

    /// The names and shapes of its tensors, in the order of names.
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes: Vec<_> =
            self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
        shapes.sort();
        shapes
    }

    /// The numbers of a tensor, whose size the caller has compared with what the network asks for.
    pub(super) fn tensor(&self, name: &str, path: &Path) -> Result<TensorData, Error> {
        let tensor = self.tensors.get(name).ok_or_else(|| refused(path, &format!("tensor `{name}` is missing")))?;
        let dtype = match tensor.dtype() {
            pytorch_reader::DType::F64 => Dtype::F64,
            pytorch_reader::DType::F32 => Dtype::F32,
            pytorch_reader::DType::F16 => Dtype::F16,
            pytorch_reader::DType::BF16 => Dtype::BF16,
            other => {
                let what = format!("tensor `{name}`: expected floating-point numbers, found {other:?}");
                return Err(Error::file(path, what));
            }
        };
        let bytes = match data::contain(|| tensor.read()) {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(refused(path, &error.to_string())),
            Err(panic) => return Err(refused(path, &panic)),
        };
        // The reader turns them to this machine's order, which is the files' on every machine that striate is built for.
        let numbers = container::floats(&bytes, dtype, name, path)?;
        Ok(TensorData::new(numbers, tensor.shape().to_vec()))
    }
}

/// Refuses what would become far larger in memory than it is in the file.
fn check(path: &Path) -> Result<(), Error> {
    let mut file = container::regular(path)?;
    let mut magic = [0; 2];
    let archive = file.read_exact(&mut magic).is_ok() && magic == *b"PK";
    let checked = file.rewind().map_err(|source| Error::read(path, source)).map(|()| match archive {
        true => check_archive(&file),
        false => check_stream(&mut BufReader::new(file)),
    });
    checked?.map_err(|what| refused(path, &what))
}

/// `torch.save` compresses nothing: an archive that does claims what it doesn't hold.
fn check_archive(file: &File) -> Result<(), String> {
    let metered = Metered { file: BufReader::new(file), left: MOST_DIRECTORY };
    let opened = data::contain(|| ZipArchive::new(metered))?;
    let mut archive = opened.map_err(|error| error.to_string())?;
    let mut pickle = None;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| error.to_string())?;
        let (name, size) = (entry.name().map_or_else(|_| index.to_string(), |name| name.to_string()), entry.size());
        if entry.compression() != CompressionMethod::Stored || entry.compressed_size() != size {
            return Err(format!("its entry `{name}` is compressed, which torch.save never does"));
        }
        if name.ends_with("data.pkl") {
            if size > MOST_BYTES {
                return Err(format!("its `{name}` has {size} bytes; at most {MOST_BYTES} are read"));
            }
            let start = entry.data_start().ok_or("its pickle is nowhere")?;
            if pickle.replace((start, size)).is_some() {
                return Err(format!("it has two pickles, one of them `{name}`; torch.save writes one"));
            }
        }
    }
    let Some((start, size)) = pickle else { return Ok(()) };
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
    walk(&mut reader.take(size), MOST_BYTES).map(|_| ())
}

/// A legacy file: pickles one after the other, of which that of the tensors and that of their storages' names may be long.
fn check_stream(reader: &mut impl BufRead) -> Result<(), String> {
    for most in [MOST_PREAMBLE, MOST_PREAMBLE, MOST_PREAMBLE, MOST_BYTES, MOST_BYTES] {
        if walk(reader, most)? == End::Broken {
            break;
        }
    }
    Ok(())
}

/// An archive of which only so much is read.
struct Metered<R> {
    file: R,
    left: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| {
            io::Error::other(format!(
                "no directory is found at its end in {MOST_DIRECTORY} bytes, expected an archive's"
            ))
        })?;
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// An error of the file's, in one line.
fn refused(path: &Path, what: &str) -> Error {
    // The reader quotes what it found, which may be long.
    let line: String = what.chars().take(300).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::file(path, format!("is no whole file of PyTorch weights: {line}"))
}
