//! From the inputs of a command line to the items that are decoded, one after the other: files, rows of tables, pictures on standard
//! input, names on standard input, folders that are watched. Owns which inputs are left out (of other shards, answered already) and when
//! whoever collects batches should wait no longer. Decoding is the caller's.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, StdinLock};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use data::{ImageSpec, InputSpec};
use infer::Sample;

use crate::journal::Answered;
use crate::shard::Shard;
use crate::sources::{Kind, Source, expand};
use crate::watch::Watch;

/// Bytes that an image on standard input may have.
const LARGEST_IMAGE: u64 = 256 << 20;
/// Bytes of a file's name; Linux allows 4096.
const LONGEST_NAME: u64 = 1 << 16;
/// Bytes for a number in a row of pixels, with what separates it from the next one.
const LONGEST_NUMBER: u64 = 16;
/// Bytes that are asked of standard input at once, as many as a pipe holds.
const PIPE: usize = 1 << 16;

/// What is on its way to the network.
pub(crate) enum Item {
    /// An input, and what stands for it in the answers.
    Input(String, Raw),
    /// The next input may be long in coming: what is waiting should be answered.
    Pause,
}

/// An input as it was found.
pub(crate) enum Raw {
    File(PathBuf),
    Bytes(Vec<u8>),
    Ready(Sample),
    Bad(String),
}

impl Raw {
    /// The file that it is in, where it is one by itself.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Bytes(_) | Self::Ready(_) | Self::Bad(_) => None,
        }
    }

    /// The bytes of the image that it is, and what to call it; or why there are none.
    pub(crate) fn image(self) -> Result<(Vec<u8>, PathBuf), String> {
        match self {
            Self::File(path) => match data::image::read_file(&path) {
                Ok(bytes) => Ok((bytes, path)),
                Err(error) => Err(error.to_string()),
            },
            Self::Bytes(bytes) => Ok((bytes, PathBuf::from("-"))),
            Self::Bad(why) => Err(why),
            Self::Ready(_) => Err("expected an image file, found a row".to_owned()),
        }
    }

    /// The row that it is, or why there is none.
    pub(crate) fn row(self) -> Result<Sample, String> {
        match self {
            Self::Ready(sample) => Ok(sample),
            Self::Bad(why) => Err(why),
            Self::File(_) | Self::Bytes(_) => Err("expected a row of a table, found a file".to_owned()),
        }
    }
}

/// What to predict.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// Files, folders, patterns, `-`.
    pub(crate) names: Vec<String>,
    /// Standard input names files, too.
    pub(crate) stdin0: bool,
    /// Files hold rows of pixels.
    pub(crate) rows: bool,
    /// The folders are looked into so often.
    pub(crate) watch: Option<Duration>,
    /// The part that is this process's.
    pub(crate) shard: Option<Shard>,
    /// What needs no answer any more.
    pub(crate) answered: Answered,
}

impl Inputs {
    /// Hands the inputs that `names` stand for on to `next`, each with what stands for it in the answers, until it says `false`.
    pub(crate) fn each(names: Vec<String>, input: &InputSpec, mut next: impl FnMut(String, Raw) -> bool) {
        let answered = Answered::default();
        let inputs = Self { names, stdin0: false, rows: false, watch: None, shard: None, answered };
        inputs.feed(input, &AtomicBool::new(false), &mut |item| match item {
            Item::Input(source, raw) => next(source, raw),
            Item::Pause => true,
        });
    }

    /// Hands everything on to `next`, until it says `false`.
    pub(crate) fn feed(self, input: &InputSpec, stop: &AtomicBool, next: &mut dyn FnMut(Item) -> bool) {
        let Self { names, stdin0, rows, watch, shard, answered } = self;
        let kind = if rows || matches!(input, InputSpec::Table(_)) { Kind::Tables } else { Kind::Images };
        let feed = Feed { next: RefCell::new(next), answered: RefCell::new(answered), input, rows, shard };
        if let Some(every) = watch {
            Watch::new(names, kind, every).run(stop, |path| path.map_or_else(|| feed.pause(), |path| feed.file(path)));
        } else if expand(names, kind).all(|source| feed.source(source)) && stdin0 {
            feed.listed();
        }
    }
}

/// Inputs on their way, from wherever they come.
struct Feed<'a> {
    next: RefCell<&'a mut dyn FnMut(Item) -> bool>,
    answered: RefCell<Answered>,
    input: &'a InputSpec,
    rows: bool,
    shard: Option<Shard>,
}

