//! What no client should send to `infer serve`, sent through its socket: each gets its problem or its connection closed, nothing panics, nothing hangs,
//! and the next request is answered.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use scratch::server::{Running, answer, form, request};
use scratch::{Scratch, pgm, rows, values};
use serde_json::json;

/// A small PNG that declares another size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = whole_png(9, 9);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = bytes[12..29].iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 })
    });
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

/// A whole PNG of gray pixels, all of one shade.
fn whole_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(width, height).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[track_caller]
fn lives(server: &Running) {
    assert_eq!(server.post("/v1/predict", "image/png", &pgm(1)).status, 200);
}

#[test]
fn bad_pictures_get_their_problem_and_the_next_one_its_answer() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server =
        scratch.serve("model.safetensors", &["--max-pixels", "10000", "--max-body", "100K", "--max-inputs", "3"]);
    let bomb = whole_png(101, 100);
    let long = vec![b'x'; 102_401];
    type Case<'a> = (&'a str, &'a str, &'a [u8], u16, &'a str, &'a str);
    let table: [Case; 14] = [
        ("/v1/predict", "image/png", &png(60_000, 60_000), 422, "unreadable-input", "60000x60000"),
        ("/v1/predict", "image/png", &bomb, 413, "too-many-pixels", "101x100"),
        ("/v1/predict", "image/png", &whole_png(90, 90)[..60], 422, "unreadable-input", "body"),
        ("/v1/predict", "image/png", b"", 422, "unreadable-input", "first bytes"),
        ("/v1/predict", "image/png", b"GIF89a", 422, "unreadable-input", "body"),
        ("/v1/predict", "image/png", &long, 413, "body-too-large", "102400 bytes"),
        ("/v1/predict", "text/html", &pgm(1), 415, "unsupported-type", "text/html"),
        ("/v1/predict", "text/csv", b"a,b\n1,2\n", 415, "unsupported-type", "image/*"),
        ("/v1/predict", "multipart/form-data", b"x", 400, "malformed-request", "boundary"),
        ("/v1/predict", "multipart/form-data; boundary=XX", b"--XX\r\n", 400, "malformed-request", "form"),
        ("/v1/predict", "multipart/form-data; boundary=XX", b"--XX--\r\n", 400, "malformed-request", "a file"),
        ("/v1/predict/..%2f..%2fsecret", "image/png", b"x", 404, "not-found", "/openapi.json"),
        ("/v1/../../etc/passwd", "image/png", b"x", 404, "not-found", "/openapi.json"),
        ("/v1/model", "image/png", b"x", 405, "method-not-allowed", "Allow"),
    ];
    for (path, content_type, body, status, problem, words) in table {
        let answer = server.post(path, content_type, body);
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{path} {content_type}: {answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(words), "{words}: {}", answer.text());
        lives(&server);
    }
    let four: Vec<(&str, &[u8])> = vec![("a", b"x"); 4];
    let (content_type, body) = form(&four);
    assert_eq!(server.post("/v1/predict/batch", &content_type, &body).problem(), "too-many-inputs");
}

