//! The beginning and the end of `infer serve`, to the letter: signals that come as soon as it has started, answers that are still being sent when it ends.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use scratch::server::{Running, answer, request};
use scratch::{Scratch, pgm, rows, values};

/// Rows of which none can be predicted: each is answered by a reason, which is longer than the row.
const ROWS: usize = 1 << 16;

/// A client that has asked for more than the buffers of a connection hold, of a server that has answered; and that is to end now.
fn asking_at_the_end(scratch: &Scratch, drain: &str) -> (Running, TcpStream) {
    scratch.model("rows.safetensors", rows(), &values(&["price"]));
    let options = ["--max-inputs", "65536", "--max-body", "64M", "--linger", "0", "--drain", drain];
    let server = scratch.serve("rows.safetensors", &options);
    let table = format!("size,colour\n{}", "very large,red\n".repeat(ROWS));
    let mut client = server.connect();
    client.write_all(&request("POST", "/v1/predict/batch", &[("content-type", "text/csv")], table.as_bytes())).unwrap();
    let logged = server.logged("\"event\":\"request\"");
    let line: serde_json::Value = serde_json::from_str(&logged).unwrap();
    assert!(line["status"] == 200 && line["bytes_out"].as_u64() > Some(6 << 20), "{line}");
    server.signal("TERM");
    server.logged("\"draining\"");
    (server, client)
}

#[test]
fn an_answer_that_is_read_slowly_is_sent_whole_before_the_server_ends() {
    let scratch = Scratch::new();
    let (server, mut client) = asking_at_the_end(&scratch, "50");
    // Longer than a connection without a request is kept at the end.
    std::thread::sleep(Duration::from_secs(3));
    let whole = answer(&mut client).unwrap();
    assert_eq!(whole.json()["predictions"].as_array().unwrap().len(), ROWS);
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log:?}");
}

#[test]
fn an_answer_that_is_not_taken_within_the_time_for_it_is_given_up_and_counted() {
    let scratch = Scratch::new();
    let (server, client) = asking_at_the_end(&scratch, "0.2");
    let (code, log) = server.end();
    assert_eq!(code, Some(1), "{log:?}");
    assert!(log.iter().any(|line| line.contains("1 requests took longer than --drain")), "{log:?}");
    drop(client);
}

#[test]
fn a_signal_that_comes_as_soon_as_the_server_has_started_is_minded() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let send = |server: &Running, signal| {
        kill_process(Pid::from_raw(server.id().cast_signed()).unwrap(), signal).unwrap();
    };
    for _ in 0..20 {
        let server = scratch.serve("model.safetensors", &["--linger", "0"]);
        send(&server, Signal::HUP);
        server.logged("\"reloaded\"");
        assert_eq!(server.post("/v1/predict", "image/png", &pgm(1)).status, 200);
    }
    for _ in 0..20 {
        let server = scratch.serve("model.safetensors", &["--linger", "0"]);
        send(&server, Signal::TERM);
        let (code, log) = server.end();
        assert_eq!(code, Some(0), "{log:?}");
        assert!(log.iter().any(|line| line.contains("\"ended\"")), "{log:?}");
    }
}
