//! The life of `infer serve` under load: another model in the place of the first, more requests than it takes, and its end. No request that it has taken
//! on is lost.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use models::ModelFile;
use scratch::server::{Answer, LONG, Running, answer, form, request};
use scratch::{Scratch, device, pgm};
use serde_json::Value;

/// Clients that ask one thing after the other, each on a connection that it keeps.
const CLIENTS: usize = 8;

/// Tells the clients that it is enough when it goes: also when a test fails, so that nobody waits for them.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The model's classes under other names, in the place of the model.
fn rename(scratch: &Scratch, names: [&str; 3]) {
    let path = scratch.path().join("model.safetensors");
    let mut file = ModelFile::load(&path, &device()).unwrap();
    file.task["classes"] = serde_json::json!(names);
    file.save(&path).unwrap();
}

fn connect(server: &Running) -> Option<TcpStream> {
    let stream = TcpStream::connect(server.address).ok()?;
    stream.set_read_timeout(Some(LONG)).unwrap();
    Some(stream)
}

/// Asks until nobody accepts connections any more, or `enough`; every answer goes to `check`. How many times a connection ended without one.
fn ask(server: &Running, enough: &AtomicBool, check: impl Fn(&Answer)) -> usize {
    ask_with(&picture(&pgm(1)), server, enough, check)
}

fn picture(bytes: &[u8]) -> Vec<u8> {
    request("POST", "/v1/predict", &[("content-type", "image/png")], bytes)
}

/// The same with another request.
fn ask_with(bytes: &[u8], server: &Running, enough: &AtomicBool, check: impl Fn(&Answer)) -> usize {
    let mut unanswered = 0;
    while let Some(mut stream) = connect(server) {
        loop {
            if enough.load(Ordering::Relaxed) {
                return unanswered;
            }
            let answered = stream.write_all(bytes).ok().and_then(|()| answer(&mut stream));
            let Some(answered) = answered else {
                unanswered += 1;
                break;
            };
            check(&answered);
            if answered.header("connection") == Some("close") {
                break;
            }
        }
    }
    unanswered
}

/// Answers by the version that they say they are of.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Seen {
    fn note(&self, answer: &Answer) {
        assert_eq!(answer.status, 200, "{answer:?}");
        let version = answer.header("x-model-version").unwrap().to_owned();
        let labels = answer.json()["predictions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["label"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>();
        self.0.lock().unwrap().entry(version).or_default().extend(labels);
    }

    /// The names that answers of each version may have: those of one model.
    fn check(self, models: [[&str; 3]; 2]) {
        let seen = self.0.into_inner().unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        for (version, labels) in &seen {
            let of_one = models.iter().any(|names| labels.iter().all(|label| names.contains(&label.as_str())));
            assert!(of_one, "{version} answered as two models: {labels:?}");
        }
    }
}

#[test]
fn model_and_version_of_an_answer_change_together() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &["--watch", "0"]);
    // So many that most of a client's time lies between the beginning of a request and its answer: that is when the model is swapped.
    let files: Vec<(String, Vec<u8>)> = (0..=255).map(|seed| (seed.to_string(), pgm(seed))).collect();
    let (content_type, body) = form(&files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect::<Vec<_>>());
    let batch = request("POST", "/v1/predict/batch", &[("content-type", content_type.as_str())], &body);
    let (enough, seen) = (AtomicBool::new(false), Seen::default());
    let (old, new) = (["cat", "dog", "emu"], ["one", "two", "three"]);
    let loads = || server.figure("striate_model_loads_total{outcome=\"ok\"}").unwrap();
    thread::scope(|scope| {
        let _enough = Enough(&enough);
        for _ in 0..CLIENTS {
            let (server, enough, seen, batch) = (&server, &enough, &seen, &batch);
            scope.spawn(move || assert_eq!(ask_with(batch, server, enough, |answer| seen.note(answer)), 0));
        }
        for turn in 0..6 {
            let before = loads();
            rename(&scratch, if turn % 2 == 0 { new } else { old });
            server.signal("HUP");
            server.until(|| (loads() > before).then_some(()));
        }
    });
    seen.check([old, new]);
}

