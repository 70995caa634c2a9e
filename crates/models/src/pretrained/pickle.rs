//! What reading a pickle would cost, found before it is read: its bytes, its steps, and the names that its tensors would get. The reader makes an
//! object of nearly each step and gives each tensor the whole path to it as its name, so that a few megabytes can ask for hundreds of gigabytes.
//! The walk here takes the same steps over numbers alone. What it doesn't know the reader refuses at the same place: it ends there.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Take};

use super::MOST_TENSORS;

/// Bytes of a pickle at most: that of a ResNet-50 has 39 kB, and each byte may become an object.
pub(super) const MOST_BYTES: u64 = 8 << 20;
/// Steps at most, of which each may become an object of some hundred bytes: a ResNet-50 takes 11,000, with its optimizer's state 26,000.
const MOST_STEPS: u64 = 1 << 21;
/// Bytes of all tensors' names at most: a ResNet-50's are 7 kB.
const MOST_NAMES: u64 = 32 << 20;
/// Characters that a number has as a key.
const NUMBER: u64 = 20;

/// Where a walk came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The pickle's end: the next one may follow.
    Whole,
    /// What the reader refuses with its own words.
    Broken,
}

/// Walks the pickle at the place of `reader`, of `most` bytes at most.
///
/// # Errors
/// What it has too much of.
pub(super) fn walk(reader: &mut impl BufRead, most: u64) -> Result<End, String> {
    let mut walk = Walk { reader: reader.take(most), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    for _ in 0..MOST_STEPS {
        match walk.step() {
            Ok(false) => {}
            Ok(true) => return walk.stack.last().map_or(Ok(End::Broken), Held::check),
            Err(_) if walk.reader.limit() == 0 => {
                return Err(format!("its pickle is longer than {most} bytes; no more are read"));
            }
            Err(_) => return Ok(End::Broken),
        }
    }
    Err(format!("its pickle takes more than {MOST_STEPS} steps; no more are taken"))
}

/// What an object of the reader's holds.
#[derive(Clone, Copy, Default)]
struct Held {
    /// Characters, where it is a text or a number, which may be a key.
    text: u64,
    /// Tensors in it.
    tensors: u64,
    /// Bytes of the names of all of them, from here on.
    names: u64,
    /// Where it is remembered: what is built upon it there is remembered, too.
    memo: Option<u32>,
}

impl Held {
    fn text(text: u64) -> Self {
        Self { text, ..Self::default() }
    }

    /// Under a key of so many characters.
    fn under(self, key: u64) -> Self {
        Self { names: self.names.saturating_add(self.tensors.saturating_mul(key + 1)), text: 0, ..self }
    }

    fn and(self, other: Self) -> Self {
        let (tensors, names) = (self.tensors.saturating_add(other.tensors), self.names.saturating_add(other.names));
        Self { tensors, names, ..self }
    }

    fn check(&self) -> Result<End, String> {
        if self.tensors > MOST_TENSORS as u64 {
            return Err(format!("it has {} tensors; at most {MOST_TENSORS} are read", self.tensors));
        }
        if self.names > MOST_NAMES {
            let names = self.names;
            return Err(format!("the names of its tensors take {names} bytes; at most {MOST_NAMES} are read"));
        }
        Ok(End::Whole)
    }
}

/// Items of a list or a tuple, whose names are their places; a pair may become a key and a value.
fn items(items: &[Held]) -> Held {
    let key = if let [key, _] = items { key.text.max(NUMBER) } else { NUMBER };
    items.iter().fold(Held::default(), |all, item| all.and(item.under(key)))
}

/// Keys, each with a value behind it.
fn pairs(items: &[Held]) -> Held {
    let (pairs, _) = items.as_chunks::<2>();
    pairs.iter().fold(Held::default(), |all, [key, value]| all.and(value.under(key.text)))
}

/// The state of a walk: the reader's, with numbers in the place of objects.
struct Walk<R> {
    reader: Take<R>,
    stack: Vec<Held>,
    /// How high the stack was at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Held>,
}

impl<R: BufRead> Walk<R> {
    /// Takes a step; whether it was the last.
    fn step(&mut self) -> io::Result<bool> {
        let [op] = self.bytes()?;
        match op {
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | b')' | b']' | b'}' | 0x88 | 0x89 | 0x8f => self.stack.push(Held::default()),
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            b'I' | b'L' | b'F' | b'J' | b'K' | b'M' | b'G' | 0x8a | 0x8b => self.number(op)?,
            b'V' | b'U' | b'T' | b'X' | b'C' | b'B' | 0x8c | 0x8d | 0x8e | 0x96 => self.text(op)?,
            b't' | b'l' | 0x91 | b'd' | 0x85..=0x87 => self.gather(op)?,
            b'a' | b'e' | 0x90 | b's' | b'u' => self.add(op)?,
            b'0' if self.marks.last() == Some(&self.stack.len()) => self.marks.truncate(self.marks.len() - 1),
            b'0' => self.pop().map(|_| ())?,
            b'1' => self.pop_to_mark().map(|_| ())?,
            b'2' => {
                let top = *self.top()?;
                self.stack.push(top);
            }
            b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => self.remember(op)?,
            _ => self.object(op)?,
        }
        Ok(false)
    }

    fn number(&mut self, op: u8) -> io::Result<()> {
        match op {
            b'K' => self.skip(1)?,
            b'M' => self.skip(2)?,
            b'J' => self.skip(4)?,
            b'G' => self.skip(8)?,
            0x8a | 0x8b => self.sized(op).map(|_| ())?,
            _ => self.line().map(|_| ())?,
        }
        self.stack.push(Held::text(NUMBER));
        Ok(())
    }

    /// A text or bytes. Of Python 2's texts each byte may become two.
    fn text(&mut self, op: u8) -> io::Result<()> {
        let length = match op {
            b'V' => self.line()?.len() as u64,
            b'U' | b'T' => self.sized(op)?.saturating_mul(2),
            _ => self.sized(op)?,
        };
        self.stack.push(Held::text(length));
        Ok(())
    }

    /// A tuple, a list or a dictionary of what is on the stack.
    fn gather(&mut self, op: u8) -> io::Result<()> {
        let found = match op {
            0x85..=0x87 => (0..op - 0x84).map(|_| self.pop()).rev().collect::<io::Result<Vec<_>>>()?,
            _ => self.pop_to_mark()?,
        };
        self.stack.push(if op == b'd' { pairs(&found) } else { items(&found) });
        Ok(())
    }

    /// More for the list or the dictionary that lies below it.
    fn add(&mut self, op: u8) -> io::Result<()> {
        let more = match op {
            b'a' => items(&[self.pop()?]),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                pairs(&[key, value])
            }
            b'u' => pairs(&self.pop_to_mark()?),
            _ => self.pop_to_mark()?.into_iter().fold(Held::default(), |all, item| all.and(item.under(NUMBER))),
        };
        let top = self.top()?;
        *top = top.and(more);
        Ok(())
    }

    /// Puts what is on top where it is remembered, or takes what is.
    fn remember(&mut self, op: u8) -> io::Result<()> {
        let at = match op {
            b'g' | b'p' => {
                std::str::from_utf8(&self.line()?).ok().and_then(|text| text.parse().ok()).ok_or_else(odd)?
            }
            b'h' | b'q' => u32::from(u8::from_le_bytes(self.bytes()?)),
            0x94 => self.memo.len() as u32,
            _ => u32::from_le_bytes(self.bytes()?),
        };
        if matches!(op, b'g' | b'h' | b'j') {
            self.stack.push(*self.memo.get(&at).ok_or_else(odd)?);
        } else {
            let top = self.top()?;
            top.memo = Some(at);
            let held = *top;
            self.memo.insert(at, held);
        }
        Ok(())
    }

    /// Classes, and what is made of them: the reader calls none.
    fn object(&mut self, op: u8) -> io::Result<()> {
        let made = match op {
            b'c' => {
                self.line()?;
                self.line()?;
                Held::default()
            }
            0x93 | 0x81 => {
                self.pop()?;
                self.pop()?;
                Held::default()
            }
            0x92 => {
                self.pop()?;
                self.pop()?;
                self.pop()?;
                Held::default()
            }
            // The numbers of a tensor, which is made of them.
            b'P' | b'Q' => {
                if op == b'P' {
                    self.line().map(|_| ())?
                } else {
                    self.pop().map(|_| ())?
                }
                Held { tensors: 1, ..Held::default() }
            }
            b'R' => {
                let (arguments, _) = (self.pop()?, self.pop()?);
                Held { memo: None, ..arguments }
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.pop()?);
                let built = object.and(state);
                built.memo.map(|at| self.memo.insert(at, built));
                Held { memo: None, ..built }
            }
            _ => return Err(odd()),
        };
        self.stack.push(made);
        Ok(())
    }

    fn top(&mut self) -> io::Result<&mut Held> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(odd());
        }
        self.stack.last_mut().ok_or_else(odd)
    }

    fn pop(&mut self) -> io::Result<Held> {
        let top = *self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> io::Result<Vec<Held>> {
        let mark = self.marks.pop().ok_or_else(odd)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// What ends with a line's end, without it.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        line.pop().filter(|end| *end == b'\n').ok_or_else(odd)?;
        line.pop_if(|end| *end == b'\r');
        Ok(line)
    }

    /// Leaves out what a length stands before; the length.
    fn sized(&mut self, op: u8) -> io::Result<u64> {
        let length = match op {
            b'T' | b'X' | b'B' | 0x8b => u64::from(u32::from_le_bytes(self.bytes()?)),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.bytes()?),
            _ => u64::from(u8::from_le_bytes(self.bytes()?)),
        };
        self.skip(length)?;
        Ok(length)
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let there = self.reader.fill_buf()?.len() as u64;
            if there == 0 {
                return Err(odd());
            }
            let step = bytes.min(there);
            self.reader.consume(step as usize);
            bytes -= step;
        }
        Ok(())
    }
}

