//! CIFAR binaries, good and hostile.

use super::*;
use crate::{Samples, open};

/// Records of `labels` bytes of labels, the last of which is `i % classes`, and pixels `i`, `i + 1`, `i + 2` in the three channels.
fn records(n: usize, labels: usize, classes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for i in 0..n {
        bytes.extend(vec![0; labels - 1]);
        bytes.push((i % classes) as u8);
        (0..3).for_each(|channel| bytes.extend([(i + channel) as u8; 1024]));
    }
    bytes
}

fn ten() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for batch in 1..=5 {
        std::fs::write(folder.path().join(format!("data_batch_{batch}.bin")), records(20, 1, 10)).unwrap();
    }
    std::fs::write(folder.path().join("test_batch.bin"), records(10, 1, 10)).unwrap();
    folder
}

fn error(path: &Path) -> String {
    open(path, &OpenOptions::default()).unwrap_err().to_string()
}

#[test]
fn cifar_10_reads_with_and_without_names() {
    let folder = ten();
    let data = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!((data.found.format.as_str(), data.len(), data.input.shape()), ("CIFAR-10 binary", 110, [3, 32, 32]));
    assert_eq!(data.split.test, (100..110).collect::<Vec<u32>>());
    assert_eq!(data.targets.names()[9], "9");
    assert_eq!(data.sources.name(21), "data_batch_2:1");
    let Samples::Pixels(pixels) = &data.samples else { panic!("not in memory") };
    assert_eq!((pixels[3072], pixels[3072 + 1024], pixels[3072 + 2048]), (1, 2, 3));

    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    std::fs::write(folder.path().join("batches.meta.txt"), names.join("\n") + "\n\n").unwrap();
    assert_eq!(open(folder.path(), &OpenOptions::default()).unwrap().targets.names(), names);
    std::fs::write(folder.path().join("batches.meta.txt"), "cat\ndog\n").unwrap();
    assert!(error(folder.path()).contains("expected 10 class names, found 2"));
}

#[test]
fn cifar_100_reads_the_fine_labels() {
    let folder = tempfile::tempdir().unwrap();
    // The archive holds one folder, which is found within.
    let inner = folder.path().join("cifar-100-binary");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("train.bin"), records(200, 2, 100)).unwrap();
    std::fs::write(inner.join("test.bin"), records(100, 2, 100)).unwrap();
    let data = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!((data.found.format.as_str(), data.len(), data.targets.names().len()), ("CIFAR-100 binary", 300, 100));
    let Targets::Classes { values, .. } = &data.targets else { panic!("not classes") };
    assert_eq!(values[57], 57);
}

#[test]
fn damaged_batches_are_refused_with_their_place() {
    let folder = ten();
    let batch = folder.path().join("data_batch_2.bin");
    let mut bytes = records(20, 1, 10);
    bytes[3073 * 7] = 10;
    std::fs::write(&batch, &bytes).unwrap();
    let message = error(folder.path());
    assert!(message.contains("data_batch_2.bin` record 7: expected a label below 10, found 10"), "{message}");
    std::fs::write(&batch, &bytes[..3073 * 2 - 1]).unwrap();
    assert!(error(folder.path()).contains("whole number of records of 3073 bytes, found 6145 bytes"));
    std::fs::write(&batch, []).unwrap();
    assert!(error(folder.path()).contains("found 0 bytes"));
}