// Each of these says whether more is wanted.
impl Feed<'_> {
    fn source(&self, source: Source) -> bool {
        match source {
            Source::Missing(source, why) => self.fail(source, why),
            Source::File(path) => self.file(path),
            Source::Stdin if self.takes_rows() => self.table(self.stdin(), Path::new("-")),
            Source::Stdin => self.hand("-".into(), read_image(io::stdin().lock())),
        }
    }

    fn file(&self, path: PathBuf) -> bool {
        let source = path.display().to_string();
        if !self.takes_rows() {
            return self.hand(source, Raw::File(path));
        }
        match data::open_regular(&path, u64::MAX) {
            Ok(file) => self.table(file, &path),
            Err(error) => self.fail(source, data::Error::io(&path, error).to_string()),
        }
    }

    /// The files that standard input names, each with a NUL behind it.
    fn listed(&self) -> bool {
        let mut names = BufReader::with_capacity(PIPE, self.stdin());
        let mut name = Vec::new();
        loop {
            name.clear();
            let read = names.by_ref().take(LONGEST_NAME).read_until(0, &mut name);
            let ended = name.pop_if(|last| *last == 0).is_some();
            let bad = |what: &str| self.fail("-".into(), format!("standard input, {what}"));
            match read {
                Err(error) => return bad(&format!("which should name files: {error}")),
                Ok(0) => return true,
                Ok(read) if read as u64 == LONGEST_NAME && !ended => {
                    return bad(&format!(
                        "a name of {LONGEST_NAME} bytes or more: names end in NUL, as `find -print0` writes them"
                    ));
                }
                Ok(_) if !ended && name.contains(&b'\n') => {
                    return bad(
                        "which has line ends and no NUL behind its last name: names end in NUL, as `find -print0` writes them",
                    );
                }
                Ok(_) if name.is_empty() => {}
                Ok(_) => {
                    if !self.file(path_of(std::mem::take(&mut name))) {
                        return false;
                    }
                }
            }
        }
    }

    /// The rows of a table, or those of a file of pixels; `path` names it in messages.
    fn table(&self, input: impl Read, path: &Path) -> bool {
        let name = path.display();
        match self.input {
            InputSpec::Table(spec) => match data::table::rows(input, path, spec) {
                Ok(mut rows) => rows.all(|row| match row.features {
                    // What could not be read has no rows behind it.
                    Err(error @ data::Error::Io { .. }) => self.fail(format!("{name}:{}", row.line), error.to_string()),
                    features => self.hand(format!("{name}:{}", row.line), ready(features)),
                }),
                Err(error) => self.fail(name.to_string(), error.to_string()),
            },
            InputSpec::Image(spec) => {
                let mut rows = PixelRows::new(input, spec);
                while let Some((line, raw)) = rows.next() {
                    let source = format!("{name}:{line}");
                    let more = match raw {
                        Raw::Bad(why) if rows.over => self.fail(source, why),
                        raw => self.hand(source, raw),
                    };
                    if !more {
                        return false;
                    }
                }
                true
            }
        }
    }

    /// Whether files hold many inputs, a line each.
    fn takes_rows(&self) -> bool {
        self.rows || matches!(self.input, InputSpec::Table(_))
    }

    /// Hands one input on, if it is this process's and isn't answered already.
    fn hand(&self, source: String, raw: Raw) -> bool {
        let elsewhere = self.shard.is_some_and(|shard| !shard.takes(&source));
        if elsewhere || self.answered.borrow_mut().take(&source) {
            return true;
        }
        (self.next.borrow_mut())(Item::Input(source, raw))
    }

    /// Hands on why inputs, nobody knows how many, cannot be read: whoever may have had one of them has to hear it, each time.
    fn fail(&self, source: String, why: String) -> bool {
        (self.next.borrow_mut())(Item::Input(source, Raw::Bad(why)))
    }

    fn pause(&self) -> bool {
        (self.next.borrow_mut())(Item::Pause)
    }

    /// Standard input, which may be silent for hours: what came before is answered meanwhile.
    fn stdin(&self) -> impl Read {
        struct Stdin<P> {
            input: StdinLock<'static>,
            pause: P,
        }
        impl<P: FnMut()> Read for Stdin<P> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (self.pause)();
                self.input.read(buffer)
            }
        }
        let pause = || {
            self.pause();
        };
        BufReader::with_capacity(PIPE, Stdin { input: io::stdin().lock(), pause })
    }
}

/// Pictures as rows of numbers: a line has channels x height x width whole numbers of 0 to 255, separated by commas or space.
struct PixelRows<R> {
    input: BufReader<R>,
    /// Numbers of a picture.
    len: usize,
    line: u64,
    over: bool,
}

