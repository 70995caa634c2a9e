//! One file over HTTP: streamed to `<file>.part`, resumed where the server lets us, checked, and renamed.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::{Error, Event, Options};
use crate::manifest::Download;

/// A client that never waits for ever.
pub(super) fn agent(options: &Options) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(options.redirects)
        .timeout_resolve(Some(options.connect))
        .timeout_connect(Some(options.connect))
        .timeout_send_request(Some(options.stall))
        .timeout_recv_response(Some(options.stall))
        .timeout_per_read(Some(options.stall))
        // The files are compressed already; a server that compresses them again would change sizes and checksums.
        .accept_encoding("identity")
        .user_agent(concat!("striate/", env!("CARGO_PKG_VERSION")));
    if !options.proxy {
        config = config.proxy(None);
    }
    config.build().new_agent()
}

/// The SHA-256 of what is left of `file`, in lower-case hexadecimal.
pub(super) fn hash(mut file: impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hex(hasher))
}

pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a rename last, where folders can be synced.
pub(super) fn sync_folder(folder: &Path) {
    // Some systems can't open folders: there the rename lasts as their file system has it.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Why an attempt ended.
enum Failure {
    /// Another may do better.
    Passing(String),
    /// No other will.
    Lasting(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// Brings `wanted` into `folder`, unless it is there already.
pub(super) fn file(
    agent: &Agent,
    wanted: &Download,
    folder: &Path,
    options: &Options,
    on_event: &mut dyn FnMut(Event),
) -> Result<(), Error> {
    let (name, place) = (wanted.name(), folder.join(wanted.name()));
    let there = data::open_regular(&place, wanted.bytes).and_then(hash);
    if there.is_ok_and(|found| found == wanted.sha256) {
        on_event(Event::Present(name));
        return Ok(());
    }
    let path = folder.join(format!("{name}.part"));
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut part =
        Part { file: file.map_err(Error::io("create", &path))?, path: &path, wanted, done: 0, hasher: Sha256::new() };
    // Where files can't be locked, two processes at once would only spoil each other's checksum.
    if let Err(TryLockError::WouldBlock) = part.file.try_lock() {
        return Err(Error::Busy { path });
    }
    if let Err(error) = part.complete(agent, options, on_event) {
        let empty = part.done == 0;
        drop(part); // closed: some systems rename and delete no open file
        if empty {
            // An empty part is of no use to anybody; should it stay, it does no harm.
            let _ = std::fs::remove_file(&path);
        }
        return Err(error);
    }
    part.file.sync_all().map_err(Error::io("write", &path))?;
    drop(part);
    std::fs::rename(&path, &place).map_err(Error::io("rename", &path))?;
    sync_folder(folder);
    on_event(Event::Done(name));
    Ok(())
}

/// A file that is not whole yet.
struct Part<'a> {
    file: File,
    path: &'a Path,
    wanted: &'a Download,
    /// The bytes that are there.
    done: u64,
    /// Of those.
    hasher: Sha256,
}

impl Part<'_> {
    /// Attempts until the file is whole, an error is lasting, or patience ends.
    fn complete(&mut self, agent: &Agent, options: &Options, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        for attempt in 1.. {
            match self.attempt(agent, options, on_event) {
                Ok(()) => break,
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Passing(why)) if attempt > options.retries => {
                    return Err(Error::Network { url: self.wanted.url.clone(), why, attempts: attempt });
                }
                Err(Failure::Passing(why)) => on_event(Event::Retry { file: self.wanted.name(), why: &why }),
            }
            std::thread::sleep(options.pause * attempt);
        }
        Ok(())
    }

    /// Tries to complete the file; `Ok` when it is whole and its checksum right.
    fn attempt(&mut self, agent: &Agent, options: &Options, on_event: &mut dyn FnMut(Event)) -> Result<(), Failure> {
        self.read_back()?;
        let resumed = self.done > 0;
        if self.done < self.wanted.bytes {
            let response = self.request(agent, options)?;
            let response = self.accept(response)?;
            let (done, bytes) = (self.done, self.wanted.bytes);
            on_event(Event::Started { file: self.wanted.name(), done, bytes });
            self.receive(response, on_event)?;
        }
        let found = hex(std::mem::take(&mut self.hasher));
        if found == self.wanted.sha256 {
            return Ok(());
        }
        self.restart()?;
        if resumed {
            // The old part may be to blame.
            return Err(Failure::Passing("what was gone on with has a wrong checksum".into()));
        }
        Err(self.unexpected(format!("sha256 {}", self.wanted.sha256), found).into())
    }

    /// Finds out what is there from before.
    fn read_back(&mut self) -> Result<(), Error> {
        self.hasher = Sha256::new();
        self.file.rewind().map_err(Error::io("read", self.path))?;
        self.done = std::io::copy(&mut self.file, &mut self.hasher).map_err(Error::io("read", self.path))?;
        if self.done > self.wanted.bytes { self.restart() } else { Ok(()) }
    }

    /// Throws away what is there.
    fn restart(&mut self) -> Result<(), Error> {
        (self.done, self.hasher) = (0, Sha256::new());
        self.file.set_len(0).map_err(Error::io("write", self.path))?;
        self.file.seek(SeekFrom::Start(0)).map(drop).map_err(Error::io("write", self.path))
    }

    fn request(&self, agent: &Agent, options: &Options) -> Result<Response<Body>, Failure> {
        let left = (self.wanted.bytes - self.done) / options.least_rate.max(1);
        let request =
            agent.get(&self.wanted.url).config().timeout_recv_body(Some(options.stall + Duration::from_secs(left)));
        let mut request = request.build();
        if self.done > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.done));
        }
        request.call().map_err(|error| match error {
            ureq::Error::TooManyRedirects => {
                self.unexpected(format!("at most {} redirects", options.redirects), "more".into()).into()
            }
            ureq::Error::BadUri(_) | ureq::Error::RedirectFailed => {
                self.unexpected("an address".into(), error.to_string()).into()
            }
            error => Failure::Passing(error.to_string()),
        })
    }

    /// Decides by status and headers whether what follows is what was asked for.
    fn accept(&mut self, response: Response<Body>) -> Result<Body, Failure> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let left = self.wanted.bytes - self.done;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if self.done > 0 => {
                let range = header(header::CONTENT_RANGE).unwrap_or_default().to_owned();
                let goes_on = range.starts_with(&format!("bytes {}-", self.done));
                let size = range.rsplit('/').next().and_then(|size| size.parse::<u64>().ok());
                if size.is_some_and(|size| size != self.wanted.bytes) || length.is_some_and(|length| length > left) {
                    return Err(self.unexpected(format!("{} bytes", self.wanted.bytes), range).into());
                }
                if !goes_on {
                    self.restart()?;
                    return Err(Failure::Passing(format!("the server sent another range than asked for: `{range}`")));
                }
            }
            StatusCode::OK => {
                if let Some(length) = length.filter(|length| *length != self.wanted.bytes) {
                    return Err(self.unexpected(format!("{} bytes", self.wanted.bytes), length.to_string()).into());
                }
                // The server knows no ranges: all of it comes again.
                self.restart()?;
            }
            StatusCode::RANGE_NOT_SATISFIABLE if self.done > 0 => {
                self.restart()?;
                return Err(Failure::Passing("the server has no such range".into()));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::Passing(format!("HTTP {}", response.status())));
            }
            status if status.is_server_error() => return Err(Failure::Passing(format!("HTTP {status}"))),
            status => return Err(self.unexpected("the file".into(), format!("HTTP {status}")).into()),
        }
        Ok(response.into_body())
    }

    /// Writes what comes, until all of it is there.
    fn receive(&mut self, body: Body, on_event: &mut dyn FnMut(Event)) -> Result<(), Failure> {
        let (mut reader, bytes) = (body.into_reader(), self.wanted.bytes);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                // All that was promised is there; how the connection ended doesn't matter.
                Err(_) if self.done == bytes => break,
                Err(error) => return Err(Failure::Passing(format!("{error} after {} of {bytes} bytes", self.done))),
            };
            if self.done + count as u64 > bytes {
                self.restart()?;
                return Err(self.unexpected(format!("{bytes} bytes"), "more".into()).into());
            }
            self.file.write_all(&buffer[..count]).map_err(Error::io("write", self.path))?;
            self.hasher.update(&buffer[..count]);
            self.done += count as u64;
            on_event(Event::Progress { done: self.done, bytes });
        }
        if self.done < bytes {
            return Err(Failure::Passing(format!("the connection ended after {} of {bytes} bytes", self.done)));
        }
        Ok(())
    }

    fn unexpected(&self, expected: String, found: String) -> Error {
        Error::Unexpected { url: self.wanted.url.clone(), expected, found }
    }
}
