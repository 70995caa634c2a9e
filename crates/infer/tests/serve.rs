//! `infer serve` through its socket: each endpoint answers what `infer predict` answers, and the server is told apart from its requests.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::io::{Read, Write};

use scratch::server::{answer, form, request};
use scratch::{Scratch, labels, pgm, pictures, pixels, rows, values};
use serde_json::{Value, json};

/// What `infer predict` says of the picture of `seed`, under another name.
fn predicted(scratch: &Scratch, seed: u8, source: &str) -> Value {
    scratch.write("one.pgm", pgm(seed));
    let mut line = scratch.infer(&["predict", "model.safetensors", "one.pgm", "--format", "jsonl"]).json().remove(0);
    line["source"] = source.into();
    line
}

#[test]
fn a_picture_is_answered_as_predict_does_however_it_is_sent() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let expected = |source: &str| predicted(&scratch, 7, source);
    for content_type in ["image/x-portable-graymap", "application/octet-stream", "IMAGE/PNG; x=y"] {
        let answer = server.post("/v1/predict", content_type, &pgm(7));
        assert_eq!((answer.status, answer.json()), (200, expected("body")), "{content_type}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let bare = [b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 75\r\n\r\n", &pgm(7)[..]].concat();
    assert_eq!(server.send(&bare).json(), expected("body"));
    let (content_type, body) = form(&[("../../etc/passwd", &pgm(7))]);
    assert_eq!(server.post("/v1/predict", &content_type, &body).json(), expected("../../etc/passwd"));
    for image in [base64(&pgm(7)), format!("data:image/png;base64,{}", base64(&pgm(7)))] {
        let answer = server.post("/v1/predict", "application/json", json!({ "image": image }).to_string().as_bytes());
        assert_eq!(answer.json(), expected("image"));
    }
    let nested: Vec<Vec<u8>> = pixels(7).chunks(8).map(<[u8]>::to_vec).collect();
    for pixels in [json!(pixels(7)), json!(nested), json!([nested])] {
        let answer = server.post("/v1/predict", "application/json", json!({ "pixels": pixels }).to_string().as_bytes());
        assert_eq!(answer.json(), expected("pixels"));
    }
    let top = server.post("/v1/predict?top_k=1", "image/png", &pgm(7)).json();
    assert_eq!(top["topk"].as_array().unwrap().len(), 1);
    assert_eq!(server.post("/v1/predict?top_k=0", "image/png", &pgm(7)).problem(), "malformed-request");
    assert_eq!(server.post("/v1/predict?topk=1", "image/png", &pgm(7)).problem(), "malformed-request");
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letters = bits.as_bytes().chunks(6).map(|six| {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        LETTERS[usize::from_str_radix(&six, 2).unwrap()] as char
    });
    letters.collect()
}

#[test]
fn a_batch_is_answered_in_its_order_with_errors_in_their_place() {
    let scratch = Scratch::new();
    scratch.picture_model();
    // Fewer at once than there are inputs, so that the request goes through in parts.
    let server = scratch.serve("model.safetensors", &["--max-batch", "2"]);
    let files: Vec<(String, Vec<u8>)> = (0..7).map(|seed| (format!("{seed}.pgm"), pgm(seed))).collect();
    let mut parts: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    parts.insert(3, ("bad.png", b"no picture"));
    let (content_type, body) = form(&parts);
    let answer = server.post("/v1/predict/batch", &content_type, &body).json();
    let answers = answer["predictions"].as_array().unwrap();
    assert_eq!((&answer["v"], answers.len()), (&json!(1), 8));
    assert!(answers[3]["error"].as_str().unwrap().contains("bad.png"), "{answer}");
    assert_eq!(answers[3]["source"], "bad.png");
    for seed in [0_u8, 2, 3, 6] {
        let at = usize::from(seed) + usize::from(seed >= 3);
        assert_eq!(answers[at], predicted(&scratch, seed, &format!("{seed}.pgm")));
    }
    let images = json!({ "images": [base64(&pgm(1)), "no base64!", base64(&pgm(2))] });
    let answer = server.post("/v1/predict/batch", "application/json", images.to_string().as_bytes()).json();
    assert_eq!(answer["predictions"][0], predicted(&scratch, 1, "images[0]"));
    assert!(answer["predictions"][1]["error"].as_str().unwrap().contains("base64"));
    assert_eq!(answer["predictions"][2], predicted(&scratch, 2, "images[2]"));
    // The endpoint for one input takes one.
    assert_eq!(server.post("/v1/predict", &content_type, &body).problem(), "malformed-request");
}