impl<R: Read> PixelRows<R> {
    fn new(input: R, spec: &ImageSpec) -> Self {
        let len = spec.channels * spec.height * spec.width;
        Self { input: BufReader::new(input), len, line: 0, over: false }
    }

    /// The next line that isn't empty, and where it stands.
    fn next(&mut self) -> Option<(u64, Raw)> {
        let most = self.len as u64 * LONGEST_NUMBER + 2;
        while !self.over {
            let mut text = Vec::new();
            self.line += 1;
            match self.input.by_ref().take(most).read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Err(error) => {
                    self.over = true;
                    return Some((self.line, Raw::Bad(format!("cannot read: {error}"))));
                }
                Ok(read) if read as u64 == most && !text.ends_with(b"\n") => {
                    self.over = true;
                    let what = format!("expected {} numbers in a line, found a line of {most} bytes or more", self.len);
                    return Some((self.line, Raw::Bad(what)));
                }
                Ok(_) if text.trim_ascii().is_empty() => {}
                Ok(_) => return Some((self.line, self.picture(&text))),
            }
        }
        None
    }

    fn picture(&self, text: &[u8]) -> Raw {
        let fields = text.split(|&byte| byte == b',' || byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
        let mut pixels = Vec::with_capacity(self.len);
        for field in fields {
            let number = std::str::from_utf8(field).ok().and_then(|field| field.parse::<u8>().ok());
            let Some(number) = number else {
                let (at, found) = (pixels.len() + 1, String::from_utf8_lossy(field));
                return Raw::Bad(format!("number {at}: expected a whole number of 0 to 255, found `{found}`"));
            };
            pixels.push(number);
        }
        if pixels.len() == self.len {
            Raw::Ready(Sample::pixels(pixels))
        } else {
            Raw::Bad(format!("expected {} numbers (channels x height x width), found {}", self.len, pixels.len()))
        }
    }
}

fn ready(row: Result<Vec<f32>, data::Error>) -> Raw {
    row.map_or_else(|error| Raw::Bad(error.to_string()), |features| Raw::Ready(Sample::features(features)))
}

fn read_image(from: impl Read) -> Raw {
    let mut bytes = Vec::new();
    match from.take(LARGEST_IMAGE + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > LARGEST_IMAGE => {
            Raw::Bad(format!("expected an image of at most {LARGEST_IMAGE} bytes"))
        }
        Ok(_) => Raw::Bytes(bytes),
        Err(error) => Raw::Bad(format!("cannot read standard input: {error}")),
    }
}

#[cfg(unix)]
fn path_of(name: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(name).into()
}

#[cfg(not(unix))]
fn path_of(name: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&name).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Filter, Fit};

    fn rows(text: &str) -> Vec<(u64, Result<Sample, String>)> {
        let spec = ImageSpec {
            channels: 1,
            height: 1,
            width: 3,
            fit: Fit::Stretch,
            filter: Filter::Triangle,
            mean: vec![0.0],
            std: vec![1.0],
        };
        let mut rows = PixelRows::new(text.as_bytes(), &spec);
        let mut found = Vec::new();
        while let Some((line, raw)) = rows.next() {
            found.push((
                line,
                match raw {
                    Raw::Ready(sample) => Ok(sample),
                    Raw::Bad(why) => Err(why),
                    Raw::File(_) | Raw::Bytes(_) => panic!("no row"),
                },
            ));
        }
        found
    }

    #[test]
    fn a_line_of_numbers_is_a_picture() {
        let sample = |pixels: [u8; 3]| Ok(Sample::pixels(pixels.to_vec()));
        assert_eq!(
            rows("0,128,255\n\n 1 2\t3 \r\n4, 5, 6"),
            [(1, sample([0, 128, 255])), (3, sample([1, 2, 3])), (4, sample([4, 5, 6]))]
        );
        assert!(rows("").is_empty());
    }

    #[test]
    fn other_lines_are_told_and_the_next_one_is_read() {
        let found = rows("1,2\n1,2,256\n1,-2,3\n1,x,3\n1,2,3,4\n7,8,9");
        let told: Vec<&str> = found.iter().filter_map(|(_, row)| row.as_ref().err().map(String::as_str)).collect();
        assert_eq!(told[0], "expected 3 numbers (channels x height x width), found 2");
        assert_eq!(told[1], "number 3: expected a whole number of 0 to 255, found `256`");
        assert_eq!((told.len(), found.len()), (5, 6));
        let endless = rows(&"1".repeat(1000));
        assert!(endless.len() == 1 && endless[0].1.as_ref().is_err_and(|why| why.contains("or more")), "{endless:?}");
    }
}