#[test]
fn a_file_that_could_not_be_read_is_tried_again_although_it_looks_the_same() {
    let scratch = Scratch::new();
    let path = scratch.picture_model();
    let server = scratch.serve("model.safetensors", &["--watch", "0.05"]);
    rename(&scratch, ["one", "two", "three"]);
    server.until(|| (server.get("/v1/model").json()["names"][0] == "one").then_some(()));
    rename(&scratch, ["uno", "dos", "tres"]);
    server.until(|| (server.get("/v1/model").json()["names"][0] == "uno").then_some(()));
    // A reading that fails, and a file that is as it was: what a disk or a network does for a moment.
    let good = std::fs::read(&path).unwrap();
    let (modified, file) = (SystemTime::now(), std::fs::File::options().write(true).open(&path).unwrap());
    let overwrite = |bytes: &[u8]| {
        file.write_all_at(bytes, 0).unwrap();
        file.set_modified(modified).unwrap();
    };
    let mut other = good.clone();
    let at = other.windows(3).position(|three| three == b"uno").unwrap();
    other[at..at + 3].copy_from_slice(b"eno");
    overwrite(&vec![b'x'; good.len()]);
    let failed = || server.figure("striate_model_loads_total{outcome=\"failed\"}");
    server.until(|| (failed() >= Some(3.0)).then_some(()));
    overwrite(&other);
    server.until(|| (server.get("/v1/model").json()["names"][0] == "eno").then_some(()));
    let told = server.log().iter().filter(|line| line.contains("reload_failed")).count();
    assert!((told as f64) < failed().unwrap(), "the same reason isn't told again: {:#?}", server.log());
}

#[test]
fn a_changed_file_and_a_hangup_swap_the_model_without_a_failed_request() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &["--watch", "0.05"]);
    let enough = AtomicBool::new(false);
    let label = || server.post("/v1/predict", "image/png", &pgm(1)).json()["label"].as_str().unwrap().to_owned();
    thread::scope(|scope| {
        let _enough = Enough(&enough);
        for _ in 0..CLIENTS {
            let (server, enough) = (&server, &enough);
            scope.spawn(move || {
                assert_eq!(ask(server, enough, |answer| assert_eq!(answer.status, 200, "{answer:?}")), 0)
            });
        }
        let first = server.get("/v1/model").json()["version"].clone();
        rename(&scratch, ["one", "two", "three"]);
        server.until(|| ["one", "two", "three"].contains(&label().as_str()).then_some(()));
        assert_ne!(server.get("/v1/model").json()["version"], first);
        let event: Value = serde_json::from_str(&server.logged("\"reloaded\"")).unwrap();
        assert_eq!(event["before"], first);

        // What is no model changes nothing, and is told once.
        let good = std::fs::read(scratch.path().join("model.safetensors")).unwrap();
        scratch.write("model.safetensors", &good[..good.len() / 2]);
        server.logged("reload_failed");
        assert!(["one", "two", "three"].contains(&label().as_str()));
        assert!(server.figure("striate_model_loads_total{outcome=\"failed\"}") >= Some(1.0));
        scratch.write("model.safetensors", &good);
        server.until(|| (server.figure("striate_model_loads_total{outcome=\"ok\"}") >= Some(3.0)).then_some(()));
    });
    drop(server);

    let server = scratch.serve("model.safetensors", &["--watch", "0"]);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let _enough = Enough(&enough);
        for _ in 0..CLIENTS {
            let (server, enough) = (&server, &enough);
            scope.spawn(move || assert_eq!(ask(server, enough, |answer| assert_eq!(answer.status, 200)), 0));
        }
        rename(&scratch, ["uno", "dos", "tres"]);
        thread::sleep(std::time::Duration::from_millis(100));
        assert!(!server.log().iter().any(|line| line.contains("reloaded")), "nothing looks at the file");
        server.signal("HUP");
        server.logged("reloaded");
        let label = server.post("/v1/predict", "image/png", &pgm(1)).json()["label"].as_str().unwrap().to_owned();
        assert!(["uno", "dos", "tres"].contains(&label.as_str()), "{label}");
    });
}

