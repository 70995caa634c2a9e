//! Against a server on the loopback, good and hostile. No test waits for a clock: what must time out has a short limit.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::manifest::Member;

/// Answers one connection.
type Reply = Box<dyn FnOnce(&mut TcpStream) + Send>;

/// Answers connections by `replies` in turn, and then no more; the requests as they come.
fn serve(replies: Vec<Reply>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let _ = sender.send(String::from_utf8(request).unwrap().to_lowercase());
            reply(&mut stream);
        }
    });
    (address, requests)
}

/// A reply with this status line, these headers and this body; the client may hang up before it has all.
fn reply(status: &str, headers: &str, body: &[u8]) -> Reply {
    let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Box::new(move |stream| drop(stream.write_all(&bytes)))
}

fn whole(body: &[u8]) -> Reply {
    reply("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// The first `count` bytes of `body`, under the promise of all of it.
fn cut(body: &[u8], count: usize) -> Reply {
    reply("200 OK", &format!("Content-Length: {}\r\n", body.len()), &body[..count])
}

fn rest(body: &[u8], from: usize) -> Reply {
    let (last, length) = (body.len() - 1, body.len() - from);
    let headers = format!("Content-Range: bytes {from}-{last}/{}\r\nContent-Length: {length}\r\n", body.len());
    reply("206 Partial Content", &headers, &body[from..])
}

fn body() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn wanted(address: &str, body: &[u8]) -> Download {
    let sha256 = download::hash(body).unwrap();
    Download { url: format!("{address}/set/data.gz"), bytes: body.len() as u64, sha256, members: vec![] }
}

fn options() -> Options {
    Options {
        connect: Duration::from_secs(5),
        stall: Duration::from_secs(10),
        retries: 2,
        pause: Duration::from_millis(1),
        proxy: false,
        ..Options::default()
    }
}

/// Fetches `wanted` and returns the result with all that was said but progress.
fn fetched(wanted: &Download, folder: &TempDir, options: &Options) -> (Result<(), Error>, Vec<String>) {
    let mut said = Vec::new();
    let result = fetch(std::slice::from_ref(wanted), folder.path(), options, &mut |event| match event {
        Event::Progress { done, bytes } => assert!(done <= bytes),
        event => said.push(format!("{event:?}")),
    });
    (result, said)
}

fn names(folder: &TempDir) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn read(folder: &TempDir, name: &str) -> Vec<u8> {
    std::fs::read(folder.path().join(name)).unwrap()
}

#[test]
fn a_file_comes_whole_and_only_once() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let (address, requests) = serve(vec![whole(&body)]);
    let wanted = wanted(&address, &body);
    let (result, said) = fetched(&wanted, &folder, &options());
    result.unwrap();
    assert_eq!(said, [r#"Started { file: "data.gz", done: 0, bytes: 200000 }"#, r#"Done("data.gz")"#]);
    assert_eq!((read(&folder, "data.gz"), names(&folder)), (body, vec!["data.gz".to_owned()]));
    let request = requests.recv().unwrap();
    assert!(request.contains("accept-encoding: identity") && !request.contains("range:"), "{request}");
    // The server answers no second time.
    let (result, said) = fetched(&wanted, &folder, &options());
    result.unwrap();
    assert_eq!(said, [r#"Present("data.gz")"#]);
}

#[test]
fn a_file_that_rotted_is_fetched_anew() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let (address, _requests) = serve(vec![whole(&body)]);
    let mut rotten = body.clone();
    rotten[17] ^= 1;
    std::fs::write(folder.path().join("data.gz"), rotten).unwrap();
    fetched(&wanted(&address, &body), &folder, &options()).0.unwrap();
    assert_eq!(read(&folder, "data.gz"), body);
}

#[test]
fn a_connection_that_is_cut_is_gone_on_with() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let (address, requests) = serve(vec![cut(&body, 70_000), rest(&body, 70_000)]);
    let (result, said) = fetched(&wanted(&address, &body), &folder, &options());
    result.unwrap();
    assert_eq!(read(&folder, "data.gz"), body);
    assert!(said[1].starts_with("Retry") && said[2].contains("done: 70000"), "{said:?}");
    assert!(!requests.recv().unwrap().contains("range:"));
    assert!(requests.recv().unwrap().contains("range: bytes=70000-\r\n"));
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_gave_up() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let (address, _requests) = serve(vec![cut(&body, 1000), rest(&body, 1000)]);
    let (wanted, patient) = (wanted(&address, &body), options());
    let (result, _) = fetched(&wanted, &folder, &Options { retries: 0, ..options() });
    assert!(matches!(result, Err(Error::Network { attempts: 1, .. })), "{result:?}");
    assert_eq!(names(&folder), ["data.gz.part"]);
    fetched(&wanted, &folder, &patient).0.unwrap();
    assert_eq!((read(&folder, "data.gz"), names(&folder)), (body, vec!["data.gz".to_owned()]));
}

#[test]
fn servers_that_know_no_ranges_send_everything_anew() {
    let body = body();
    let refusal = || reply("416 Range Not Satisfiable", "Content-Length: 0\r\n", b"");
    let elsewhere = || {
        let headers = format!("Content-Range: bytes 5-{}/{}\r\nContent-Length: {}\r\n", body.len() - 1, body.len(), 10);
        reply("206 Partial Content", &headers, &body[5..15])
    };
    for replies in [vec![whole(&body)], vec![refusal(), whole(&body)], vec![elsewhere(), whole(&body)]] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("data.gz.part"), &body[..500]).unwrap();
        let (address, requests) = serve(replies);
        fetched(&wanted(&address, &body), &folder, &options()).0.unwrap();
        assert_eq!(read(&folder, "data.gz"), body);
        assert!(requests.recv().unwrap().contains("range: bytes=500-"));
    }
}

#[test]
fn a_part_that_is_whole_spoilt_or_too_long_is_told_apart() {
    let body = body();
    let mut spoilt = body[..500].to_vec();
    spoilt[3] ^= 1;
    for (part, replies) in [
        (body.clone(), vec![]),
        (spoilt, vec![rest(&body, 500), whole(&body)]),
        ([&body[..], b"more"].concat(), vec![whole(&body)]),
    ] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("data.gz.part"), part).unwrap();
        let (address, _requests) = serve(replies);
        fetched(&wanted(&address, &body), &folder, &options()).0.unwrap();
        assert_eq!((read(&folder, "data.gz"), names(&folder)), (body.clone(), vec!["data.gz".to_owned()]));
    }
}

