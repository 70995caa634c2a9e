//! The processes that train one model together, each a rank: what they tell each other, in which order, and what becomes of one that fails.
//! How bytes get from one to another is the caller's ([`Link`]); without others, everything here is what one process says to itself.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::Error;

mod gradients;
mod state;
#[cfg(test)]
#[cfg(feature = "flex")]
mod tests;
#[cfg(test)]
#[cfg(feature = "flex")]
mod threads;

/// Numbers of a sum that are under way at once: what they take beside the sum itself is bounded by this.
const BLOCK: usize = 1 << 24;
/// Bytes of a message at most: below what 32 bits count.
const MESSAGE: usize = 1 << 30;
/// Bytes of an error that others are told, at most.
const WORDS: usize = 4096;
/// Added to the exit code of a rank that says its last word.
const LAST: f64 = 256.0;

/// Moves bytes between the ranks. All ranks call the same function at the same time, with as many bytes each.
pub trait Link {
    /// Gives `mine` to every rank: `all` becomes what each has given, in the order of ranks.
    fn gather(&self, mine: &[u8], all: &mut [u8]);
    /// Gives each rank its part of `mine`, as many equal parts as ranks: `theirs` becomes what each gave this one, in the order of ranks.
    fn exchange(&self, mine: &[u8], theirs: &mut [u8]);
    /// Gives the bytes of rank 0 to the others.
    fn broadcast(&self, bytes: &mut [u8]);
}

/// This process among those that train one model. All of them make the same calls in the same order. One that fails says so in the place of
/// its next call, whichever that is of the others: each begins with a word from everybody.
#[derive(Clone)]
pub struct Ranks {
    rank: usize,
    size: usize,
    link: Option<Rc<dyn Link>>,
    /// Everybody knows that somebody has failed.
    parted: Rc<Cell<bool>>,
    talked: Rc<Cell<Duration>>,
}

impl Ranks {
    /// One process, which has nobody to ask.
    pub fn alone() -> Self {
        Self { rank: 0, size: 1, link: None, parted: Rc::default(), talked: Rc::default() }
    }

    /// Rank `rank` of `size`, joined by `link`.
    pub fn joined(rank: usize, size: usize, link: Rc<dyn Link>) -> Self {
        Self { rank, size, link: Some(link), ..Self::alone() }
    }

    /// This one's number, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is the one that writes and speaks for all.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// How long this one has talked to the others so far, and waited for them.
    pub fn talked(&self) -> Duration {
        self.talked.get()
    }

    /// Tells the others how this one's work ended, and waits until theirs has: with exit code `code`, which is 0 for success, in these
    /// `words`. The last call: where the others know already that somebody has left, nothing.
    ///
    /// # Errors
    /// [`Error::Rank`] with the words of the first that failed, or has left too early.
    pub fn conclude(&self, code: u8, words: &str) -> Result<(), Error> {
        match self.parted.get() {
            true => Ok(()),
            false => self.word(LAST + f64::from(code), words, [0.0; 3]).map(drop),
        }
    }