/// What the reader refuses, too.
fn odd() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tensors and the bytes of their names that a walk finds.
    fn found(pickle: &[u8]) -> (u64, u64) {
        let mut walk =
            Walk { reader: pickle.take(1 << 20), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        while !walk.step().expect("a step that is known") {}
        let held = walk.stack.pop().expect("an object");
        (held.tensors, held.names)
    }

    #[test]
    fn names_are_whole_paths_and_what_is_fetched_again_counts_again() {
        // {"ab": T}
        assert_eq!(found(b"}U\x02abNQs."), (1, 5), "a text of Python 2 may have twice its bytes");
        assert_eq!(found(b"}\x8c\x02abNQs."), (1, 3));
        // {"ab": {"c": T, "d": T}}: `ab.c` and `ab.d`.
        assert_eq!(found(b"}\x8c\x02ab}(\x8c\x01cNQ\x8c\x01dNQus."), (2, 10));
        // The same, the second T from where the first is remembered.
        assert_eq!(found(b"}\x8c\x02ab}(\x8c\x01cNQq\x07\x8c\x01dh\x07us."), (2, 10));
        // An object that is remembered before it gets its state has it where it is fetched.
        assert_eq!(found(b"}q\x01}\x8c\x01aNQsb0h\x01."), (1, 2));
        // OrderedDict([("ab", T)]): no shorter than as a list, `0.1`.
        assert_eq!(found(b"ccollections\nOrderedDict\n]\x8c\x02abNQ\x86a\x85R."), (1, 3 * 21));
    }

    #[test]
    fn a_walk_goes_no_further_than_the_pickle_and_ends_where_the_reader_does() {
        let mut two = b"N.N.".as_slice();
        assert_eq!(walk(&mut two, 9), Ok(End::Whole));
        assert_eq!(two, b"N.");
        for broken in
            [b"".as_slice(), b"N", b".", b"(.", b"0", b"N(0.", b"h\x05.", b"X\xff\xff\xff\xffab.", b"Iab", b"\xff."]
        {
            let mut rest = broken;
            let end = walk(&mut rest, 99);
            assert!(end == Ok(End::Broken) || broken == b"N(0.", "{broken:?} is {end:?}");
        }
        assert!(walk(&mut b"NNNNNNNNNN.".as_slice(), 10).is_err_and(|what| what.contains("longer than 10 bytes")));
        assert!(
            walk(&mut b"X\xff\xff\xff\xffab.".repeat(3).as_slice(), 10).is_err_and(|what| what.contains("10 bytes"))
        );
    }
}