#[test]
fn bad_json_gets_its_problem_and_the_next_request_its_answer() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.model("rows.safetensors", rows(), &values(&["price"]));
    let pictures = scratch.serve("model.safetensors", &[]);
    let table = scratch.serve("rows.safetensors", &["--max-inputs", "3"]);
    let deep = |open: &str| format!("{{\"rows\":{}", open.repeat(100_000));
    let tensor = |shape: &str, datatype: &str, data: &str| {
        format!("{{\"inputs\":[{{\"name\":\"input\",\"shape\":{shape},\"datatype\":\"{datatype}\",\"data\":{data}}}]}}")
    };
    let zeros = json!(vec![0; 64]).to_string();
    let (v1, v2) = ("/v1/predict", "/v2/models/model/infer");
    let cases: Vec<(&Running, &str, String, u16, &str)> = vec![
        (&table, v1, "{\"row\":{\"size\":NaN,\"colour\":\"red\"}}".into(), 400, "malformed-json"),
        (&table, v1, "{\"row\":{\"size\":1e999,\"colour\":\"red\"}}".into(), 400, "malformed-json"),
        (&table, v1, "{\"row\":{\"size\":1e300,\"colour\":\"red\"}}".into(), 422, "wrong-input"),
        (&table, v1, "{\"row\":{\"size\":\"inf\",\"colour\":\"red\"}}".into(), 422, "wrong-input"),
        (&table, v1, "{\"row\":{\"size\":[1],\"colour\":\"red\"}}".into(), 422, "wrong-input"),
        (&table, v1, "{\"row\":{\"size\":1}}".into(), 422, "wrong-input"),
        (&table, v1, "{\"row\":[1]}".into(), 422, "wrong-input"),
        (&table, v1, "{\"row\":7}".into(), 422, "wrong-input"),
        (&table, v1, "{\"rows\":{}}".into(), 400, "malformed-json"),
        (&table, v1, "{\"rows\":[[1,\"red\"],[1,\"red\"],[1,\"red\"],[1,\"red\"]]}".into(), 413, "too-many-inputs"),
        (&table, v1, "{\"row\":[1,\"red\"],\"rows\":[]}".into(), 400, "malformed-json"),
        (&table, v1, "{\"image\":\"AAAA\"}".into(), 400, "malformed-json"),
        (&table, v1, "[]".into(), 400, "malformed-json"),
        (&table, v1, "".into(), 400, "malformed-json"),
        (&table, v1, "{\"row\"".into(), 400, "malformed-json"),
        (&table, v1, "\u{0}".into(), 400, "malformed-json"),
        (&table, v1, deep("["), 400, "malformed-json"),
        (&table, v1, deep("{\"a\":"), 400, "malformed-json"),
        (&pictures, v1, "{\"row\":[1]}".into(), 400, "malformed-json"),
        (&pictures, v1, "{\"image\":\"not base64\"}".into(), 422, "wrong-input"),
        (&pictures, v1, "{\"image\":7}".into(), 422, "wrong-input"),
        (&pictures, v1, "{\"image\":\"AAAA\"}".into(), 422, "unreadable-input"),
        (&pictures, v1, "{\"pixels\":[1,2,3]}".into(), 422, "wrong-input"),
        (&pictures, v1, "{\"pixels\":[[1],[2,3]]}".into(), 422, "wrong-input"),
        (&pictures, v1, format!("{{\"pixels\":{}}}", zeros.replacen('0', "256", 1)), 422, "wrong-input"),
        (&pictures, v1, format!("{{\"pixels\":{}}}", zeros.replacen('0', "0.5", 1)), 422, "wrong-input"),
        (&pictures, v1, format!("{{\"pixels\":{}}}", zeros.replacen('0', "null", 1)), 422, "wrong-input"),
        (&pictures, v2, "{}".into(), 400, "malformed-json"),
        (&pictures, v2, "{\"inputs\":[]}".into(), 422, "wrong-input"),
        (&pictures, v2, "{\"inputs\":[7]}".into(), 400, "malformed-json"),
        (&pictures, v2, tensor("[1,8,8]", "UINT8", &zeros), 422, "wrong-input"),
        (&pictures, v2, tensor("[2,1,8,8]", "UINT8", &zeros), 422, "wrong-input"),
        (&pictures, v2, tensor("[18446744073709551615,1,8,8]", "UINT8", &zeros), 413, "too-many-inputs"),
        (&pictures, v2, tensor("[-1,1,8,8]", "UINT8", &zeros), 400, "malformed-json"),
        (&pictures, v2, tensor("[1,1,8,8]", "FP16", &zeros), 422, "wrong-input"),
        (&pictures, v2, tensor("[1,1,8,8]", "FP32", &zeros.replacen('0', "1.5", 1)), 422, "wrong-input"),
        (&pictures, v2, tensor("[1,1,8,8]", "UINT8", "[NaN]"), 400, "malformed-json"),
        (&pictures, v2, tensor("[1,1,8,8]", "UINT8", "\"AAAA\""), 422, "wrong-input"),
        (&pictures, v2, tensor("[1,1,8,8]", "UINT8", &zeros).replace("\"input\"", "\"x\""), 422, "wrong-input"),
        (&pictures, "/v2/models/model/versions/9/infer", tensor("[1,1,8,8]", "UINT8", &zeros), 404, "unknown-version"),
        (&pictures, "/v2/models/other/infer", tensor("[1,1,8,8]", "UINT8", &zeros), 404, "unknown-model"),
    ];
    for (server, path, body, status, problem) in cases {
        let shown: String = body.chars().take(100).collect();
        let answer = server.post(path, "application/json", body.as_bytes());
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{path} {shown}: {}", answer.text());
    }
    lives(&pictures);
    assert_eq!(table.post(v1, "application/json", b"{\"row\":[1,\"red\"]}").status, 200);
    // Columns of the protocol that are none, or of different lengths.
    let columns = |one: &str, other: &str| {
        let body = format!(
            "{{\"inputs\":[{{\"name\":\"size\",\"datatype\":\"FP64\",{one}}},{{\"name\":\"colour\",\"datatype\":\"BYTES\",{other}}}]}}"
        );
        table.post("/v2/models/rows/infer", "application/json", body.as_bytes())
    };
    assert_eq!(columns("\"shape\":[1],\"data\":[1]", "\"shape\":[1],\"data\":[\"red\"]").status, 200);
    for (one, other) in [
        ("\"shape\":[2],\"data\":[1]", "\"shape\":[2],\"data\":[\"red\",\"red\"]"),
        ("\"shape\":[1],\"data\":[1]", "\"shape\":[2],\"data\":[\"red\",\"red\"]"),
        ("\"shape\":[1,2],\"data\":[1]", "\"shape\":[1],\"data\":[\"red\"]"),
        ("\"shape\":[1],\"data\":[\"big\"]", "\"shape\":[1],\"data\":[\"red\"]"),
        ("\"shape\":[1],\"data\":[{}]", "\"shape\":[1],\"data\":[\"red\"]"),
    ] {
        assert_eq!(columns(one, other).problem(), "wrong-input", "{one} {other}");
    }
}

