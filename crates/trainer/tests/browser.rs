//! The pages of runs in headless Chromium, at the widths of phones and desks, light and dark: nothing sticks out, nothing is fetched, every
//! picture is one, letters stand out from what is behind them, and a keyboard reaches everything. `browser/harness.html` looks; where no Chromium
//! is found (`CHROMIUM` names one), nothing is tested, and that is said.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use program::{ends, trainer};
use serde_json::{Value, json};

const HARNESS: &str = include_str!("browser/harness.html");
/// Names in any script, with whatever HTML gives a meaning to, and one that no line takes.
const NAMES: [&str; 7] = [
    "<b onclick=alert(1)>&amp;'\"",
    "花と犬",
    "שלום עולם",
    "\u{202e}gnp.exe",
    "👩‍🚀🌹",
    "=1+1",
    "a_name_without_any_place_where_a_line_could_be_broken_in_two_so_that_it_sticks_out_of_whatever_holds_it",
];

/// The browser, if there is one.
static CHROMIUM: LazyLock<Option<String>> = LazyLock::new(|| {
    let named = std::env::var("CHROMIUM").ok();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let found = named.into_iter().chain(usual).find(|name| {
        let asked = Command::new(name).arg("--version").stdin(Stdio::null()).output();
        asked.is_ok_and(|answer| answer.status.success())
    });
    if found.is_none() {
        eprintln!("no Chromium found (`chromium`, or where CHROMIUM says): pages are not tested in a browser");
    }
    found
});

