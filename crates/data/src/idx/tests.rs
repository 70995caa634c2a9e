//! IDX files, good and hostile.

use std::io::Write;

use super::*;
use crate::{Samples, open};

fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with 20 training and 10 test images of 2x3 pixels and two classes, `4` and `7`.
fn folder(compress: bool, train: &str, test: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, n) in [(train, 20u32), (test, 10)] {
        let images: Vec<u8> = (0..n).flat_map(|i| [i as u8; 6]).collect();
        let labels: Vec<u8> = (0..n).map(|i| if i % 2 == 0 { 7 } else { 4 }).collect();
        for (kind, bytes) in [("images", idx(&[n, 2, 3], &images)), ("labels", idx(&[n], &labels))] {
            let name = name.replace("KIND", kind).replace("idxN", if kind == "images" { "idx3" } else { "idx1" });
            let (name, bytes) = if compress { (format!("{name}.gz"), gzip(&bytes)) } else { (name, bytes) };
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
    }
    folder
}

fn error(path: &Path) -> String {
    open(path, &OpenOptions::default()).unwrap_err().to_string()
}

#[test]
fn both_spellings_plain_and_compressed_read_alike() {
    for (compress, train, test) in [
        (false, "train-KIND-idxN-ubyte", "t10k-KIND-idxN-ubyte"),
        (true, "train-KIND-idxN-ubyte", "t10k-KIND-idxN-ubyte"),
        (false, "train-KIND.idxN-ubyte", "t10k-KIND.idxN-ubyte"),
    ] {
        let folder = folder(compress, train, test);
        let data = open(folder.path(), &OpenOptions::default()).unwrap();
        assert_eq!(data.found.format, "IDX");
        assert_eq!((data.len(), data.input.shape()), (30, [1, 2, 3]));
        assert_eq!(data.split.test, (20..30).collect::<Vec<u32>>());
        assert_eq!((data.split.train.len(), data.split.val.len()), (18, 2));
        assert_eq!(data.targets.names(), ["4", "7"]);
        assert_eq!((data.sources.name(3), data.sources.name(20)), ("train:3".into(), "test:0".into()));
        let Samples::Pixels(pixels) = &data.samples else { panic!("not in memory") };
        assert_eq!((pixels[6], pixels[20 * 6 + 6]), (1, 1));
    }
}

#[test]
fn one_file_stands_for_its_pair_and_is_cut() {
    let folder = folder(false, "train-KIND-idxN-ubyte", "t10k-KIND-idxN-ubyte");
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        let data = open(&folder.path().join(name), &OpenOptions::default()).unwrap();
        assert_eq!((data.len(), data.split.test.len(), data.split.val.len()), (20, 4, 2), "{name}");
    }
}

#[test]
fn damaged_files_are_refused_with_their_place() {
    let folder = folder(false, "train-KIND-idxN-ubyte", "t10k-KIND-idxN-ubyte");
    let images = folder.path().join("train-images-idx3-ubyte");
    let whole = std::fs::read(&images).unwrap();
    let with = |bytes: &[u8]| {
        std::fs::write(&images, bytes).unwrap();
        error(folder.path())
    };
    for (bytes, expected) in [
        (Vec::new(), "header: expected an IDX header, found the end of the file"),
        (whole[..7].to_vec(), "header: expected an IDX header, found the end of the file"),
        (whole[..whole.len() - 1].to_vec(), "expected 120 bytes of values, as the header [20, 2, 3] says, found 119"),
        ([&whole[..], &[0]].concat(), "after the header: expected 120 bytes"),
        (idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), "by the size of the file"),
        (idx(&[u32::MAX, u32::MAX, 3], &[]), "by the size of the file"),
        (idx(&[20, 0, 3], &[]), "at least one value"),
        ([&[0, 0, 0x0D, 3], &whole[4..]].concat(), "unsigned bytes"),
        ([&[1, 0, 8, 3], &whole[4..]].concat(), "magic"),
        (idx(&[20], &[0; 20]), "3 dimensions"),
        (idx(&[19, 2, 3], &[0; 19 * 6]), "19 labels, one for each image"),
        (idx(&[20, 3, 2], &[0; 120]), "as large as those of the other file"),
        (gzip(&whole)[..30].to_vec(), "train-images-idx3-ubyte"),
        // A header that promises 2 GB in a file of few bytes.
        (gzip(&idx(&[2_000_000, 32, 32], &[0; 99])), "by the size of the file"),
        // 400 KiB of zeros behind the 120 values that the header declares.
        (gzip(&[&whole[..], &vec![0; 400 << 10]].concat()), "found more"),
    ] {
        let error = with(&bytes);
        assert!(error.contains(expected) && error.contains("-ubyte"), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn labels_must_be_there_and_known() {
    let folder = folder(false, "train-KIND-idxN-ubyte", "t10k-KIND-idxN-ubyte");
    let labels = folder.path().join("t10k-labels-idx1-ubyte");
    std::fs::write(&labels, idx(&[10], &[4, 7, 4, 7, 4, 7, 4, 7, 4, 250])).unwrap();
    let message = error(folder.path());
    assert!(message.contains("class `250` of the test split has no training samples"), "{message}");
    std::fs::remove_file(labels).unwrap();
    let message = error(folder.path());
    assert!(message.contains("without its labels") && message.contains("t10k-labels-idx1-ubyte"), "{message}");
}

#[test]
fn two_sets_in_one_folder_are_refused() {
    let folder = folder(false, "train-KIND-idxN-ubyte", "letters-train-KIND-idxN-ubyte");
    assert!(error(folder.path()).contains("different data sets"), "{}", error(folder.path()));
}