#[test]
fn bad_heads_are_refused_and_the_next_request_is_answered() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let head = |headers: &str| format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    for (headers, status, problem) in [
        (format!("x: {}\r\n", "y".repeat(17_000)), 431, "headers-too-large"),
        ("x: y\r\n".repeat(101), 431, "headers-too-large"),
        ("content-type: \u{ff}\r\n".into(), 200, ""),
    ] {
        let answer = server.send(head(&headers).as_bytes());
        assert_eq!(answer.status, status);
        assert!(status == 200 || answer.problem() == problem);
    }
    let target = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(9000));
    assert_eq!(server.send(target.as_bytes()).problem(), "uri-too-long");
    // What hyper refuses before it is a request.
    for (bytes, status) in [
        (head(&format!("x: {}\r\n", "y".repeat(70_000))), 431),
        (head(&"x: y\r\n".repeat(300)), 431),
        ("nonsense\r\n\r\n".into(), 400),
        ("GET / HTTP/9.9\r\n\r\n".into(), 400),
        (head("content-length: 1\r\ncontent-length: 2\r\n"), 400),
        (head("content-length: -1\r\n"), 400),
        (head("transfer-encoding: chunked\r\ntransfer-encoding: x\r\n"), 400),
        ("\u{16}\u{3}\u{1}\u{2}".repeat(50), 400),
    ] {
        let answer = server.send(bytes.as_bytes());
        let problem = if status == 431 { "headers-too-large" } else { "malformed-request" };
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{}", &bytes[..bytes.len().min(60)]);
        lives(&server);
    }
}

