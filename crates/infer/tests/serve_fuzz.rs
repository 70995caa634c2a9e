//! Requests that were good once, mutated, through the socket of `infer serve`: whatever comes, each connection gets its answer or its end, no answer is a failure
//! of the server's own, and good requests are answered in between. The seed makes a run repeatable; for a long one:
//! `FUZZ_SECONDS=600 cargo test -p infer --test serve_fuzz -- --ignored --nocapture`.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use data::random::{Purpose, Random};
use scratch::server::{Running, answer, form, request};
use scratch::{Scratch, pgm, pixels, rows, values};
use serde_json::json;

const THREADS: u64 = 4;

/// What is put into requests: ends of lines and parts, numbers without end, letters that mean something to somebody.
const WORDS: [&[u8]; 30] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xfe",
    b"NaN",
    b"1e999",
    b"-1",
    b"18446744073709551616",
    b"[[[[[[[[",
    b"{\"a\":",
    b"null",
    b"\"",
    b"%2e%2e%2f",
    b"../",
    b"?top_k=99999999999",
    b"content-length: 0\r\n",
    b"content-length: 99999999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"expect: 100-continue\r\n",
    b"content-type: application/json\r\n",
    b"content-type: multipart/form-data; boundary=XX\r\n",
    b"connection: keep-alive\r\n",
    b"--XX\r\n",
    b"--XX--\r\n",
    b"ffffffffffffffff\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff",
    b"GIF89a\xff\xff\xff\xff",
];

/// Good requests for both kinds of models.
fn seeds() -> Vec<Vec<u8>> {
    let json_type = ("content-type", "application/json");
    let last = ("connection", "close");
    let post = |path: &str, content: (&str, &str), body: &[u8]| request("POST", path, &[content, last], body);
    let (form_type, form) = form(&[("a.pgm", &pgm(1)), ("b.pgm", &pgm(2))]);
    let mut png = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(20, 20).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let tensor =
        json!({ "inputs": [{ "name": "input", "shape": [1, 1, 8, 8], "datatype": "UINT8", "data": pixels(1) }] });
    let columns = json!({ "inputs": [
        { "name": "size", "datatype": "FP64", "shape": [1], "data": [2.5] },
        { "name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"] },
    ] });
    let mut chunked =
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    chunked.extend([b"4b\r\n", &pgm(3)[..], b"\r\n0\r\n\r\n"].concat());
    vec![
        post("/v1/predict", ("content-type", "image/png"), png.get_ref()),
        post("/v1/predict?top_k=2", ("content-type", "image/x-portable-graymap"), &pgm(1)),
        post("/v1/predict/batch", ("content-type", &form_type), &form),
        post("/v1/predict", json_type, json!({ "pixels": pixels(1) }).to_string().as_bytes()),
        post("/v1/predict", json_type, json!({ "row": { "size": 1, "colour": "red" } }).to_string().as_bytes()),
        post("/v1/predict/batch", json_type, json!({ "rows": [[1, "red"], [null, "blue"]] }).to_string().as_bytes()),
        post("/v1/predict/batch", ("content-type", "text/csv"), b"size,colour\n1,red\n"),
        post("/v1/explain?class=dog", ("content-type", "image/png"), &pgm(1)),
        post("/v2/models/m/infer", json_type, tensor.to_string().as_bytes()),
        post("/v2/models/m/infer", json_type, columns.to_string().as_bytes()),
        request("GET", "/v2/models/m/versions/0", &[last], b""),
        request("GET", "/metrics", &[("x-request-id", "a"), last], b""),
        chunked,
    ]
}

