//! Files of every make, good and bad.

use super::*;

#[test]
fn delimiters_and_missing_headers_are_found() {
    for delimiter in [",", "\t", ";", " , ", ";  "] {
        let named = Made::new(sixty(true, delimiter)).load(label("kind")).unwrap();
        let bare = Made::new(sixty(false, delimiter)).load(label("3")).unwrap();
        assert_eq!(features(&named), features(&bare), "{delimiter:?}");
        assert_eq!(names(spec(&bare)), ["column 1", "column 2", "column 4"]);
        assert_eq!(bare.sources.name(0), "table.csv:1");
        assert_eq!(Made::new(sixty(false, delimiter)).load(label("column 3")).unwrap().targets, bare.targets);
    }
}

#[test]
fn gzip_bom_crlf_quotes_and_blank_lines_change_nothing() {
    let plain = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let dressed = format!("\u{feff}{}\r\n\r\n", sixty(true, ",").replace('\n', "\r\n").replace("green", "\"green\""));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(dressed.as_bytes()).unwrap();
    for bytes in [dressed.into_bytes(), gzip.finish().unwrap()] {
        let dataset = Made::new(bytes).load(label("kind")).unwrap();
        assert_eq!((features(&dataset), &dataset.split), (features(&plain), &plain.split));
        assert_eq!(dataset.sources.name(59), "table.csv:61");
    }
}

#[test]
fn lines_are_those_of_the_file_over_blank_lines_and_quoted_ones() {
    let text = "a,b,y\r\n\r\n1,\"two\r\nlines \"\"and, quotes\"\"\",p\r\n\r\n\n2,x,q\r\n3,x,p\n4,x,q\n5,x,p\n6,x,q\n7,x,q\n8,x,p\n";
    let dataset = Made::new(text).load(label("y")).unwrap();
    let lines: Vec<String> = (0..3).map(|row| dataset.sources.name(row)).collect();
    assert_eq!(lines, ["table.csv:3", "table.csv:7", "table.csv:8"]);
    let raw = Raw::read(&Made::new(text).path(), None, |_| true).unwrap();
    assert_eq!(raw.cell(0, 1), "two\r\nlines \"and, quotes\"");
}

#[test]
fn a_header_of_words_over_words_is_recognised_and_a_row_of_them_is_not_one() {
    let header = |text: &str| Raw::read(&Made::new(text).path(), None, Raw::looks_like_header).unwrap().header;
    assert!(header("cap,odor,class\nx,n,p\nb,a,e\nx,n,e\n").is_some());
    assert!(header("x,n,p\nb,a,e\nx,n,e\n").is_none());
    assert!(header("39, State-gov, <=50K\n50, Private, >50K\n").is_none());
    assert!(header(",x\n0,1\n1,2\n").is_some_and(|names| names == ["column 1", "x"]));
    // A named target settles what looks like a row of numbers.
    let mut text = String::from("2019,2020,y\n");
    (0..20).for_each(|row| text += &format!("{row},{},{}\n", row * 2, ["a", "b"][row % 2]));
    assert_eq!(names(spec(&Made::new(&text).load(label("y")).unwrap())), ["2019", "2020"]);
    let forced = OpenOptions { header: Some(true), ..label("3") };
    assert_eq!(names(spec(&Made::new(&text).load(forced).unwrap())), ["2019", "2020"]);
}

#[test]
fn a_test_table_tests_and_its_columns_are_found_by_name() {
    let made = Made::new(sixty(true, ","));
    let plain = OpenOptions { test: Some(made.add("bare.csv", "3,red,cat,7\n4,blue,dog,8\n")), ..label("kind") };
    let turned = "extra,size,kind,x,colour\nz,7,cat,3,red\nz,8,dog,4,blue\n";
    let turned = OpenOptions { test: Some(made.add("turned.csv", turned)), ..label("kind") };
    for (options, name) in [(plain, "bare.csv:1"), (turned, "turned.csv:2")] {
        let dataset = made.load(options).unwrap();
        assert_eq!(dataset.split.test, [60, 61]);
        assert_eq!(row(&dataset, 60), [3.0, 0.0, 0.0, 1.0, 7.0]);
        assert_eq!(dataset.sources.name(60), name);
        assert_eq!(dataset.split.train.len() + dataset.split.val.len(), 60);
    }
    let bad = OpenOptions { test: Some(made.add("bad.csv", "x,color,kind,size\n3,red,cat,7\n")), ..label("kind") };
    assert!(made.refusal(bad).ends_with("bad.csv`: has no column `colour`; did you mean `color`?"));
    let narrow = OpenOptions { test: Some(made.add("narrow.csv", "3,red,cat\n")), ..label("kind") };
    assert!(made.refusal(narrow).ends_with("narrow.csv` line 1: expected 4 fields as in `table.csv`, found 3"));
}

#[test]
fn malformed_files_are_refused_with_their_line() {
    let refusal = |bytes: &[u8]| Made::new(bytes).refusal(label("y"));
    assert!(refusal(b"").contains("is empty"));
    assert!(refusal(b"\n \n\r\n").contains("is empty"));
    assert!(refusal(b"x,y\n").contains("has a header and no rows"));
    assert!(refusal(b"x,y\n1,a\n2,b,c\n").contains("line 3: expected 2 fields as in line 1, found 3"));
    assert!(refusal(b"x,y\n1,a\n\n2\n").contains("line 4: expected 2 fields as in line 1, found 1"));
    assert!(refusal(b"x,y\n1,a\n2,caf\xe9\n").contains("line 3: expected UTF-8 text, found byte 0xe9 at column 6"));
    assert!(refusal(b"x,y\n1,\"a\n2,b\n").contains("line 2: expected a closing quote, found the end of the file"));
    assert!(refusal(b"\xff\xfex\0,\0").contains("UTF-16 (save it as UTF-8)"));
    assert!(refusal(b"y,x,x\n1,2,3\n").contains("line 1: expected a name for each column, found `x` twice"));
    assert!(refusal(b"y\na\nb\na\nb\na\nb\na\nb\na\nb\n").contains("has no column to learn from"));
    assert!(load(Path::new("no such.csv"), &label("y")).unwrap_err().to_string().contains("cannot read `no such.csv`"));
}

#[test]
fn a_gzip_bomb_and_an_endless_row_are_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"x,y\n").unwrap();
    (0..400).for_each(|_| gzip.write_all("1,a\n".repeat(10_000).as_bytes()).unwrap());
    let bomb = Made::new(gzip.finish().unwrap());
    let message = bomb.refusal(OpenOptions { memory: Some(1 << 20), ..label("y") });
    assert!(message.contains("takes more than 1 MiB of memory by line"), "{message}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..33).for_each(|_| gzip.write_all(&[b'x'; 1 << 20]).unwrap());
    assert!(Made::new(gzip.finish().unwrap()).refusal(label("y")).contains("line 1: expected a row of at most 16 MiB"));
    let mut cut = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    cut.write_all(sixty(true, ",").as_bytes()).unwrap();
    let whole = cut.finish().unwrap();
    assert!(Made::new(&whole[..whole.len() / 2]).refusal(label("kind")).contains("cannot read `"));
}