/// Opens the pages in `folder`, each with texts that must be legible in it; what was seen of each, and what the browser complained of.
fn look(chromium: &str, folder: &Path, scheme: &str, pages: &[(&str, &[&str])]) -> (Vec<Value>, String) {
    let pages: Vec<Value> = pages.iter().map(|(file, names)| json!({ "file": file, "names": names })).collect();
    // Inside of a script, `</script>` in a name would end it.
    let pages = serde_json::to_string(&pages).unwrap().replace('<', "\\u003c");
    fs::write(folder.join("harness.html"), HARNESS.replace("/*PAGES*/[]", &pages)).unwrap();
    let [dom, log] = ["dom", "log"].map(|name| folder.join(format!("{name}-{scheme}")));
    let preferred = if scheme == "dark" { "0" } else { "1" };
    let mut child = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--allow-file-access-from-files", "--disable-background-networking", "--no-first-run"])
        .args(["--enable-logging=stderr", "--window-size=1400,1000", "--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--blink-settings=preferredColorScheme={preferred}"))
        .arg(format!("--user-data-dir={}", folder.join(format!("profile-{scheme}")).display()))
        .arg(format!("file://{}", folder.join("harness.html").display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&dom).unwrap())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(180);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the browser doesn't end: {}", read(&log));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (dom, log) = (read(&dom), read(&log));
    let found = dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let found = found.filter(|(found, _)| !found.is_empty()).unwrap_or_else(|| panic!("nothing was seen: {log}"));
    let complaints =
        log.lines().filter(|line| line.contains(":CONSOLE")).fold(String::new(), |all, line| all + line + "\n");
    (serde_json::from_str(&decoded(found.0)).unwrap(), complaints)
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// What JavaScript's `encodeURIComponent` encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Looks at the pages in both schemes: nothing may be wrong, and what is to be looked at must be there.
#[track_caller]
fn are_sound(folder: &Path, pages: &[(&str, &[&str])]) -> Vec<Value> {
    let Some(chromium) = &*CHROMIUM else { return Vec::new() };
    let mut seen = Vec::new();
    for scheme in ["light", "dark"] {
        let (found, complaints) = look(chromium, folder, scheme, pages);
        assert_eq!(complaints, "", "{scheme}");
        assert_eq!(found.len(), pages.len(), "{found:?}");
        for page in &found {
            assert_eq!(page["wrong"], json!([]), "{scheme}, {}", page["file"]);
            assert_eq!(page["dark"], scheme == "dark", "the scheme is the one that was asked for");
            for key in ["texts", "colours", "headings", "stops"] {
                assert!(page[key].as_u64().unwrap() >= 3, "{key}: {page}");
            }
        }
        seen.extend(found);
    }
    seen
}

/// A folder of pictures, `each` of a class.
fn write_pictures(folder: &Path, names: &[String], each: u8) {
    for (class, name) in names.iter().enumerate() {
        fs::create_dir_all(folder.join(name)).unwrap();
        for at in 0..each {
            let shade = |pixel: u8| pixel.wrapping_mul((class % 251) as u8 + 1).wrapping_add(at);
            let pixels: Vec<u8> = (0..64).map(shade).collect();
            fs::write(folder.join(name).join(format!("{at}.pgm")), [b"P5 8 8 255\n", &pixels[..]].concat()).unwrap();
        }
    }
}

/// Trains for an epoch or two; the report is at `runs/NAME/report.html`.
fn train(folder: &Path, name: &str, more: &[&str]) {
    ends(trainer(folder, &[&["train", "--epochs", "2", "--quiet", "--name", name], more].concat()), 0, "");
}

#[test]
fn a_report_with_hostile_names_and_a_comparison_are_sound_in_a_browser() {
    if CHROMIUM.is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    write_pictures(&folder.join("data"), &NAMES.map(str::to_owned), 12);
    train(folder, "cnn", &["data", "--model", "cnn", "--filters", "20,8"]);
    train(folder, "mlp", &["data", "--model", "mlp", "--hidden", "8", "--seed", "1"]);
    ends(trainer(folder, &["compare", "runs/cnn", "runs/mlp", "--page", "compared.html"]), 0, "");
    let reports = ["runs/cnn/report.html", "runs/mlp/report.html"].map(|file| (file, &NAMES[..]));
    let seen = are_sound(folder, &[reports[0], reports[1], ("compared.html", &["cnn", "mlp"])]);
    assert_eq!(seen.len(), 6);
    for report in seen.iter().filter(|page| page["file"] != "compared.html") {
        // Thumbnails, filters, and maps of layers; curves; the matrix of names on a phone.
        for (key, least) in [("pictures", 20), ("charts", 5), ("lines", 5), ("scrolls", 1)] {
            assert!(report[key].as_u64().unwrap() >= least, "{key}: {report}");
        }
    }
}

#[test]
fn a_test_of_one_class_and_one_of_a_thousand_are_sound_in_a_browser() {
    if CHROMIUM.is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    // Nothing trains on one class, but the test split may have no other.
    write_pictures(&folder.join("one"), &["only", "other"].map(str::to_owned), 12);
    let mut split = "sample,split\n".to_owned();
    for at in 0..12 {
        let part = ["train", "val"][usize::from(at > 7)];
        writeln!(split, "only/{at}.pgm,{}\nother/{at}.pgm,{part}", if at < 4 { "test" } else { part }).unwrap();
    }
    fs::write(folder.join("split.csv"), split).unwrap();
    let thousand: Vec<String> = (0..1000).map(|class| format!("class {class}")).collect();
    write_pictures(&folder.join("thousand"), &thousand, 4);
    train(folder, "one", &["one", "--split", "split.csv", "--model", "mlp", "--hidden", "8"]);
    train(folder, "thousand", &["thousand", "--model", "mlp", "--hidden", "8"]);
    are_sound(folder, &[("runs/one/report.html", &["only"]), ("runs/thousand/report.html", &["class 999"])]);
}

#[test]
fn numbers_labels_and_half_a_run_are_sound_in_a_browser() {
    if CHROMIUM.is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let (mut numbers, mut labels) = ("a,<kind>,y\n".to_owned(), "a,b,wet,cold\n".to_owned());
    for row in 0..120 {
        let (a, b) = (f64::from(row * 37 % 100) / 10.0, row % 3);
        writeln!(numbers, "{a},{},{}", ["x", "=y", ""][b as usize], a * 2.5 + f64::from(b)).unwrap();
        writeln!(labels, "{a},{b},{},{}", u8::from(a > 5.0), u8::from(b == 1)).unwrap();
    }
    fs::write(folder.join("numbers.csv"), numbers).unwrap();
    fs::write(folder.join("labels.csv"), labels).unwrap();
    train(folder, "numbers", &["numbers.csv", "--label", "y", "--hidden", "8"]);
    train(folder, "labels", &["labels.csv", "--label", "wet,cold", "--hidden", "8"]);
    train(folder, "half", &["labels.csv", "--label", "wet,cold", "--hidden", "8"]);
    fs::write(folder.join("runs/half/results.csv"), "epoch,train/loss,val/loss\n1,NaN,inf\n2,0.5").unwrap();
    fs::remove_dir_all(folder.join("runs/half/weights")).unwrap();
    fs::remove_file(folder.join("runs/half/metrics.json")).unwrap();
    ends(trainer(folder, &["report", "runs/half"]), 0, "");
    ends(trainer(folder, &["find-lr", "numbers.csv", "--label", "y", "--hidden", "8", "--page", "rates.html"]), 0, "");
    let numbers: (&str, &[&str]) = ("runs/numbers/report.html", &["<kind>", "=y"]);
    let labels: (&str, &[&str]) = ("runs/labels/report.html", &["wet", "cold"]);
    are_sound(folder, &[numbers, labels, ("runs/half/report.html", &["has not ended"]), ("rates.html", &[])]);
}

/// What the harness looks for, done wrong.
const WRONG: &str = "<!DOCTYPE html><html><head><title> </title><style>p{color:#999;background:#fff}</style></head><body>\
    <h1>a</h1><h3 id=x>b</h3><h1 id=x>c</h1><p>pale</p><p style='width:9px'>overlong</p><div style='width:700px;background:red'>wide</div>\
    <a href=#nowhere>lost</a><a href=http://127.0.0.1:9/>away</a><div tabindex=3>late</div>\
    <div style='overflow:auto;height:20px'><div style='height:300px'>deep</div></div>\
    <img src=http://127.0.0.1:9/x.png><img src='data:image/png;base64,AAAA' alt=broken><svg width=9 height=9></svg>\
    <table><tr><th>x</th></tr></table><script>console.error('complaint')</script></body></html>";

#[test]
fn a_page_that_is_wrong_in_every_way_is_told_of_each() {
    let Some(chromium) = &*CHROMIUM else { return };
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("wrong.html"), WRONG).unwrap();
    let (found, complaints) = look(chromium, scratch.path(), "light", &[("wrong.html", &["missing words"])]);
    assert!(complaints.contains("complaint"), "{complaints}");
    let wrong = found[0]["wrong"].to_string();
    for words in [
        "expected one h1, found 2",
        "expected one main, found 0",
        "expected one html[lang], found 0",
        "no title",
        "a script",
        "h3 follows h1",
        "two of id x",
        "link to #nowhere",
        "link to http://127.0.0.1:9/",
        "a picture without alt",
        "a picture that is none: broken",
        "a chart without label",
        "a table without caption or scopes",
        "contrast 2.85: rgb(153, 153, 153) on rgb(255,255,255) in <p> pale",
        "not reached by keyboard: <div> late",
        "the first stop skips no navigation",
        "scrolls, but not by keyboard: <div> deep",
        "wide at 320: <div> wide",
        "sticks out of its box at 1280: <p> overlong",
        "fetched http://127.0.0.1:9/x.png",
        "not legible: missing words",
    ] {
        assert!(wrong.contains(words), "`{words}` is not in {wrong}");
    }
    assert!(!wrong.contains("wide at 1280"), "{wrong}");
}