#[test]
fn a_wrong_checksum_leaves_nothing_behind() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let mut other = body.clone();
    other[100] ^= 1;
    let (address, _requests) = serve(vec![whole(&other)]);
    let wanted = wanted(&address, &body);
    let (result, _) = fetched(&wanted, &folder, &options());
    let message = result.unwrap_err().to_string();
    assert!(message.contains(&wanted.sha256) && message.contains(&download::hash(&*other).unwrap()), "{message}");
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[test]
fn more_than_was_announced_is_refused_at_once() {
    let body = body();
    let long = [&body[..], b"and more"].concat();
    let chunked = {
        let mut chunked = format!("{:x}\r\n", long.len()).into_bytes();
        chunked.extend_from_slice(&long);
        chunked.extend_from_slice(b"\r\n0\r\n\r\n");
        reply("200 OK", "Transfer-Encoding: chunked\r\n", &chunked)
    };
    // An announced length, one that is only seen as it comes, and a size in the range that isn't ours.
    for (have, reply) in [(0, whole(&long)), (0, reply("200 OK", "", &long)), (0, chunked), (9, rest(&long, 9))] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("data.gz.part"), &body[..have]).unwrap();
        let (address, _requests) = serve(vec![reply]);
        let (result, _) = fetched(&wanted(&address, &body), &folder, &options());
        assert!(matches!(&result, Err(Error::Unexpected { expected, .. }) if expected == "200000 bytes"), "{result:?}");
        assert!(!folder.path().join("data.gz").exists());
    }
}

#[test]
fn a_shorter_file_than_expected_is_refused_before_it_comes() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let (address, _requests) = serve(vec![whole(&body[..100])]);
    let error = fetched(&wanted(&address, &body), &folder, &options()).0.unwrap_err();
    assert!(error.to_string().contains("expected 200000 bytes, found 100"), "{error}");
}

