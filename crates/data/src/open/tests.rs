//! What a path turns out to be.

use super::*;

fn error(path: &Path) -> String {
    open(path, &OpenOptions::default()).unwrap_err().to_string()
}

#[test]
fn nothing_and_digits_are_the_embedded_ones() {
    for path in ["", "digits"] {
        assert_eq!(open(Path::new(path), &OpenOptions::default()).unwrap().found.format, "embedded digits");
    }
}

#[test]
fn what_is_no_data_is_refused_with_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        error(&path)
    };
    assert!(file("empty.csv", b"").contains("found an empty file"));
    assert!(file("data.zip", b"PK\x03\x04").contains("found an archive; unpack it"));
    assert!(file("x.png", b"\x89PNG\r\n\x1a\n").contains("found a single image"));
    assert!(file("x.csv", b"\xff\xfea\0,\0b\0").contains("UTF-16"));
    assert!(file("weights", b"abc\0\x01").contains("found binary data"));
    assert!(file("cut.csv.gz", b"\x1f\x8b\x08").contains("cut.csv.gz"));
    assert!(file("images", b"\0\0\x08\x03").contains("without its labels"));
    let message = error(&folder.path().join("emtpy.csv"));
    assert!(message.contains("no such file or folder") && message.contains("empty.csv"), "{message}");
    assert!(error(folder.path()).contains("give the table itself"));
}

fn like(outputs: Outputs) -> Like {
    Like { input: InputSpec::Table(crate::TableSpec::default()), outputs }
}

fn words(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

#[test]
fn targets_take_the_model_s_order() {
    let path = Path::new("set");
    let model = like(Outputs::Classes(words("a b c")));
    let aligned = model.align(Targets::Classes { names: words("c x a"), values: vec![0, 2, 0] }, path).unwrap();
    assert_eq!(aligned, Targets::Classes { names: words("a b c"), values: vec![2, 0, 2] });

    let model = like(Outputs::Labels(words("a b c")));
    let aligned = model.align(Targets::Labels { names: words("c a"), values: vec![1, 0, 0, 1] }, path).unwrap();
    assert_eq!(aligned, Targets::Labels { names: words("a b c"), values: vec![0, 0, 1, 1, 0, 0] });
    let stranger = model.align(Targets::Labels { names: words("A"), values: vec![1] }, path).unwrap_err().to_string();
    assert!(stranger.contains("label `A`; did you mean `a`?"), "{stranger}");

    let model = like(Outputs::Values(words("x y")));
    let aligned = model.align(Targets::Values { names: words("y z x"), values: vec![1.0, 2.0, 3.0] }, path).unwrap();
    assert_eq!(aligned, Targets::Values { names: words("x y"), values: vec![3.0, 1.0] });
    let missing = model.align(Targets::Values { names: words("y"), values: vec![1.0] }, path).unwrap_err().to_string();
    assert!(missing.contains("predicts `x`"), "{missing}");
    let other = model.align(Targets::Classes { names: words("x y"), values: vec![0] }, path).unwrap_err().to_string();
    assert!(other.contains("targets are classes, but the model predicts numbers"), "{other}");
}

#[test]
fn options_for_other_formats_are_refused() {
    let digits = |options: OpenOptions| open(Path::new("digits"), &options).unwrap_err();
    let error = digits(OpenOptions { label: words("kind"), ..OpenOptions::default() });
    assert!(error.is_usage() && error.to_string().starts_with("--label: it is for tables and image lists"), "{error}");
    let error = digits(OpenOptions { test: Some("test.csv".into()), ..OpenOptions::default() });
    assert!(error.to_string().starts_with("--test"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, "x,y\n1,a\n2,b\n").unwrap();
    let options = OpenOptions { image_size: Some([8, 8]), ..OpenOptions::default() };
    let error = open(&path, &options).unwrap_err();
    assert!(error.to_string().starts_with("--imgsz: it is for images"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_device_is_refused_before_it_is_opened() {
    let error = open(Path::new("/dev/null"), &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("`/dev/null`: is a pipe or a device; "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join(class).join("endless.png")).unwrap();
    }
    let error = open(folder.path(), &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("endless.png` itself: expected a regular file"), "{error}");
}