#[test]
fn a_body_in_tiny_pieces_is_read_and_a_slow_one_is_not_waited_for() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server =
        scratch.serve("model.safetensors", &["--body-timeout", "1", "--header-timeout", "1", "--max-body", "1K"]);
    let chunked = "POST /v1/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut pieces = chunked.to_owned().into_bytes();
    for byte in pgm(1) {
        pieces.extend([b"1\r\n", &[byte][..], b"\r\n"].concat());
    }
    assert_eq!(server.send(&[&pieces[..], b"0\r\n\r\n"].concat()).status, 200);
    assert_eq!(server.send(&[chunked.as_bytes(), b"zz\r\n"].concat()).problem(), "malformed-request");
    let endless = [chunked.as_bytes(), &b"1\r\nx\r\n".repeat(2000)].concat();
    assert_eq!(server.send(&endless).problem(), "body-too-large");

    // Half a body, and then nothing.
    let whole = request("POST", "/v1/predict", &[], &pgm(1));
    let mut slow = server.connect();
    slow.write_all(&whole[..whole.len() - 5]).unwrap();
    let refused = answer(&mut slow).unwrap();
    assert_eq!(
        (refused.status, refused.problem(), refused.header("connection")),
        (408, "body-timeout".into(), Some("close"))
    );
    assert_eq!(slow.read(&mut [0]).unwrap_or(0), 0, "the connection is closed");

    // Half a head, or none: closed.
    for sent in [&b"GET /healthz HTT"[..], b""] {
        let mut slow = server.connect();
        slow.write_all(sent).unwrap();
        assert_eq!(slow.read(&mut [0]).unwrap_or(0), 0, "{sent:?}");
    }
    // A client that is gone is no reason to stop.
    for cut in [10, whole.len() - 1] {
        let mut gone = server.connect();
        gone.write_all(&whole[..cut]).unwrap();
        gone.shutdown(Shutdown::Both).unwrap();
    }
    lives(&server);
}

#[test]
fn a_refused_body_is_read_far_enough_for_its_answer_to_arrive() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server =
        scratch.serve_with("model.safetensors", &["--max-body", "1K"], &[("STRIATE_TOKEN", "a-long-enough-token")]);
    let large = vec![0; 4 << 20];
    let with = [("authorization", "Bearer a-long-enough-token")];
    for _ in 0..5 {
        assert_eq!(server.send(&request("POST", "/v1/predict", &with, &large)).problem(), "body-too-large");
        assert_eq!(server.send(&request("POST", "/v1/predict", &[], &large)).problem(), "unauthorized");
    }
    drop(server);
    let server = scratch.serve("model.safetensors", &[]);
    for (method, path, problem) in [
        ("POST", "/v2/models/other/infer", "unknown-model"),
        ("POST", "/v2/models/model/versions/9/infer", "unknown-version"),
        ("POST", "/v1/predict?colour=red", "malformed-request"),
        ("POST", "/v1/explain?steps=0", "malformed-request"),
        ("POST", "/v1", "not-found"),
        ("PUT", "/v1/predict", "method-not-allowed"),
    ] {
        // A client that reads nothing before it has sent everything.
        let mut sending = server.connect();
        sending.write_all(&request(method, path, &[], &large)).unwrap();
        let refused = answer(&mut sending).unwrap();
        assert_eq!((refused.problem().as_str(), refused.header("connection")), (problem, Some("close")), "{path}");
    }
    // One that asks first is told before it sends anything.
    let server =
        scratch.serve_with("model.safetensors", &["--max-body", "1K"], &[("STRIATE_TOKEN", "a-long-enough-token")]);
    let mut asking = server.connect();
    let head = "POST /v1/predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4194304\r\n";
    write!(asking, "{head}authorization: Bearer a-long-enough-token\r\n\r\n").unwrap();
    assert_eq!(answer(&mut asking).unwrap().problem(), "body-too-large");
}

#[test]
fn a_large_picture_is_decoded_beside_the_others_and_not_for_ever() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &["--decode-timeout", "0.01", "--workers", "1"]);
    // 49 million pixels take longer than that.
    let large = whole_png(7000, 7000);
    let answer = server.post("/v1/predict", "image/png", &large);
    assert_eq!((answer.status, answer.problem()), (422, "decode-timeout".into()));
    lives(&server);
    drop(server);
    let server = scratch.serve("model.safetensors", &[]);
    assert_eq!(server.post("/v1/predict", "image/png", &whole_png(600, 500)).status, 200);
}

#[test]
fn more_connections_than_allowed_are_told_so() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &["--max-connections", "3"]);
    let held: Vec<_> = (0..3).map(|_| server.connect()).collect();
    // The three are counted once they are accepted.
    let refused =
        server.until(|| server.try_send(&request("GET", "/healthz", &[], b"")).filter(|answer| answer.status == 503));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["type"], "urn:striate:problem:overloaded");
    drop(held);
    server.until(|| server.try_send(&request("GET", "/healthz", &[], b"")).filter(|answer| answer.status == 200));
    std::thread::sleep(Duration::from_millis(1));
    lives(&server);
}