#[test]
fn a_missing_page_ends_it_and_a_passing_fault_does_not() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let missing = || reply("404 Not Found", "Content-Length: 4\r\n", b"gone");
    let (address, requests) = serve(vec![missing(), whole(&body)]);
    let (result, said) = fetched(&wanted(&address, &body), &folder, &options());
    assert!(result.as_ref().unwrap_err().to_string().contains("found HTTP 404"), "{result:?}");
    assert!(said.is_empty() && requests.iter().take(1).count() == 1);
    assert_eq!(result.unwrap_err().exit_code(), 3);

    let fault = || reply("503 Service Unavailable", "Content-Length: 0\r\n", b"");
    let (address, _requests) = serve(vec![fault(), fault(), whole(&body)]);
    let (result, said) = fetched(&wanted(&address, &body), &folder, &options());
    result.unwrap();
    assert_eq!(said.iter().filter(|said| said.starts_with("Retry")).count(), 2);

    let (address, requests) = serve(vec![fault(), fault(), fault(), whole(&body)]);
    std::fs::remove_file(folder.path().join("data.gz")).unwrap();
    let (result, _) = fetched(&wanted(&address, &body), &folder, &options());
    assert!(matches!(result, Err(Error::Network { attempts: 3, .. })), "{result:?}");
    assert_eq!(requests.iter().take(3).count(), 3);
}

#[test]
fn a_stalled_connection_is_given_up_and_gone_on_with() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    let beginning = [&head[..], &body[..300]].concat();
    let stall: Reply = Box::new(move |stream| {
        stream.write_all(&beginning).unwrap();
        // Holds the connection open until the client has hung up.
        while stream.read(&mut [0]).is_ok_and(|count| count > 0) {}
    });
    let (address, requests) = serve(vec![stall, rest(&body, 300)]);
    let impatient = Options { stall: Duration::from_millis(300), ..options() };
    fetched(&wanted(&address, &body), &folder, &impatient).0.unwrap();
    assert_eq!(read(&folder, "data.gz"), body);
    assert!(requests.iter().nth(1).unwrap().contains("range: bytes=300-"));
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let turn = |to: &str| reply("302 Found", &format!("Location: {to}\r\nContent-Length: 0\r\n"), b"");
    let (address, requests) = serve(vec![turn("/elsewhere"), whole(&body)]);
    fetched(&wanted(&address, &body), &folder, &options()).0.unwrap();
    assert!(requests.iter().nth(1).unwrap().starts_with("get /elsewhere"));

    let (address, _requests) = serve((0..20).map(|_| turn("/set/data.gz")).collect());
    let folder = TempDir::new().unwrap();
    let (result, _) = fetched(&wanted(&address, &body), &folder, &Options { redirects: 3, ..options() });
    assert!(result.unwrap_err().to_string().contains("expected at most 3 redirects, found more"));
}

#[test]
fn a_server_that_is_not_there_or_speaks_no_http_is_a_network_error() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let (address, _requests) = serve(vec![]);
    std::thread::yield_now();
    let gone =
        fetched(&wanted(&address, &body), &folder, &Options { stall: Duration::from_millis(300), ..options() }).0;
    assert!(matches!(gone, Err(Error::Network { .. })), "{gone:?}");
    let babble = || -> Reply { Box::new(|stream| drop(stream.write_all(b"SSH-2.0-hello\r\n\r\n"))) };
    let (address, _requests) = serve(vec![babble(), babble(), babble()]);
    let babbled = fetched(&wanted(&address, &body), &folder, &options()).0;
    assert!(matches!(babbled, Err(Error::Network { .. })), "{babbled:?}");
}

#[test]
fn two_processes_do_not_write_one_file() {
    let (body, folder) = (body(), TempDir::new().unwrap());
    let other = std::fs::File::create(folder.path().join("data.gz.part")).unwrap();
    other.try_lock().unwrap();
    let (result, _) = fetched(&wanted("http://127.0.0.1:1", &body), &folder, &options());
    assert!(matches!(result, Err(Error::Busy { .. })), "{result:?}");
}

