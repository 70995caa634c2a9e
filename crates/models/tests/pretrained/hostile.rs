//! Files of PyTorch's that aren't what they seem: archives and streams that are made here, byte by byte.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use models::Pretrained;

use crate::{begin, golden, numbers, perceptron};

/// An archive of stored entries, as `torch.save` makes them, or with the compression that an entry claims: checksums of zero are none.
fn archive(entries: &[(&str, &[u8])], method: u16, claimed: u32) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let at = bytes.len() as u32;
        let size = content.len() as u32;
        let mut fields = Vec::new();
        fields.extend([20, 0, 0, 0]);
        fields.extend(method.to_le_bytes());
        fields.extend([0; 8]);
        fields.extend(size.to_le_bytes());
        fields.extend((if claimed > 0 { claimed } else { size }).to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        central.extend(b"PK\x01\x02\x14\0");
        central.extend(&fields);
        central.extend([0; 10]);
        central.extend(at.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let (at, size, count) = (bytes.len() as u32, central.len() as u32, entries.len() as u16);
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

/// The pickle of a state dict with one tensor: its name, the storage's class, key and length, and its shape.
fn pickle(name: &str, class: &str, key: &str, shape: &[i32], numbers: i32) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let int = |number: i32| [b"J", &number.to_le_bytes()[..]].concat();
    let tuple =
        |numbers: Vec<i32>| [b"(".to_vec(), numbers.into_iter().flat_map(int).collect(), b"t".to_vec()].concat();
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = i32::wrapping_mul(strides[axis], shape[axis].max(1));
    }
    let mut bytes = b"\x80\x02}".to_vec();
    bytes.extend(text(name));
    bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    bytes.extend(
        [text("storage"), format!("ctorch\n{class}\n").into_bytes(), text(key), text("cpu"), int(numbers)].concat(),
    );
    bytes.extend(b"tQ");
    bytes.extend([int(0), tuple(shape.to_vec()), tuple(strides)].concat());
    bytes.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    bytes
}

fn checkpoint(pickle: &[u8], storage: Option<&[u8]>) -> Vec<u8> {
    let mut entries = vec![("x/data.pkl", pickle), ("x/byteorder", b"little".as_slice())];
    entries.extend(storage.map(|storage| ("x/data/0", storage)));
    archive(&entries, 0, 0)
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("weights.pt");
    std::fs::write(&path, bytes).unwrap();
    let Err(error) = begin(perceptron(3), &path, true) else { panic!("it was taken") };
    assert_eq!(error.exit_code(), 4, "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("`{}` ", path.display())) && !text.contains('\n'), "{text}");
    text[path.display().to_string().len() + 3..].to_owned()
}

#[test]
fn hostile_files_are_errors_in_one_line() {
    let name = "output.bias";
    let zeros = [0; 12];
    let good = checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), Some(&zeros));
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("good.pt");
    std::fs::write(&path, &good).unwrap();
    assert_eq!(
        numbers(&begin(perceptron(3), &path, true).unwrap(), name),
        [0.0; 3],
        "the helpers make what torch makes"
    );

    for length in [1, 3, 30, good.len() / 2, good.len() - 1] {
        refused(&good[..length]);
    }
    // An entry that is said to be compressed to almost nothing.
    let entries = [("x/data.pkl", b"\x80\x02}.".as_slice()), ("x/data/0", b"\x03\0".as_slice())];
    assert!(refused(&archive(&entries, 8, u32::MAX - 1)).contains("is compressed, which torch.save never does"));
    assert!(refused(&archive(&entries, 0, u32::MAX - 1)).contains("is compressed"));
    // What a pickle asks to be called is not called; nothing of it is a tensor.
    let marker = scratch.path().join("called");
    let command = format!("touch {}", marker.display());
    let call = [b"\x80\x02cposix\nsystem\nX", &(command.len() as u32).to_le_bytes()[..], command.as_bytes(), b"\x85R."]
        .concat();
    refused(&checkpoint(&call, None));
    let inside = [
        b"\x80\x02}X\x01\0\0\0acposix\nsystem\nX",
        &(command.len() as u32).to_le_bytes()[..],
        command.as_bytes(),
        b"\x85Rs.",
    ];
    refused(&checkpoint(&inside.concat(), None));
    assert!(!marker.exists(), "a pickle was run");

    let whole = refused(&checkpoint(&pickle(name, "IntStorage", "0", &[3], 3), Some(&zeros)));
    assert!(whole.contains("tensor `output.bias`: expected floating-point numbers, found I32"), "{whole}");
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[-3], 3), Some(&zeros)));
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[i32::MAX, i32::MAX, i32::MAX], 3), Some(&zeros)));
    refused(&checkpoint(&pickle(name, "FloatStorage", "1", &[3], 3), Some(&zeros)));
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), None));
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), Some(&zeros[..8])));
    refused(&checkpoint(&pickle(name, "NoStorage", "0", &[3], 3), Some(&zeros)));
    let nan = [f32::NAN.to_le_bytes(), [0; 4], [0; 4]].concat();
    let told = refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), Some(&nan)));
    assert!(told.contains("tensor `output.bias`, element 0: expected a finite number, found NaN"), "{told}");
    // Lists in lists, ten thousand deep.
    let deep = [b"\x80\x02".to_vec(), b"]".repeat(10_000), b"a".repeat(9_999), b".".to_vec()].concat();
    refused(&checkpoint(&deep, None));
    assert!(refused(&checkpoint(&vec![b']'; (8 << 20) + 1], None)).contains("at most 8388608 are read"));

    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refused(&tar).contains("is a tar archive, as PyTorch wrote before version 0.1.10"));
    for other in
        [b"".as_slice(), b"hello, these are no weights", b"\x80\x02}.", b"PK\x05\x06", &[0; 4096], b"\x89PNG\r\n\x1a\n"]
    {
        refused(other);
    }
    let error = Pretrained::open(scratch.path()).err().unwrap();
    assert!(error.to_string().contains("is a folder"), "{error}");
    assert!(Pretrained::open(&scratch.path().join("absent.pt")).is_err());
}

