//! The page of `infer serve` in headless Chromium, as a person works with it: a picture is dropped, chosen, drawn with the mouse; a row is filled in; a token is
//! typed. Where no Chromium is found nothing is tested, and that is said. `PAGE_PICTURES` names a folder for pictures of the page, to be looked at.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use scratch::browser::{Browser, chromium};
use scratch::{Scratch, pgm, pixels, rows, values};
use serde_json::{Value, json};

/// Leaves a picture of the page where `PAGE_PICTURES` says.
fn keep(browser: &mut Browser, name: &str) {
    let picture = browser.picture();
    if let Some(folder) = std::env::var_os("PAGE_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png.base64")), picture).unwrap();
    }
}

/// Nothing sticks out of the page, nothing broke its policy.
#[track_caller]
fn sound(browser: &mut Browser) {
    assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true);
    let small = "[...document.querySelectorAll('button:not(.bar), .file')].filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).length";
    assert_eq!(browser.value(small), 0, "fingers need 44 points");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

/// JavaScript that makes a file of 8x8 gray pixels, by the browser's own encoder.
fn file(pixels: &[u8]) -> String {
    format!(
        "(async () => {{ const c = document.createElement('canvas'); c.width = c.height = 8; const x = c.getContext('2d'); const d = x.createImageData(8, 8); \
         {}.forEach((v, i) => d.data.set([v, v, v, 255], 4 * i)); x.putImageData(d, 0, 0); \
         return new File([await new Promise(r => c.toBlob(r))], 'a.png', {{ type: 'image/png' }}); }})()",
        json!(pixels)
    )
}

#[test]
fn a_picture_is_dropped_pasted_and_drawn_on_desks_and_phones() {
    let Some(chromium) = chromium() else { return };
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let url = format!("http://{}/", server.address);
    let expected = server.post("/v1/predict", "image/png", &pgm(7)).json();
    let mut browser = Browser::start(&chromium, scratch.path());
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (320, "light")] {
        browser.open(&url, width, scheme);
        browser.until("!document.getElementById('give').hidden");
        keep(&mut browser, &format!("open-{width}-{scheme}"));
        for (event, holder) in [("drop", "dataTransfer"), ("paste", "clipboardData")] {
            let class = if event == "drop" { "DragEvent" } else { "ClipboardEvent" };
            browser.value(&format!(
                "(async () => {{ document.getElementById('says').textContent = ''; const t = new DataTransfer(); t.items.add(await {}); \
                 dispatchEvent(new {class}('{event}', {{ {holder}: t, cancelable: true }})); }})()",
                file(&pixels(7))
            ));
            browser.until("document.getElementById('says').textContent !== ''");
            let says = browser.value("document.getElementById('says').textContent");
            assert!(says.as_str().unwrap().starts_with(expected["label"].as_str().unwrap()), "{says} {expected}");
            assert_eq!(browser.value("document.querySelectorAll('#bars li').length"), 3);
            assert_eq!(browser.value("document.getElementById('shown').naturalWidth"), 8);
        }
        browser.until("!document.getElementById('how').textContent || document.getElementById('reason').textContent.startsWith('What counts')");
        let why = browser.value("document.getElementById('reason').textContent");
        assert_eq!(why, format!("What counts for {}", expected["label"].as_str().unwrap()));
        // Heat is painted, more in some places than in others.
        let colours =
            "new Set(document.getElementById('seen').getContext('2d').getImageData(0, 0, 320, 320).data).size";
        assert!(browser.value(colours).as_u64().unwrap() > 20);
        let other = browser.value("document.querySelectorAll('#bars button')[2].children[1].textContent");
        browser.click("#bars li:nth-child(3) button");
        browser.until(&format!(
            "document.getElementById('reason').textContent === 'What counts for {}'",
            other.as_str().unwrap()
        ));
        sound(&mut browser);
        keep(&mut browser, &format!("dropped-{width}-{scheme}"));

        let [x, y] = browser.place("#draw");
        browser.value("document.getElementById('says').textContent = ''");
        browser.drag(&[[x - 60.0, y - 60.0], [x, y], [x + 60.0, y - 60.0], [x, y + 80.0]]);
        browser.until("document.getElementById('says').textContent !== ''");
        assert_eq!(browser.value("document.getElementById('shown').naturalWidth"), 320);
        let white = "(() => { const d = document.getElementById('draw').getContext('2d').getImageData(0, 0, 320, 320).data; \
                     let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 128; return n; })()";
        let drawn = browser.value(white).as_u64().unwrap();
        assert!((3000..60_000).contains(&drawn), "{drawn} white pixels");
        keep(&mut browser, &format!("drawn-{width}-{scheme}"));
        browser.click("#clear");
        assert_eq!(browser.value(white), 0);
        browser.click("#ink");
        assert_eq!(browser.value(white), 320 * 320);
        sound(&mut browser);
    }
    let broken = "(async () => { const t = new DataTransfer(); t.items.add(new File(['no picture'], 'a.png', { type: 'image/png' })); \
                  dispatchEvent(new DragEvent('drop', { dataTransfer: t })); })()";
    browser.value(broken);
    browser.until("!document.getElementById('problem').hidden");
    let said = browser.value("document.getElementById('problem').textContent");
    assert!(said.as_str().unwrap().contains("expected an image"), "{said}");
    // It can be chosen, too.
    scratch.write("a.pgm", pgm(7));
    let whole: Value = browser.ask("Runtime.evaluate", json!({ "expression": "document.getElementById('file')" }));
    let chosen = json!({ "files": [scratch.path().join("a.pgm")], "objectId": whole["result"]["objectId"] });
    browser.ask("DOM.setFileInputFiles", chosen);
    browser.until("document.getElementById('problem').hidden");
    let says = browser.value("document.getElementById('says').textContent");
    assert!(says.as_str().unwrap().starts_with(expected["label"].as_str().unwrap()), "{says}");
}

#[test]
fn a_row_is_filled_in_and_a_token_typed() {
    let Some(chromium) = chromium() else { return };
    let scratch = Scratch::new();
    scratch.model("table.safetensors", rows(), &values(&["price"]));
    let server = scratch.serve_with("table.safetensors", &[], &[("STRIATE_TOKEN", "open-sesame")]);
    let mut browser = Browser::start(&chromium, scratch.path());
    browser.open(&format!("http://{}/", server.address), 400, "dark");
    browser.until("!document.getElementById('locked').hidden");
    keep(&mut browser, "locked");
    browser.complaints.clear(); // of the 401
    browser.click("#token");
    browser.ask("Input.insertText", json!({ "text": "open-sesame" }));
    browser.click("#unlock button");
    browser.until("!document.getElementById('row').hidden");
    browser.click("[data-column=size]");
    browser.ask("Input.insertText", json!({ "text": "2.5" }));
    browser.value("document.querySelector('[data-column=colour]').value = 'red'");
    browser.click("#fields button");
    browser.until("document.getElementById('says').textContent !== ''");
    scratch.write("rows.csv", "size,colour\n2.5,red\n");
    let expected = scratch.infer(&["predict", "table.safetensors", "rows.csv", "--format", "jsonl"]).json();
    let price = expected[0]["values"]["price"].as_f64().unwrap();
    let says = browser.value("document.getElementById('says').textContent");
    let said: f64 = says.as_str().unwrap().strip_prefix("price: ").unwrap().parse().unwrap();
    assert!((said - price).abs() <= 1e-5 * price.abs().max(1.0), "{says} {price}");
    browser.until("document.querySelectorAll('#counted li').length === 2");
    sound(&mut browser);
    keep(&mut browser, "row");
}