#[test]
fn rows_are_answered_as_predict_does_by_name_and_by_place() {
    let scratch = Scratch::new();
    scratch.model("table.safetensors", rows(), &values(&["price"]));
    let server = scratch.serve("table.safetensors", &["--name", "prices"]);
    scratch.write("rows.csv", "size,colour\n2.5,red\n,blue\n");
    let expected = scratch.infer(&["predict", "table.safetensors", "rows.csv", "--format", "jsonl"]).json();
    let post = |path: &str, body: Value| server.post(path, "application/json", body.to_string().as_bytes());

    let one = post("/v1/predict", json!({ "row": { "size": 2.5, "colour": "red" } })).json();
    assert_eq!((&one["values"], &one["source"]), (&expected[0]["values"], &json!("row")));
    let rows = json!({ "rows": [{ "colour": "red", "SIZE": "2.5" }, [null, "blue"], [null, "blue", 9]] });
    for path in ["/v1/predict", "/v1/predict/batch"] {
        let many = post(path, rows.clone()).json();
        for (at, like) in [0, 1, 1].into_iter().enumerate() {
            assert_eq!(many["predictions"][at]["values"], expected[like]["values"], "{at}");
            assert_eq!(many["predictions"][at]["source"], format!("rows[{at}]"));
        }
    }
    let csv = server.post("/v1/predict/batch", "text/csv", b"size,colour\n2.5,red\n,blue\nbig,red\n").json();
    assert_eq!(csv["predictions"][1]["values"], expected[1]["values"]);
    assert_eq!(csv["predictions"][1]["source"], "body:3");
    assert!(csv["predictions"][2]["error"].as_str().unwrap().contains("line 4, column `size`"), "{csv}");

    let bad = json!({ "rows": [{ "size": 1, "colour": "red" }, { "size": "big", "colour": "red" }] });
    let refused = post("/v1/predict", bad.clone());
    assert_eq!((refused.status, refused.problem()), (422, "wrong-input".into()));
    assert!(refused.json()["detail"].as_str().unwrap().starts_with("rows[1]: column `size`: expected a number"));
    let placed = post("/v1/predict/batch", bad).json();
    assert!(placed["predictions"][0]["values"]["price"].is_number() && placed["predictions"][1]["error"].is_string());

    let infer = json!({ "id": "7", "inputs": [
        { "name": "size", "datatype": "FP64", "shape": [2], "data": [2.5, null] },
        { "name": "colour", "datatype": "BYTES", "shape": [2, 1], "data": [["red"], ["blue"]] },
    ] });
    let answer = post("/v2/models/prices/infer", infer).json();
    let found: Vec<f64> =
        answer["outputs"][0]["data"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let wanted: Vec<f64> = expected.iter().map(|line| line["values"]["price"].as_f64().unwrap()).collect();
    assert_eq!((found, &answer["id"], &answer["outputs"][0]["shape"]), (wanted, &json!("7"), &json!([2, 1])));
}

#[test]
fn the_inference_protocol_answers_the_same_in_bytes_and_in_floats() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let about = server.get("/v2/models/model").json();
    assert_eq!(about["inputs"], json!([{ "name": "input", "datatype": "UINT8", "shape": [-1, 1, 8, 8] }]));
    let version = about["versions"][0].as_str().unwrap().to_owned();
    assert_eq!(server.get("/v2/models/model/ready").json()["ready"], true);
    assert_eq!(server.get(&format!("/v2/models/model/versions/{version}/ready")).status, 200);
    assert_eq!(server.get("/v2").json()["name"], "striate");

    let bytes: Vec<u8> = [pixels(1), pixels(2)].concat();
    let floats: Vec<f64> = bytes.iter().map(|&byte| f64::from(byte) / 255.0).collect();
    let ask = |datatype: &str, data: Value, path: &str| {
        let input = json!({ "name": "input", "datatype": datatype, "shape": [2, 1, 8, 8], "data": data });
        server.post(path, "application/json", json!({ "inputs": [input] }).to_string().as_bytes()).json()
    };
    let answer = ask("UINT8", json!(bytes), &format!("/v2/models/model/versions/{version}/infer"));
    assert_eq!((&answer["model_name"], &answer["model_version"]), (&json!("model"), &json!(version)));
    let same = ask("FP32", json!(floats), "/v2/models/model/infer");
    for (at, seed) in [1_u8, 2].into_iter().enumerate() {
        let expected = predicted(&scratch, seed, "");
        assert_eq!(answer["outputs"][1]["data"][at], expected["label"]);
        let index = expected["index"].as_u64().unwrap() as usize;
        let found = answer["outputs"][0]["data"][3 * at + index].as_f64().unwrap();
        let other = same["outputs"][0]["data"][3 * at + index].as_f64().unwrap();
        assert!((found - expected["prob"].as_f64().unwrap()).abs() < 1e-6 && (found - other).abs() < 1e-5);
    }
    for (path, problem) in [
        ("/v2/models/other", "unknown-model"),
        ("/v2/models/..%2f..%2fetc%2fpasswd", "unknown-model"),
        ("/v2/models/model/versions/0", "unknown-version"),
        ("/v2/models/model/versions/0/ready", "unknown-version"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.problem()), (404, problem.into()), "{path}");
        assert!(answer.json()["error"].is_string(), "clients of the protocol look there");
    }
}