/// A file as PyTorch wrote it before 1.6, of one tensor's storage.
fn legacy(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let before = [b"\x80\x02\x8a\x0a", &magic[..], b".\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s."];
    let count = (storage.len() as u64 / 4).to_le_bytes();
    [&before.concat()[..], pickle, b"\x80\x02]X\x01\0\0\x000a.", &count, storage].concat()
}

/// A state dict of one tensor, fetched under `count` names, in dictionaries that are `deep` deep under keys of `long` characters.
fn shared(count: usize, deep: usize, long: usize) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let one = pickle("first", "FloatStorage", "0", &[3], 3);
    let mut bytes = one[..one.len() - 2].to_vec();
    bytes.extend(b"r\xff\0\0\0s");
    bytes.extend([text(&"x".repeat(long)), b"}".to_vec()].concat().repeat(deep));
    (1..count).for_each(|at| bytes.extend([text(&format!("{at}")), b"j\xff\0\0\0s".to_vec()].concat()));
    bytes.extend(b"s".repeat(deep));
    bytes.push(b'.');
    bytes
}

#[test]
fn a_small_file_that_would_be_large_in_memory_is_refused_before_it_is() {
    let (name, zeros) = ("output.bias", [0; 12]);
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("good.pt");
    for good in [
        legacy(&pickle(name, "FloatStorage", "0", &[3], 3), &zeros),
        checkpoint(&shared(100, 3, 5), Some(&zeros)),
        legacy(&shared(100, 3, 5), &zeros),
    ] {
        std::fs::write(&path, &good).unwrap();
        assert!(Pretrained::open(&path).is_ok(), "the helpers make what torch makes");
    }

    let both = |pickle: &[u8], why: &str| {
        for file in [checkpoint(pickle, Some(&zeros)), legacy(pickle, &zeros)] {
            let told = refused(&file);
            assert!(told.contains(why), "{told}");
        }
    };
    both(&shared(300, 100, 2000), "the names of its tensors take");
    both(&shared((1 << 17) + 1, 1, 1), "it has 131073 tensors; at most 131072 are read");
    both(
        &[b"\x80\x02".to_vec(), b"N0".repeat((1 << 20) + 1), b"}.".to_vec()].concat(),
        "takes more than 2097152 steps",
    );
    // The bytes of an archive's pickle stand in its directory; those of a stream are counted, also where a text is said to have them.
    let long = [b"\x80\x02X\0\0\0\x01".to_vec(), vec![b'x'; 1 << 24], b".".to_vec()].concat();
    assert!(refused(&legacy(&long, &zeros)).contains("is longer than 8388608 bytes"));
    let mut preamble = legacy(b"}.", &zeros);
    preamble.splice(17..17, b"N0".repeat(3000));
    assert!(refused(&preamble).contains("is longer than 4096 bytes"));

    let empty = b"}.".as_slice();
    assert!(refused(&archive(&[("x/data.pkl", empty), ("y/data.pkl", empty)], 0, 0)).contains("it has two pickles"));
    let names: Vec<String> = (0..560).map(|at| format!("x/data/{at:060000}")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    assert!(refused(&archive(&entries, 0, 0)).contains("no directory is found at its end in 33554432 bytes"));
}

/// Neither a panic nor anything but an error of the file's, whatever is other in it; a panic in the readers of others would be such an error.
#[test]
fn files_that_are_changed_anywhere_are_read_or_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("weights.pt");
    let rounds = std::env::var("STRIATE_MUTATIONS").map_or(300, |rounds| rounds.parse().unwrap());
    let whole: Vec<Vec<u8>> = ["small.pt", "small_legacy.pt"]
        .into_iter()
        .map(|name| std::fs::read(golden(name)).unwrap())
        .chain([checkpoint(&pickle("output.bias", "FloatStorage", "0", &[3], 3), Some(&[0; 12]))])
        .collect();
    let (mut state, mut read) = (1u64, 0);
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for round in 0..rounds {
        let mut bytes = whole[round % whole.len()].clone();
        for _ in 0..=draw(3) {
            let at = draw(bytes.len());
            match draw(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, draw(256) as u8),
                2 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
                _ => bytes[at] = draw(256) as u8,
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        std::fs::write(&path, bytes).unwrap();
        match begin(perceptron(3), &path, true) {
            Ok(_) => read += 1,
            Err(error) => assert_eq!(error.exit_code(), 4, "{error}"),
        }
    }
    assert!(read > 0 && read < rounds, "{read} of {rounds} were read");
}