    /// What each rank has to say, in three numbers, once nobody's `outcome` is a failure.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub(crate) fn agree<T>(&self, outcome: Result<T, Error>, numbers: [f64; 3]) -> Result<(T, Vec<[f64; 3]>), Error> {
        let (code, words) = match &outcome {
            Ok(_) => (0, String::new()),
            Err(error) => (error.exit_code(), error.to_string()),
        };
        let said = self.word(f64::from(code), &words, numbers);
        let value = outcome?;
        Ok((value, said?))
    }

    /// What each rank has to say in bytes.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub fn gather(&self, mine: Result<Vec<u8>, Error>) -> Result<Vec<Vec<u8>>, Error> {
        let len = mine.as_ref().map_or(0, Vec::len) as f64;
        let (mut mine, said) = self.agree(mine, [len, 0.0, 0.0])?;
        let Some(link) = &self.link else { return Ok(vec![mine]) };
        let lens: Vec<usize> = said.iter().map(|[len, ..]| *len as usize).collect();
        let most = lens.iter().copied().max().unwrap_or(0);
        mine.resize(most, 0);
        let mut all: Vec<Vec<u8>> = vec![Vec::new(); self.size];
        for piece in mine.chunks((MESSAGE / self.size).max(1)) {
            let mut pieces = vec![0; piece.len() * self.size];
            self.timed(|| link.gather(piece, &mut pieces));
            all.iter_mut().zip(pieces.chunks(piece.len())).for_each(|(all, piece)| all.extend_from_slice(piece));
        }
        all.iter_mut().zip(lens).for_each(|(all, len)| all.truncate(len));
        Ok(all)
    }

    /// What rank 0 has, on every rank; what others give counts for nothing.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub fn broadcast(&self, mine: Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
        let len = mine.as_ref().map_or(0, Vec::len) as f64;
        let (mut bytes, said) = self.agree(mine, [len, 0.0, 0.0])?;
        let Some(link) = &self.link else { return Ok(bytes) };
        bytes.resize(said[0][0] as usize, 0);
        bytes.chunks_mut(MESSAGE).for_each(|piece| self.timed(|| link.broadcast(piece)));
        Ok(bytes)
    }

    /// Whether any rank says yes.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub fn any(&self, mine: bool) -> Result<bool, Error> {
        let (_, said) = self.agree(Ok(()), [f64::from(u8::from(mine)), 0.0, 0.0])?;
        Ok(said.iter().any(|[yes, ..]| *yes > 0.0))
    }

    /// Whether all ranks say yes.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub fn all(&self, mine: bool) -> Result<bool, Error> {
        self.any(!mine).map(|any| !any)
    }

    /// The first of what the ranks have to say, in their order.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub(crate) fn first_of(&self, mine: Option<String>) -> Result<Option<String>, Error> {
        if self.link.is_none() || !self.any(mine.is_some())? {
            return Ok(mine);
        }
        let all = self.gather(Ok(mine.unwrap_or_default().into_bytes()))?;
        Ok(all.iter().find(|words| !words.is_empty()).map(|words| String::from_utf8_lossy(words).into_owned()))
    }

    /// Adds up what the ranks have, number by number, in the order of ranks: the same bits on each, however the messages travel. Every rank
    /// gives as many. Each adds up its part of the numbers and gives the sums to the others, so that 2 (n - 1) / n of the numbers pass
    /// through the link of each of n ranks, the least there is.
    ///
    /// # Errors
    /// On every rank: its own failure, or that of the first rank that has one.
    pub(crate) fn sum(&self, values: &mut [f32]) -> Result<(), Error> {
        self.agree(Ok(()), [0.0; 3])?;
        let Some(link) = &self.link else { return Ok(()) };
        for block in values.chunks_mut(BLOCK) {
            let part = block.len().div_ceil(self.size);
            let mut all = vec![0.0_f32; part * self.size];
            all[..block.len()].copy_from_slice(block);
            let mut parts = vec![0.0_f32; all.len()];
            self.timed(|| link.exchange(bytemuck::cast_slice(&all), bytemuck::cast_slice_mut(&mut parts)));
            let (sum, others) = parts.split_at_mut(part);
            for other in others.chunks_exact(part) {
                sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            }
            self.timed(|| link.gather(bytemuck::cast_slice(sum), bytemuck::cast_slice_mut(&mut all)));
            block.copy_from_slice(&all[..block.len()]);
        }
        Ok(())
    }

    /// A word from everybody: how it goes, which is an exit code or the last one, and three numbers.
    fn word(&self, status: f64, words: &str, [a, b, c]: [f64; 3]) -> Result<Vec<[f64; 3]>, Error> {
        let Some(link) = &self.link else { return Ok(vec![[a, b, c]]) };
        if self.parted.get() {
            // Nobody would answer.
            return Err(Error::Rank { rank: self.rank, code: 1, what: "another rank has left".to_owned() });
        }
        let mut all = vec![0.0_f64; 4 * self.size];
        self.timed(|| link.gather(bytemuck::cast_slice(&[status, a, b, c]), bytemuck::cast_slice_mut(&mut all)));
        let (all, last) = (all.as_chunks::<4>().0, all.chunks_exact(4).filter(|word| word[0] >= LAST).count());
        self.parted.set(last > 0);
        let failed = all.iter().position(|[status, ..]| status % LAST > 0.0);
        let early = || all.iter().position(|[status, ..]| *status >= LAST).filter(|_| last < self.size);
        let Some(rank) = failed.or_else(early) else {
            return Ok(all.iter().map(|[_, a, b, c]| [*a, *b, *c]).collect());
        };
        let mut what = [0; WORDS];
        let len = words.floor_char_boundary(WORDS);
        what[..len].copy_from_slice(&words.as_bytes()[..len]);
        let mut everybodys = vec![0; WORDS * self.size];
        link.gather(&what, &mut everybodys);
        let what = String::from_utf8_lossy(&everybodys[rank * WORDS..][..WORDS]).trim_end_matches('\0').to_owned();
        let code = if failed.is_some() { (all[rank][0] % LAST) as u8 } else { 1 };
        Err(Error::Rank {
            rank,
            code,
            what: if failed.is_some() { what } else { "ended before the others".to_owned() },
        })
    }

    fn timed(&self, talk: impl FnOnce()) {
        let began = Instant::now();
        talk();
        self.talked.set(self.talked.get() + began.elapsed());
    }
}

impl fmt::Debug for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}