#[test]
fn an_answer_is_explained_for_the_class_that_is_asked_for() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let explain = |query: &str| server.post(&format!("/v1/explain{query}"), "image/png", &pgm(7));
    let mut usual = explain("").json();
    assert_eq!((&usual["method"], &usual["explained"]["name"]), (&json!("occlusion"), &usual["label"]));
    assert_eq!((&usual["heat"]["height"], usual["heat"]["values"].as_array().unwrap().len()), (&json!(8), 64));
    assert_eq!(usual["framing"]["picture"], json!([8, 8]));
    let predicted = predicted(&scratch, 7, "body");
    for key in ["v", "source", "label", "prob", "topk"] {
        assert_eq!(usual[key].take(), predicted[key], "{key}");
    }
    let emu = explain("?class=emu&method=integrated-gradients&steps=8&baseline=black").json();
    assert_eq!((&emu["explained"]["index"], &emu["steps"]), (&json!(2), &json!(8)));
    assert!(emu["heat"]["values"].as_array().unwrap().iter().any(|value| value.as_f64() != Some(0.0)));
    for (query, words) in [
        ("?class=cow", "none called `cow`"),
        ("?method=magic", "magic"),
        ("?method=grad-cam", "convolution"),
        ("?steps=0", "from 1 to 256"),
        ("?colour=red", "class, method"),
    ] {
        let refused = explain(query);
        assert_eq!((refused.status, refused.problem()), (400, "malformed-request".into()), "{query}");
        assert!(refused.json()["detail"].as_str().unwrap().contains(words), "{query}: {}", refused.text());
    }
    assert_eq!(server.post("/v1/explain", "image/png", b"no picture").problem(), "unreadable-input");

    scratch.model("table.safetensors", rows(), &values(&["price"]));
    let server = scratch.serve("table.safetensors", &[]);
    let row = json!({ "row": { "size": 2.5, "colour": "red" } }).to_string();
    let row = server.post("/v1/explain", "application/json", row.as_bytes()).json();
    assert_eq!((&row["columns"][1]["column"], &row["columns"][1]["value"]), (&json!("colour"), &json!("red")));
    assert!(row["columns"][0]["contribution"].is_number() && row["values"]["price"].is_number(), "{row}");
}