/// A `.tar.gz` of entries: name, kind, content.
fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the crate's own setter refuses the names that these tests are about.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn wanted_archive(address: &str, bytes: &[u8]) -> Download {
    let members = vec![
        Member { path: "set/train.bin".into(), bytes: Some(6) },
        Member { path: "set/names.txt".into(), bytes: None },
    ];
    Download { url: format!("{address}/set.tar.gz"), members, ..wanted(address, bytes) }
}

use tar::EntryType::{Directory, Link, Regular, Symlink};

#[test]
fn an_archive_is_unpacked_and_only_what_is_wanted_stays() {
    let bytes = archive(&[
        ("set/", Directory, b""),
        ("set/names.txt", Regular, b"cat\ndog\n"),
        ("set/readme.html", Regular, b"hello"),
        ("set/train.bin", Regular, b"pixels"),
    ]);
    let folder = TempDir::new().unwrap();
    let (address, _requests) = serve(vec![whole(&bytes), whole(&bytes)]);
    let wanted = wanted_archive(&address, &bytes);
    fetched(&wanted, &folder, &options()).0.unwrap();
    assert_eq!(names(&folder), ["names.txt", "set.tar.gz.sha256", "train.bin"]);
    assert_eq!((read(&folder, "train.bin"), read(&folder, "names.txt")), (b"pixels".to_vec(), b"cat\ndog\n".to_vec()));
    assert_eq!(fetched(&wanted, &folder, &options()).1, [r#"Present("set.tar.gz")"#]);
    // What rotted since is noticed, though its size is right.
    std::fs::write(folder.path().join("train.bin"), "pixelz").unwrap();
    fetched(&wanted, &folder, &options()).0.unwrap();
    assert_eq!(read(&folder, "train.bin"), b"pixels");
}

#[test]
fn a_hostile_archive_writes_nothing() {
    let good: [(&str, tar::EntryType, &[u8]); 2] =
        [("set/names.txt", Regular, b"cat\n"), ("set/train.bin", Regular, b"pixels")];
    let with = |name: &'static str, kind, content: &'static [u8]| archive(&[good[0], good[1], (name, kind, content)]);
    let big = vec![0; 2 << 20];
    let bomb = vec![0; 24 << 20];
    let truncated = {
        let bytes = archive(&good);
        bytes[..bytes.len() / 2].to_vec()
    };
    for (bytes, what) in [
        (with("../escaped.txt", Regular, b"out"), "leads out of its folder"),
        (with("/tmp/escaped.txt", Regular, b"out"), "leads out of its folder"),
        (with("set/../../escaped.txt", Regular, b"out"), "leads out of its folder"),
        (with("set/link", Symlink, b""), "neither file nor folder"),
        (with("set/link", Link, b""), "neither file nor folder"),
        (with("set/pipe", tar::EntryType::Fifo, b""), "neither file nor folder"),
        (with("set/train.bin", Regular, b"pixels"), "is in it twice"),
        (archive(&[good[0]]), "expected `set/train.bin` in it"),
        (archive(&[good[0], ("set/train.bin", Regular, b"pixel")]), "expected 6 bytes, found 5"),
        (archive(&[good[0], ("set/train.bin", Regular, b"pixels!")]), "expected at most 6 bytes"),
        (archive(&[good[1], ("set/names.txt", Regular, &big)]), "expected at most 1048576 bytes"),
        (archive(&[("set/bomb", Regular, &bomb), good[0], good[1]]), "not a whole archive of at most"),
        (archive(&[("set/train.bin", Directory, b""), good[0]]), "is no file"),
        (truncated, "set.tar.gz`"),
        (b"no archive at all".to_vec(), "not a whole archive"),
    ] {
        let folder = TempDir::new().unwrap();
        let (address, _requests) = serve(vec![whole(&bytes)]);
        let (result, _) = fetched(&wanted_archive(&address, &bytes), &folder, &options());
        let message = result.unwrap_err().to_string();
        assert!(message.contains(what), "{message}, expected: {what}");
        assert_eq!(names(&folder), ["set.tar.gz"], "{what}");
    }
}
