//! `trainer data fetch`: the only code of the project that touches the network. Downloads what a [`crate::manifest`] lists, and puts a file
//! in its place only when size and SHA-256 are right. One file's download is in `download`, archives in `unpack`.

mod download;
mod unpack;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::stream;
use crate::manifest::{Download, Manifest};

/// How patient a download is.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// To look up the name and connect.
    pub(crate) connect: Duration,
    /// Without a single byte.
    pub(crate) stall: Duration,
    /// Bytes a second below which a download counts as stalled, over the whole of a file.
    pub(crate) least_rate: u64,
    /// Attempts after the first.
    pub(crate) retries: u32,
    /// Before the first further attempt; the second waits twice as long, and so on.
    pub(crate) pause: Duration,
    /// Redirects that are followed.
    pub(crate) redirects: u32,
    /// Whether the proxy of the environment (`HTTPS_PROXY` and the like) is used.
    pub(crate) proxy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            least_rate: 8_000,
            retries: 4,
            pause: Duration::from_secs(2),
            redirects: 5,
            proxy: true,
        }
    }
}

/// What happens to a file, for whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// It is there already, and whole.
    Present(&'a str),
    /// A connection stands; `done` of `bytes` are there from an earlier attempt.
    Started { file: &'a str, done: u64, bytes: u64 },
    /// More of it is there.
    Progress { done: u64, bytes: u64 },
    /// An attempt failed, another follows after a pause.
    Retry { file: &'a str, why: &'a str },
    /// It is whole and in its place.
    Done(&'a str),
    /// What is wanted is being taken out of it.
    Unpacking(&'a str),
}

/// Why there is no data set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The network failed until patience ended.
    #[error(
        "cannot fetch `{url}`: {why} ({attempts} attempts); what has come so far is kept, the same command goes on with it"
    )]
    Network { url: String, why: String, attempts: u32 },
    /// The server won't, or has something else.
    #[error("cannot fetch `{url}`: expected {expected}, found {found}; the publisher may have moved or changed it")]
    Unexpected { url: String, expected: String, found: String },
    /// An archive holds what it shouldn't, or lacks what it should.
    #[error("`{}`: {what}; nothing was unpacked", path.display())]
    Archive { path: PathBuf, what: String },
    /// Another process is at it.
    #[error("`{}` is being fetched by another process; wait for it to end", path.display())]
    Busy { path: PathBuf },
    /// The operating system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
}

impl Error {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// The exit code that it deserves: 7 where the disk is full, else 3.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => 7,
            _ => 3,
        }
    }
}

/// Brings every file of `files` into `folder`, which is made if need be. Files that are there and whole are left alone; a download that
/// was cut off is gone on with.
///
/// # Errors
/// [`Error`]; files that were whole before it stay, and so does the part of the one that wasn't.
pub(crate) fn fetch(
    files: &[Download],
    folder: &Path,
    options: &Options,
    on_event: &mut dyn FnMut(Event),
) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let agent = download::agent(options);
    for file in files {
        if file.members.is_empty() {
            download::file(&agent, file, folder, options, on_event)?;
        } else if unpack::is_unpacked(file, folder) {
            on_event(Event::Present(file.name()));
        } else {
            download::file(&agent, file, folder, options, on_event)?;
            on_event(Event::Unpacking(file.name()));
            unpack::unpack(file, folder)?;
        }
    }
    Ok(())
}

/// `trainer data fetch NAME [--dir DIR]`: says on stderr how it goes, and on stdout where the data lie.
///
/// # Errors
/// No folder to put data in, or [`Error`].
pub(crate) fn run(manifest: &Manifest, dir: Option<&Path>) -> Result<()> {
    let name = &manifest.name;
    if manifest.files.is_empty() {
        stream::tell(format_args!("`{name}` is embedded in this program; try: trainer train {name}"));
        return Ok(());
    }
    let folder = match dir {
        Some(dir) => dir.to_owned(),
        None => manifest.folder()?,
    };
    stream::tell(format_args!("{}: {:.1} MB from {}", manifest.title, manifest.bytes() as f64 / 1e6, manifest.source));
    stream::tell(format_args!("licence: {}; please cite: {}", manifest.licence, manifest.citation));
    if !manifest.verified {
        stream::tell(format_args!(
            "we haven't downloaded this set ourselves yet: a wrong size or checksum may be our manifest's fault"
        ));
    }
    let mut display = Display { bar: None };
    fetch(&manifest.files, &folder, &Options::default(), &mut |event| display.draw(&event))?;
    stream::print(folder.display())?;
    let place = if dir.is_some() { folder.display().to_string() } else { name.to_owned() };
    stream::tell(format_args!("next: trainer train {place}"));
    Ok(())
}

/// A bar on a terminal, a line for each file elsewhere.
struct Display {
    bar: Option<ProgressBar>,
}

impl Display {
    fn draw(&mut self, event: &Event) {
        match event {
            Event::Started { file, done, bytes } => {
                let resumed =
                    if *done > 0 { format!(", going on after {:.1}", *done as f64 / 1e6) } else { String::new() };
                self.say(&format!("{file}: {:.1} MB{resumed}", *bytes as f64 / 1e6));
                if std::io::stderr().is_terminal() {
                    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
                    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
                    let bar = ProgressBar::new(*bytes).with_style(style).with_position(*done);
                    bar.reset_eta();
                    self.bar = Some(bar);
                }
            }
            Event::Progress { done, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(*done);
                }
            }
            Event::Retry { file, why } => self.say(&format!("{file}: {why}; trying again")),
            Event::Present(file) => self.say(&format!("{file}: already here")),
            Event::Done(file) => self.say(&format!("{file}: whole, checksum right")),
            Event::Unpacking(file) => self.say(&format!("{file}: unpacking")),
        }
    }

    /// Ends the bar, if one is drawn, and writes a line.
    fn say(&mut self, line: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        stream::tell(line);
    }
}

#[cfg(test)]
mod tests;
