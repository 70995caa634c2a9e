//! A client that loads a server: `load ADDRESS FILE` sends FILE to /v1/predict over and over, and prints what came back as one line of JSON. With `--rate` requests
//! have their times, and a latency counts from there: a server that is late for one is late for those behind it, too. `xtask/peers/serving.py` runs it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

#[derive(Clone, Debug, Parser)]
struct Load {
    /// Where the server listens
    address: SocketAddr,
    /// What is sent
    file: PathBuf,
    #[arg(long, default_value = "/v1/predict")]
    path: String,
    /// Connections that are kept open
    #[arg(long, default_value_t = 32)]
    connections: u64,
    /// Requests a second, on all connections together; without it as many as are answered
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Ends after as many requests
    #[arg(long)]
    count: Option<u64>,
    /// Connections that send a byte of their headers each second, beside the others
    #[arg(long, default_value_t = 0)]
    slow: usize,
    /// Ends when nobody listens any more
    #[arg(long)]
    until_refused: bool,
}

/// What happened to requests: microseconds by how they were answered.
#[derive(Default)]
struct Seen {
    good: Vec<u32>,
    refused: Vec<u32>,
    /// Answers with another status than 200 and 503.
    other: u64,
    /// Requests that were sent and not answered.
    lost: u64,
}

fn main() -> anyhow::Result<()> {
    let load = Load::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(load))
}

async fn run(load: Load) -> anyhow::Result<()> {
    let body = std::fs::read(&load.file)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        load.path,
        body.len()
    );
    let request: Arc<[u8]> = [head.as_bytes(), &body].concat().into();
    for _ in 0..load.slow {
        tokio::spawn(dawdle(load.address));
    }
    if load.slow > 0 {
        sleep(Duration::from_secs(1)).await;
    }
    let (started, sent) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clients =
        (0..load.connections).map(|at| tokio::spawn(ask(load.clone(), at, request.clone(), started, sent.clone())));
    let mut seen = Seen::default();
    for client in clients.collect::<Vec<_>>() {
        let one = client.await?;
        seen.good.extend(one.good);
        seen.refused.extend(one.refused);
        seen.other += one.other;
        seen.lost += one.lost;
    }
    let took = started.elapsed().as_secs_f64();
    let summary = json!({
        "seconds": took,
        "good": seen.good.len(),
        "good_per_second": seen.good.len() as f64 / took,
        "good_ms": quantiles(&mut seen.good),
        "refused": seen.refused.len(),
        "refused_ms": quantiles(&mut seen.refused),
        "other": seen.other,
        "lost": seen.lost,
    });
    println!("{summary}");
    Ok(())
}

/// Median, 99th percentile and maximum, in milliseconds.
fn quantiles(micros: &mut [u32]) -> serde_json::Value {
    micros.sort_unstable();
    let at = |share: f64| micros.get(((micros.len() as f64 * share) as usize).min(micros.len().saturating_sub(1)));
    json!([0.5, 0.99, 1.0].map(|share| at(share).map(|&micros| f64::from(micros) / 1e3)))
}

/// One connection's requests, one after the other.
async fn ask(load: Load, index: u64, request: Arc<[u8]>, started: Instant, sent: Arc<AtomicU64>) -> Seen {
    let (mut seen, mut stream, mut buffer) = (Seen::default(), None::<TcpStream>, Vec::new());
    let end = started + Duration::from_secs_f64(load.seconds);
    for turn in 0_u64.. {
        let due =
            load.rate.map(|rate| started + Duration::from_secs_f64((turn * load.connections + index) as f64 / rate));
        if let Some(due) = due {
            sleep_until(due).await;
        }
        let began = due.unwrap_or_else(Instant::now);
        let enough = load.count.is_some_and(|most| sent.fetch_add(1, Ordering::Relaxed) >= most);
        if enough || load.count.is_none() && Instant::now() >= end {
            break;
        }
        if stream.is_none() {
            match TcpStream::connect(load.address).await {
                Ok(open) => stream = open.set_nodelay(true).is_ok().then_some(open),
                Err(_) if load.until_refused => break,
                Err(_) => {
                    seen.lost += 1;
                    sleep(Duration::from_millis(10)).await;
                    continue;
                }
            }
        }
        let Some(open) = &mut stream else { continue };
        let answered = timeout(Duration::from_secs(60), exchange(open, &request, &mut buffer)).await.ok().flatten();
        let micros = began.elapsed().as_micros().min(u32::MAX.into()) as u32;
        match answered {
            Some((200, _)) => seen.good.push(micros),
            Some((503, _)) => seen.refused.push(micros),
            Some(_) => seen.other += 1,
            None => seen.lost += 1,
        }
        if answered.is_none_or(|(_, closes)| closes) {
            stream = None;
        }
    }
    seen
}

/// Sends a request and reads its answer: the status, and whether the connection closes.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Option<(u16, bool)> {
    stream.write_all(request).await.ok()?;
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        if whole.is_none()
            && let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
            whole = Some(head + 4 + length);
        }
    }
    let head = std::str::from_utf8(buffer.get(9..200.min(buffer.len()))?.split(|&byte| byte == b'{').next()?).ok()?;
    let closes = buffer.windows(17).any(|part| part.eq_ignore_ascii_case(b"connection: close"));
    Some((head.get(..3)?.parse().ok()?, closes))
}

/// A client that never comes to an end of its headers.
async fn dawdle(address: SocketAddr) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let mut part: &[u8] = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\nx: ";
            while stream.write_all(part).await.is_ok() {
                part = b"y";
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