#[test]
fn labels_are_answered_each() {
    let scratch = Scratch::new();
    scratch.model("labels.safetensors", pictures(), &labels(&["wet", "cold"]));
    let server = scratch.serve("labels.safetensors", &[]);
    scratch.write("one.pgm", pgm(3));
    let expected = scratch.infer(&["predict", "labels.safetensors", "one.pgm", "--format", "jsonl"]).json();
    let found = server.post("/v1/predict", "image/png", &pgm(3)).json();
    assert_eq!((&found["probs"], &found["labels"]), (&expected[0]["probs"], &expected[0]["labels"]));
}

#[test]
fn the_server_says_what_it_is_and_how_it_fares() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    for path in ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let about = server.get("/v1/model").json();
    assert_eq!((&about["name"], &about["task"]), (&json!("model"), &json!("classification")));
    assert_eq!(about["names"], json!(["cat", "dog", "emu"]));
    let first = server.post("/v1/predict", "image/png", &pgm(1));
    assert_eq!(first.header("x-model-version"), about["version"].as_str());
    server.post("/v1/predict", "text/plain", b"x");
    assert_eq!(server.figure("striate_requests_total{route=\"/v1/predict\",status=\"200\"}"), Some(1.0));
    assert_eq!(server.figure("striate_requests_total{route=\"/v1/predict\",status=\"415\"}"), Some(1.0));
    assert_eq!(server.figure("striate_problems_total{reason=\"unsupported-type\"}"), Some(1.0));
    assert_eq!(server.figure("striate_batch_inputs_count"), Some(1.0));
    assert_eq!(server.figure("striate_model_loads_total{outcome=\"ok\"}"), Some(1.0));
    assert!(server.figure("striate_resident_memory_bytes").unwrap() > 1e6 || !cfg!(target_os = "linux"));
    assert!(server.get("/metrics").text().ends_with("# EOF\n"));

    // Whatever is described is there, and takes the method that the description gives it.
    let described = server.get("/openapi.json").json();
    assert_eq!(described["info"]["version"], about["version"]);
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace("{name}", "model").replace("{version}", about["version"].as_str().unwrap());
            let status = server.send(&request(&method.to_uppercase(), &path, &[], b"")).status;
            assert!(!matches!(status, 404 | 405) && status < 500, "{method} {path}: {status}");
            let other = server.send(&request("DELETE", &path, &[], b""));
            assert_eq!((other.status, other.problem()), (405, "method-not-allowed".into()), "{path}");
            assert!(other.header("allow").unwrap().contains(&method.to_uppercase()), "{path}");
        }
    }
    let page = server.get("/");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'sha256-"));
    let mut head = server.connect();
    head.write_all(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    head.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn every_request_is_logged_with_its_id_and_without_its_content() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve_with("model.safetensors", &[], &[("STRIATE_TOKEN", "a-secret-token")]);
    let (content_type, body) = form(&[("private-name.pgm", &pgm(1))]);
    let headers = [
        ("content-type", content_type.as_str()),
        ("authorization", "Bearer a-secret-token"),
        ("x-request-id", "mine-1.2_3"),
    ];
    let mine = server.send(&request("POST", "/v1/predict?top_k=2", &headers, &body));
    assert_eq!((mine.status, mine.header("x-request-id")), (200, Some("mine-1.2_3")));
    let line: Value = serde_json::from_str(&server.logged("mine-1.2_3")).unwrap();
    assert_eq!(
        (&line["route"], &line["status"], &line["method"]),
        (&json!("/v1/predict"), &json!(200), &json!("POST"))
    );
    assert_eq!(
        (line["bytes_in"].as_u64(), line["bytes_out"].as_u64()),
        (Some(body.len() as u64), Some(mine.body.len() as u64))
    );
    assert!(line["ms"].as_f64().unwrap() > 0.0 && line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    // An id that could forge a line is replaced.
    let forged = server.send(&request("GET", "/healthz", &[("x-request-id", "a\"} {\"status")], b""));
    let id = forged.header("x-request-id").unwrap();
    assert!(id.len() == 16 && id.bytes().all(|letter| letter.is_ascii_hexdigit()), "{id}");
    server.logged(id);
    for secret in ["a-secret-token", "private-name", "top_k"] {
        assert!(!server.log().iter().any(|line| line.contains(secret)), "{secret}");
    }
}

#[test]
fn without_its_token_a_server_only_says_that_it_lives() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("token", "a-token-in-a-file\nignored\n");
    let server = scratch.serve("model.safetensors", &["--token-file", "token"]);
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in ["/v1/model", "/metrics", "/openapi.json", "/nowhere", "/v2"] {
        let refused = server.get(path);
        assert_eq!((refused.status, refused.problem()), (401, "unauthorized".into()), "{path}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let with = |token: &str| server.send(&request("GET", "/v1/model", &[("authorization", token)], b"")).status;
    assert_eq!(with("Bearer a-token-in-a-file"), 200);
    for token in
        ["Bearer a-token-in-a-fil", "Bearer a-token-in-a-filee", "Basic a-token-in-a-file", "a-token-in-a-file"]
    {
        assert_eq!(with(token), 401, "{token}");
    }
    assert_eq!(server.post("/v1/predict", "image/png", &pgm(1)).problem(), "unauthorized");
}

#[test]
fn one_connection_takes_many_requests_also_before_the_first_is_answered() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let mut stream = server.connect();
    let one = request("POST", "/v1/predict", &[("content-type", "image/png")], &pgm(4));
    let expected = predicted(&scratch, 4, "body");
    for _ in 0..50 {
        stream.write_all(&one).unwrap();
        assert_eq!(answer(&mut stream).unwrap().json(), expected);
    }
    stream.write_all(&one.repeat(3)).unwrap();
    // Three answers come in one stream, which is read answer by answer.
    let mut text = Vec::new();
    let mut part = [0; 4096];
    while text.windows(9).filter(|nine| nine == b"HTTP/1.1 ").count() < 3 || !text.ends_with(b"}") {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0);
        text.extend(&part[..count]);
    }
}

#[test]
fn wrong_options_end_with_2_and_a_line() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let taken = scratch.serve("model.safetensors", &[]);
    let address = taken.address.to_string();
    scratch.write("short", "abc");
    for (options, code, words) in [
        (vec!["--bind", address.as_str()], 2, "end the program that uses it, or choose another"),
        (vec!["--bind", "nowhere"], 2, "expected an address and a port"),
        (vec!["--token-file", "short"], 2, "expected a token of at least 8"),
        (vec!["--token-file", "absent"], 3, "absent"),
        (vec!["--max-body", "0"], 2, "expected 1 to 1G bytes"),
        (vec!["--name", "a/b"], 2, "without slashes"),
        (vec!["--coverage", "0.9"], 4, "holds no scores of validation samples"),
    ] {
        let done = scratch.infer(&[&["serve", "model.safetensors"], &options[..]].concat());
        assert_eq!(done.code, code, "{options:?}: {done:?}");
        assert!(done.err.contains(words) && done.err.lines().count() == 1 && done.out.is_empty(), "{done:?}");
    }
    let absent = scratch.infer(&["serve", "absent.safetensors", "--bind", "127.0.0.1:0"]);
    assert_eq!(absent.code, 4, "{absent:?}");
}
