//! What `torch.save` writes, read with suspicion. The crate `pytorch-reader` understands the pickle without running it and checks lengths
//! against the file; here stands what it leaves open: compressed archives, whose content may be far larger than the file, the tar archives
//! of PyTorch's first days, and panics. No tensor is read whose shape the network doesn't ask for.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use burn::tensor::TensorData;
use pytorch_reader::PytorchReader;
use safetensors::Dtype;
use zip::{CompressionMethod, ZipArchive};

use crate::{Error, container};

/// Bytes of a pickle at most: that of a ResNet-50 has 60 kB, and each byte may become an object.
const MOST_PICKLE: u64 = 8 << 20;
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
        check_archive(path)?;
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

/// `torch.save` compresses nothing: a file that does claims what it doesn't hold.
fn check_archive(path: &Path) -> Result<(), Error> {
    let mut file = container::regular(path)?;
    let mut magic = [0; 2];
    if file.read_exact(&mut magic).is_err() || magic != *b"PK" {
        return Ok(());
    }
    let archive = data::contain(|| ZipArchive::new(BufReader::new(file)));
    let mut archive = match archive {
        Ok(Ok(archive)) => archive,
        Ok(Err(error)) => return Err(refused(path, &error.to_string())),
        Err(panic) => return Err(refused(path, &panic)),
    };
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| refused(path, &error.to_string()))?;
        let (name, size) = (entry.name().map_or_else(|_| index.to_string(), |name| name.to_string()), entry.size());
        if entry.compression() != CompressionMethod::Stored || entry.compressed_size() != size {
            return Err(refused(path, &format!("its entry `{name}` is compressed, which torch.save never does")));
        }
        if name.ends_with(".pkl") && size > MOST_PICKLE {
            return Err(refused(path, &format!("its `{name}` has {size} bytes; at most {MOST_PICKLE} are read")));
        }
    }
    Ok(())
}

/// An error of the file's, in one line.
fn refused(path: &Path, what: &str) -> Error {
    let line = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(300).collect();
    Error::file(path, format!("is no whole file of PyTorch weights: {line}"))
}
