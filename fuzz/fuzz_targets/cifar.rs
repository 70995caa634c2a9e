//! A CIFAR batch, an excerpt of which is repeated to the size of a few records, and a file of class names.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((names, batch)) = fuzz::halves(bytes) else { return };
    let Some((shape, batch)) = batch.split_first() else { return };
    // Bit 0: CIFAR-100; bit 1: with the names' file; bits 2 to 4: bytes more than whole records; the others: how many records.
    let fine = shape & 1 != 0;
    let len = usize::from(shape >> 5) * (3073 + usize::from(fine)) + usize::from(shape >> 2 & 7);
    let data: Vec<u8> = batch.iter().copied().cycle().take(if batch.is_empty() { 0 } else { len }).collect();
    let folder = if fine { "fine" } else { "ten" };
    let [file, other] = if fine { ["train.bin", "test.bin"] } else { ["data_batch_1.bin", "test_batch.bin"] };
    fuzz::write(&format!("{folder}/{file}"), &data);
    fuzz::write(&format!("{folder}/{other}"), &data);
    let list = format!("{folder}/{}", if fine { "fine_label_names.txt" } else { "batches.meta.txt" });
    let list = fuzz::write(&list, names);
    if shape & 2 == 0 {
        std::fs::remove_file(list).expect("a scratch file");
    }
    let _ = data::open(&fuzz::scratch().join(folder), &data::OpenOptions::default());
});