/// `seed` with a few things changed.
fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut below = |most: usize| random.below(most as u32) as usize;
    let mut bytes = seeds[below(seeds.len())].clone();
    for _ in 0..=below(6) {
        let at = below(bytes.len() + 1);
        let to = (at + 1 + below(16)).min(bytes.len());
        match below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            1 if at < bytes.len() => bytes[at] = below(256) as u8,
            2 => drop(bytes.drain(at..to)),
            3 => _ = bytes.splice(at..at, WORDS[below(WORDS.len())].iter().copied()),
            4 => _ = bytes.splice(at..to, WORDS[below(WORDS.len())].iter().copied()),
            5 => {
                let other = &seeds[below(seeds.len())];
                let cut = below(other.len());
                bytes.truncate(at);
                bytes.extend(&other[cut..]);
            }
            _ => {
                let part = bytes[at..to].repeat(1 + below(300));
                bytes.splice(at..at, part);
            }
        }
    }
    if below(8) == 0 { bytes[..below(bytes.len() + 1)].to_vec() } else { bytes }
}

/// Fuzzes until `more` says no; how often each status was answered, 0 for an end without an answer.
fn fuzz(servers: &[&Running], good: &[Vec<u8>], more: impl Fn(u64) -> bool + Sync) -> BTreeMap<u16, u64> {
    let (seeds, statuses) = (seeds(), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (seeds, statuses, more) = (&seeds, &statuses, &more);
            scope.spawn(move || {
                for at in (0..).take_while(|at| more(*at)) {
                    let server = servers[at as usize % servers.len()];
                    let mut random = Random::new(0x5e7e, Purpose::Bench, thread as u32, at as u32);
                    let bytes = mutated(seeds, &mut random);
                    let mut stream = server.connect();
                    // It may be refused before it is all there.
                    let _ = stream.write_all(&bytes);
                    let status = answer(&mut stream).map_or(0, |answer| answer.status);
                    let shown = String::from_utf8_lossy(&bytes).into_owned();
                    assert_ne!(status, 500, "thread {thread}, request {at}: {shown}");
                    *statuses.lock().unwrap().entry(status).or_insert(0) += 1;
                    if at % 64 == 0 {
                        for (server, good) in servers.iter().zip(good) {
                            assert_eq!(server.send(good).status, 200, "after thread {thread}, request {at}: {shown}");
                        }
                    }
                }
            });
        }
    });
    statuses.into_inner().unwrap()
}

/// Fuzzes a server with pictures and one with rows.
fn fuzz_both(more: impl Fn(u64) -> bool + Sync) -> BTreeMap<u16, u64> {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.model("rows.safetensors", rows(), &values(&["price"]));
    let options =
        ["--name", "m", "--header-timeout", "1", "--body-timeout", "1", "--max-pixels", "1000000", "--max-body", "64K"];
    let servers = ["model.safetensors", "rows.safetensors"].map(|model| scratch.serve(model, &options));
    let row = request("POST", "/v1/predict", &[("content-type", "application/json")], b"{\"row\":[1,\"red\"]}");
    let good = [request("POST", "/v1/predict", &[], &pgm(1)), row];
    let statuses = fuzz(&[&servers[0], &servers[1]], &good, more);
    for server in servers {
        server.signal("TERM");
        let (code, log) = server.end();
        assert_eq!(code, Some(0), "{log:?}");
        assert!(!log.iter().any(|line| line.contains("panicked") || line.contains("\"internal\"")), "{log:?}");
    }
    statuses
}

#[test]
fn mutated_requests_get_an_answer_or_an_end_and_harm_nobody() {
    let statuses = fuzz_both(|at| at < 300);
    assert_eq!(statuses.values().sum::<u64>(), 300 * THREADS);
    // Good ones, refused ones, and what isn't HTTP any more.
    for status in [0, 200, 400, 404, 415, 422] {
        assert!(statuses.contains_key(&status), "{statuses:?}");
    }
}

#[test]
#[ignore = "as long as FUZZ_SECONDS says"]
fn mutated_requests_harm_nobody_for_a_long_time() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let until = Instant::now() + Duration::from_secs(seconds);
    let statuses = fuzz_both(|_| Instant::now() < until);
    println!("{} requests in {seconds} s, by status: {statuses:?}", statuses.values().sum::<u64>());
}