#[test]
fn no_request_that_was_taken_on_is_lost_when_the_server_ends() {
    let scratch = Scratch::new();
    scratch.picture_model();
    for signal in ["TERM", "INT"] {
        let server = scratch.serve("model.safetensors", &["--linger", "0.1"]);
        let (enough, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let unanswered: usize = thread::scope(|scope| {
            let _enough = Enough(&enough);
            let asking: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let check = |answer: &Answer| {
                        assert_eq!(answer.status, 200, "{answer:?}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    };
                    let (server, enough) = (&server, &enough);
                    scope.spawn(move || ask(server, enough, check))
                })
                .collect();
            server.until(|| (answered.load(Ordering::Relaxed) > 200).then_some(()));
            server.signal(signal);
            asking.into_iter().map(|client| client.join().unwrap()).sum()
        });
        let (code, log) = server.end();
        assert_eq!(code, Some(0), "{signal}");
        let statuses: Vec<Value> = log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["event"] == "request")
            .map(|line| line["status"].clone())
            .collect();
        // Every request that was read was answered, and the answer arrived.
        assert!(statuses.iter().all(|status| status == 200), "{statuses:?}");
        assert_eq!(statuses.len(), answered.into_inner());
        // What the system accepted in the moment when nobody listened any more was never the server's: at most one connection of each client.
        assert!(unanswered <= CLIENTS, "{unanswered} connections ended without an answer");
        assert!(log.iter().any(|line| line.contains("\"draining\"")));
    }
}

#[test]
fn a_server_that_ends_says_so_first_and_gives_up_what_takes_too_long() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &["--linger", "5", "--drain", "0.2", "--body-timeout", "60"]);
    let mut slow = server.connect();
    slow.write_all(b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n").unwrap();
    server.until(|| (server.figure("striate_requests_in_flight") >= Some(2.0)).then_some(()));
    server.signal("TERM");
    let refused = server.until(|| Some(server.get("/readyz")).filter(|answer| answer.status == 503));
    assert_eq!((refused.problem(), refused.header("retry-after")), ("draining".into(), Some("1")));
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.post("/v1/predict", "image/png", &pgm(1)).status, 200, "it still answers");
    let (code, log) = server.end();
    assert_eq!(code, Some(1), "{log:?}");
    assert!(log.iter().any(|line| line.contains("1 requests took longer than --drain")), "{log:?}");
}

#[test]
fn what_is_too_much_is_refused_soon_and_may_come_again() {
    let scratch = Scratch::new();
    scratch.picture_model();
    // Eight of these take longer to decode, one after the other, than a request waits for its turn.
    let large = [b"P5\n7000 7000\n255\n".to_vec(), vec![7; 49_000_000]].concat();
    for (options, picture) in [(["--max-requests", "1"], large), (["--queue", "1"], pgm(1))] {
        let server = scratch.serve(
            "model.safetensors",
            &[&options[..], &["--max-batch", "1", "--max-body", "64M", "--decode-timeout", "60"]].concat(),
        );
        let (enough, refused, sent) = (AtomicBool::new(false), AtomicUsize::new(0), self::picture(&picture));
        thread::scope(|scope| {
            let _enough = Enough(&enough);
            for _ in 0..CLIENTS {
                let check = |answer: &Answer| {
                    if answer.status == 200 {
                        return;
                    }
                    assert_eq!((answer.status, answer.problem().as_str()), (503, "overloaded"));
                    assert_eq!(answer.header("retry-after"), Some("1"));
                    refused.fetch_add(1, Ordering::Relaxed);
                };
                let (server, enough, sent) = (&server, &enough, &sent);
                scope.spawn(move || assert_eq!(ask_with(sent, server, enough, check), 0));
            }
            server.until(|| (refused.load(Ordering::Relaxed) > 0).then_some(()));
        });
        assert_eq!(server.post("/v1/predict", "image/png", &pgm(1)).status, 200, "{options:?}");
    }
}

#[test]
fn inputs_of_different_requests_go_through_the_network_together() {
    let scratch = Scratch::new();
    scratch.picture_model();
    let server = scratch.serve("model.safetensors", &[]);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let _enough = Enough(&enough);
        for _ in 0..CLIENTS {
            let (server, enough) = (&server, &enough);
            scope.spawn(move || ask(server, enough, |answer| assert_eq!(answer.status, 200)));
        }
        // Fewer runs than inputs.
        let fewer = || server.figure("striate_batch_inputs_count") < server.figure("striate_batch_inputs_sum");
        server.until(|| fewer().then_some(()));
    });
}
