//! Weights that somebody else trained, for a network of ours to begin with: which tensors a file has and under which of our names, and the
//! numbers of those that are wanted. Reads striate's own model files, other safetensors files, and what `torch.save` writes; runs nothing
//! that a file says. What fits a network is in `fit`, foreign names are in `names`, PyTorch's files in `torch`, what their pickles would cost in
//! `pickle`.

mod fit;
mod names;
mod pickle;
mod torch;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use crate::container::{self, Header};
use crate::{Error, ModelHeader};
pub use fit::{Fit, Misfit, Taken};
use torch::Checkpoint;

/// Tensors that a file has at most: a network of a thousand layers has fewer than ten thousand.
const MOST_TENSORS: usize = 1 << 17;

/// A file with weights.
pub struct Pretrained {
    path: PathBuf,
    source: Source,
    tensors: BTreeMap<String, Found>,
    format: &'static str,
    resnet: bool,
    header: Option<Box<ModelHeader>>,
    aside: usize,
    counters: usize,
}

enum Source {
    Container(File, Header),
    Torch(Checkpoint),
}

/// A tensor in the file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its name there.
    pub(crate) theirs: String,
    pub(crate) shape: Vec<usize>,
}

impl Pretrained {
    /// Opens the file at `path` and lists its tensors; no numbers are read yet.
    ///
    /// # Errors
    /// If the file cannot be read, holds no weights, or isn't whole; with what it is instead, as far as its beginning shows.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (source, format, names) = match torch::is_torch(path)? {
            true => {
                let checkpoint = Checkpoint::open(path)?;
                let shapes = checkpoint.shapes();
                (Source::Torch(checkpoint), "pytorch", shapes)
            }
            false => {
                let (file, header) = container::open_any(path)?;
                let shapes = header.tensors.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect();
                (Source::Container(file, header), "safetensors", shapes)
            }
        };
        if names.len() > MOST_TENSORS {
            return Err(Error::file(path, format!("has {} tensors; at most {MOST_TENSORS} are read", names.len())));
        }
        let header = match &source {
            Source::Container(_, header)
                if header.metadata.get("format").is_some_and(|format| format == crate::FORMAT) =>
            {
                Some(Box::new(ModelHeader::parse(header, path)?))
            }
            _ => None,
        };
        let all = names.len();
        let names = names::without_prefix(names);
        let aside = all - names.len();
        let mut counters = 0;
        let resnet = names::is_resnet(names.iter().map(|(name, ..)| name.as_str()));
        let mut tensors = BTreeMap::new();
        for (name, theirs, shape) in names {
            // Counts batches; nothing here asks for it.
            if name == "num_batches_tracked" || name.ends_with(".num_batches_tracked") {
                counters += 1;
                continue;
            }
            let ours = if resnet { names::ours(&name) } else { name };
            let found = Found { theirs, shape };
            if let Some(Found { theirs, .. }) = tensors.insert(ours.clone(), found) {
                return Err(Error::file(path, format!("has `{ours}` twice, as `{theirs}` too; keep one of them")));
            }
        }
        if tensors.is_empty() {
            return Err(Error::file(path, "holds no tensors; expected the weights of a network"));
        }
        Ok(Self { path: path.to_owned(), source, tensors, format, resnet, header, aside, counters })
    }

    /// "striate", "safetensors" or "pytorch".
    pub fn format(&self) -> &'static str {
        if self.header.is_some() { crate::FORMAT } else { self.format }
    }

    /// Whether its tensors are named as torchvision and timm name those of a ResNet.
    pub fn is_torchvision(&self) -> bool {
        self.resnet
    }

    /// What one of striate's own model files says of itself.
    pub fn header(&self) -> Option<&ModelHeader> {
        self.header.as_deref()
    }

    /// Tensors beside the network's, such as an optimizer's, which are left alone.
    pub fn aside(&self) -> usize {
        self.aside
    }

    /// PyTorch's counters `num_batches_tracked`, which are left out: nothing here counts batches.
    pub fn counters(&self) -> usize {
        self.counters
    }

    /// The preset whose weights these seem to be, or in words what else: "resnet50", "resnet34, which is no preset".
    pub fn looks_like(&self) -> Option<String> {
        self.resnet.then(|| names::resnet(|name| self.tensors.get(name).map(|found| &found.shape[..])))?
    }

    /// The numbers of what `fit` takes, by our names, in 32-bit floats.
    ///
    /// # Errors
    /// If the file cannot be read, a tensor is of whole numbers, or a number is NaN or infinite.
    pub fn read(&mut self, fit: &Fit) -> Result<HashMap<String, TensorData>, Error> {
        let mut tensors = HashMap::with_capacity(fit.taken.len());
        for taken in &fit.taken {
            let data = match &mut self.source {
                Source::Container(file, header) => {
                    let entry = header.tensors.iter().find(|entry| entry.name == taken.theirs);
                    let entry = entry.ok_or_else(|| Error::tensor(&taken.theirs, "a tensor", "none of that name"))?;
                    container::tensor(file, header, entry, &self.path)?
                }
                Source::Torch(checkpoint) => checkpoint.tensor(&taken.theirs, &self.path)?,
            };
            tensors.insert(taken.name.clone(), taken.adapt(data));
        }
        Ok(tensors)
    }
}
