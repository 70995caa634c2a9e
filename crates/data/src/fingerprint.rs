//! What a data set was: one hash for each split, over every input and target in it, in order. So that whoever goes on with a run, or
//! repeats it, knows whether the data are still the same. Which splits there are is `split`'s, what is done about a difference the caller's.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Dataset, Error, Samples, Targets, image, read_regular};

/// Samples that are hashed together, so that all cores take part. A part of the definition.
const RUN: usize = 1024;

/// The hashes of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What was hashed of each input: `pixels` (decoded, one byte each), `features` (f32), or `files` (whole, where images are decoded while
    /// training).
    pub hashed: String,
    /// Of the samples whose gradients update the weights.
    pub train: SplitPrint,
    /// Of the samples that choose.
    pub val: SplitPrint,
    /// Of the samples that are measured at the end.
    pub test: SplitPrint,
}

/// The hash of one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPrint {
    /// How many samples it has.
    pub samples: usize,
    /// In hexadecimal digits.
    pub sha256: String,
}

impl Dataset {
    /// The hashes of all that training, validation and testing see of this data set. A split's hash is SHA-256 over its name, the shape of
    /// an input and the names of the outputs, and then over the SHA-256 of each 1,024 samples in the split's order: of every one its index
    /// (u32), its input and its target, all little-endian.
    ///
    /// # Errors
    /// The first image file, in order, that cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let hashed = match &self.samples {
            Samples::Pixels(_) => "pixels",
            Samples::Features(_) => "features",
            Samples::Files(_) => "files",
        };
        Ok(Fingerprint {
            hashed: hashed.to_owned(),
            train: self.print("train", &self.split.train)?,
            val: self.print("val", &self.split.val)?,
            test: self.print("test", &self.split.test)?,
        })
    }

    fn print(&self, split: &str, indices: &[u32]) -> Result<SplitPrint, Error> {
        let mut all = Sha256::new();
        let mut head = format!("{split}\n{:?}\n", self.input.shape());
        self.targets.names().iter().for_each(|name| head += &format!("{} {name}\n", name.len()));
        all.update(head);
        let runs: Vec<Result<_, Error>> = indices.par_chunks(RUN).map(|run| self.hash(run)).collect();
        // The first in order, not in time: the same message every time.
        for run in runs {
            all.update(run?);
        }
        Ok(SplitPrint { samples: indices.len(), sha256: hex(&all.finalize()) })
    }

    fn hash(&self, indices: &[u32]) -> Result<sha2::digest::Output<Sha256>, Error> {
        let (mut hash, len) = (Sha256::new(), self.input.len());
        for &index in indices {
            let at = index as usize;
            hash.update(index.to_le_bytes());
            match &self.samples {
                Samples::Pixels(pixels) => hash.update(&pixels[at * len..][..len]),
                Samples::Features(features) => floats(&mut hash, &features[at * len..][..len]),
                Samples::Files(files) => hash.update(read(&files[at])?),
            }
            let width = self.targets.names().len();
            match &self.targets {
                Targets::Classes { values, .. } => hash.update(values[at].to_le_bytes()),
                Targets::Labels { values, .. } => hash.update(&values[at * width..][..width]),
                Targets::Values { values, .. } => floats(&mut hash, &values[at * width..][..width]),
            }
        }
        Ok(hash.finalize())
    }
}

impl Fingerprint {
    /// What is other in `found` than here, in words; `None` where all is the same.
    pub fn difference(&self, found: &Self) -> Option<String> {
        let splits = [("training", &self.train, &found.train), ("validation", &self.val, &found.val)];
        let splits = splits.into_iter().chain([("test", &self.test, &found.test)]);
        for (name, expected, found) in splits.clone() {
            if expected.samples != found.samples {
                return Some(format!(
                    "the {name} split: expected {} samples, found {}",
                    expected.samples, found.samples
                ));
            }
        }
        if self.hashed != found.hashed {
            return Some(format!("how inputs are held: expected {}, found {}", self.hashed, found.hashed));
        }
        for (name, expected, found) in splits {
            if expected.sha256 != found.sha256 {
                let short = |print: &SplitPrint| print.sha256.chars().take(12).collect::<String>();
                return Some(format!(
                    "samples or labels of the {name} split: expected the hash {}.., found {}..",
                    short(expected),
                    short(found)
                ));
            }
        }
        None
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_regular(path, image::MAX_FILE).map_err(|source| Error::io(path, source))
}

fn floats(hash: &mut Sha256, values: &[f32]) {
    values.iter().for_each(|value| hash.update(value.to_le_bytes()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{OpenOptions, open};

    fn digits() -> Dataset {
        open("digits".as_ref(), &OpenOptions::default()).unwrap()
    }

    #[test]
    fn the_digits_have_the_fingerprint_that_the_format_defines() {
        let print = digits().fingerprint().unwrap();
        assert_eq!(print.hashed, "pixels");
        assert_eq!([print.train.samples, print.val.samples, print.test.samples], [1294, 144, 359]);
        // By Python's hashlib, from digits.csv.gz and the split.
        assert_eq!(print.test.sha256, "364177404fc15d93cf8d126a935a942119b273486d65e19469f12b49c4c5ca73");
        assert_eq!(print.train.sha256, "a92fbe34334ce83a2ab2fa1bbce0e15df5480384944205fcca55bc47c5b293b5");
    }

    #[test]
    fn one_changed_pixel_or_label_is_told_by_its_split() {
        let before = digits();
        let print = before.fingerprint().unwrap();
        assert_eq!(print.difference(&digits().fingerprint().unwrap()), None);
        let mut pixel = before.clone();
        let Samples::Pixels(pixels) = &mut pixel.samples else { panic!("digits are pixels") };
        pixels[before.split.val[3] as usize * 64 + 5] ^= 1;
        let told = print.difference(&pixel.fingerprint().unwrap()).unwrap();
        assert!(told.starts_with("samples or labels of the validation split: expected the hash "), "{told}");
        let mut label = before.clone();
        let Targets::Classes { values, .. } = &mut label.targets else { panic!("digits are classes") };
        values[before.split.train[0] as usize] ^= 1;
        assert!(print.difference(&label.fingerprint().unwrap()).unwrap().contains("the training split"));
        let mut fewer = before.clone();
        fewer.split.test.pop();
        let told = print.difference(&fewer.fingerprint().unwrap()).unwrap();
        assert_eq!(told, "the test split: expected 359 samples, found 358");
    }

    #[test]
    fn files_that_are_decoded_while_training_are_hashed_as_they_are() {
        let scratch = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..3).map(|n| scratch.path().join(format!("{n}.png"))).collect();
        paths.iter().for_each(|path| std::fs::write(path, "a").unwrap());
        let mut lazy = digits();
        lazy.samples = Samples::Files(paths.clone());
        lazy.split = crate::Split { train: vec![0, 1], val: vec![2], test: vec![] };
        let print = lazy.fingerprint().unwrap();
        std::fs::write(&paths[2], "b").unwrap();
        assert!(print.difference(&lazy.fingerprint().unwrap()).unwrap().contains("the validation split"));
        std::fs::remove_file(&paths[1]).unwrap();
        assert!(lazy.fingerprint().unwrap_err().to_string().contains("1.png"));
    }
}
