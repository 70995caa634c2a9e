//! A disk as POSIX promises it, and no better: what was written to a file is safe once the file is synced, what was made, renamed or
//! removed in a folder once the folder is. Until then, at a loss of power, each change may have reached the disk or not, in any order,
//! and writes in part.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Chance;

/// A line of the trace that `xtask/crash/shim.c` writes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Open { file: usize, create: bool, cut: bool, path: String },
    Write { file: usize, offset: usize, bytes: Vec<u8> },
    Cut { file: usize, length: usize },
    Sync { file: usize },
    Close { file: usize },
    Rename { from: String, to: String },
    Mkdir { path: String },
    Remove { path: String },
}

/// Reads a trace; `data` holds the bytes that were written. Paths are as the process named them, without `root` before them.
pub(super) fn read(trace: &str, mut data: &[u8], root: &str) -> Result<Vec<Change>> {
    let inside = |path: &str| path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned();
    let mut changes = Vec::new();
    for line in trace.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |text: &str| text.parse::<usize>().with_context(|| format!("trace: `{line}`"));
        changes.push(match words[..] {
            ["open", file, create, cut, path] => {
                Change::Open { file: number(file)?, create: create == "create", cut: cut == "cut", path: inside(path) }
            }
            ["write", file, offset, length] => {
                let (bytes, rest) = data.split_at_checked(number(length)?).context("trace: bytes are missing")?;
                data = rest;
                Change::Write { file: number(file)?, offset: number(offset)?, bytes: bytes.to_vec() }
            }
            ["cut", file, length] => Change::Cut { file: number(file)?, length: number(length)? },
            ["sync", file] => Change::Sync { file: number(file)? },
            ["close", file] => Change::Close { file: number(file)? },
            ["rename", from, to] => Change::Rename { from: inside(from), to: inside(to) },
            ["mkdir", path] => Change::Mkdir { path: inside(path) },
            ["unlink" | "rmdir", path] => Change::Remove { path: inside(path) },
            _ => bail!("trace: `{line}` is not to be understood"),
        });
    }
    Ok(changes)
}

/// A file's or folder's number.
type Node = usize;

/// What a file holds: safely, and what came since.
#[derive(Clone, Debug, Default)]
struct File {
    safe: Vec<u8>,
    since: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Cut(usize),
}

/// What a folder holds: safely, and what came since.
#[derive(Clone, Debug, Default)]
struct Folder {
    safe: BTreeMap<String, Node>,
    since: Vec<Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Add(String, Node),
    Rename(String, String),
    Remove(String),
}

impl Entry {
    /// Does nothing where what it needs never reached the disk.
    fn apply(&self, entries: &mut BTreeMap<String, Node>) {
        match self {
            Self::Add(name, node) => _ = entries.insert(name.clone(), *node),
            Self::Rename(from, to) => {
                if let Some(node) = entries.remove(from) {
                    entries.insert(to.clone(), node);
                }
            }
            Self::Remove(name) => _ = entries.remove(name),
        }
    }
}

/// All files and folders; the first is the root.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    files: BTreeMap<Node, File>,
    folders: BTreeMap<Node, Folder>,
    open: BTreeMap<usize, Node>,
    next: Node,
}

impl Disk {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            folders: BTreeMap::from([(0, Folder::default())]),
            open: BTreeMap::new(),
            next: 1,
        }
    }

    /// Changes it.
    pub(super) fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Open { file, create, cut, path } => {
                let node = match self.find(path) {
                    Some(node) => node,
                    None if *create => self.add(path, false)?,
                    None => bail!("`{path}` was opened and never made"),
                };
                if let (true, Some(held)) = (*cut, self.files.get_mut(&node)) {
                    held.since.push(Edit::Cut(0));
                }
                self.open.insert(*file, node);
            }
            Change::Write { file, offset, bytes } => self.edit(*file, Edit::Write(*offset, bytes.clone()))?,
            Change::Cut { file, length } => self.edit(*file, Edit::Cut(*length))?,
            Change::Sync { file } => {
                let node = *self.open.get(file).context("what is not open was synced")?;
                if let Some(held) = self.files.get_mut(&node) {
                    held.safe = held.now();
                    held.since.clear();
                } else if let Some(folder) = self.folders.get_mut(&node) {
                    folder.safe = folder.now();
                    folder.since.clear();
                }
            }
            Change::Close { file } => _ = self.open.remove(file),
            Change::Rename { from, to } => {
                let ((folder, from), (target, to)) = (self.place(from)?, self.place(to)?);
                if folder != target {
                    bail!("a rename from one folder to another is not foreseen");
                }
                self.entry(folder, Entry::Rename(from, to))?;
            }
            Change::Mkdir { path } => _ = self.add(path, true)?,
            Change::Remove { path } => {
                let (folder, name) = self.place(path)?;
                self.entry(folder, Entry::Remove(name))?;
            }
        }
        Ok(())
    }

    /// Writes to `folder` what a loss of power at this moment might leave. `mood` is how much of what was not safe is kept.
    pub(super) fn crash(&self, folder: &Path, mood: Mood, chance: &mut Chance) -> Result<()> {
        self.leave(0, folder, mood, chance)
    }

    /// What is in the folder at `path` whatever happens.
    pub(super) fn safe(&self, path: &str) -> impl Iterator<Item = &str> {
        let names = path.split('/');
        let folder = names.into_iter().try_fold(0, |node, name| self.folders.get(&node)?.safe.get(name).copied());
        let folder = folder.and_then(|node| self.folders.get(&node));
        folder.into_iter().flat_map(|folder| folder.safe.keys().map(String::as_str))
    }

    fn leave(&self, node: Node, at: &Path, mood: Mood, chance: &mut Chance) -> Result<()> {
        if let Some(file) = self.files.get(&node) {
            return fs::write(at, file.crash(mood, chance)).with_context(|| format!("cannot write {}", at.display()));
        }
        fs::create_dir_all(at).with_context(|| format!("cannot create {}", at.display()))?;
        let folder = &self.folders[&node];
        let mut entries = folder.safe.clone();
        let reached = mood.reached(folder.since.len(), chance);
        folder
            .since
            .iter()
            .zip(reached)
            .filter(|(_, reached)| *reached)
            .for_each(|(entry, _)| entry.apply(&mut entries));
        entries.iter().try_for_each(|(name, &node)| self.leave(node, &at.join(name), mood, chance))
    }

    fn edit(&mut self, file: usize, edit: Edit) -> Result<()> {
        let node = self.open.get(&file).context("what is not open was written")?;
        self.files.get_mut(node).context("a folder was written")?.since.push(edit);
        Ok(())
    }

    fn entry(&mut self, folder: Node, entry: Entry) -> Result<()> {
        self.folders.get_mut(&folder).context("a file is no folder")?.since.push(entry);
        Ok(())
    }

    fn add(&mut self, path: &str, folder: bool) -> Result<Node> {
        let (parent, name) = self.place(path)?;
        let node = self.next;
        self.next += 1;
        match folder {
            true => _ = self.folders.insert(node, Folder::default()),
            false => _ = self.files.insert(node, File::default()),
        }
        self.entry(parent, Entry::Add(name, node))?;
        Ok(node)
    }

    fn find(&self, path: &str) -> Option<Node> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(0, |node, name| self.folders.get(&node)?.now().get(name).copied())
    }

    /// The folder of a path, and its last name.
    fn place(&self, path: &str) -> Result<(Node, String)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let node = self.find(folder).with_context(|| format!("`{folder}` was never made"))?;
        Ok((node, name.to_owned()))
    }
}

impl Folder {
    fn now(&self) -> BTreeMap<String, Node> {
        let mut entries = self.safe.clone();
        self.since.iter().for_each(|entry| entry.apply(&mut entries));
        entries
    }
}

impl File {
    fn now(&self) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        self.since.iter().for_each(|edit| edit.apply(&mut bytes, None));
        bytes
    }

    fn crash(&self, mood: Mood, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        let reached = mood.reached(self.since.len(), chance);
        for (edit, _) in self.since.iter().zip(reached).filter(|(_, reached)| *reached) {
            let torn = (mood == Mood::Any && chance.below(3) == 0).then(|| chance.below(1 << 20));
            edit.apply(&mut bytes, torn);
        }
        bytes
    }
}

impl Edit {
    /// `torn`: only a part of the bytes arrives, zeros for the rest.
    fn apply(&self, held: &mut Vec<u8>, torn: Option<usize>) {
        match self {
            Self::Cut(length) => held.resize(*length, 0),
            Self::Write(offset, bytes) => {
                held.resize(held.len().max(offset + bytes.len()), 0);
                let whole = torn.map_or(bytes.len(), |at| at % (bytes.len() + 1));
                held[*offset..offset + whole].copy_from_slice(&bytes[..whole]);
            }
        }
    }
}

/// What becomes of changes that are not safe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// All are lost.
    None,
    /// The first ones are kept, in their order.
    First,
    /// Each is kept, lost or torn by itself.
    Any,
    /// All are kept.
    All,
}

impl Mood {
    pub(super) fn by(chance: &mut Chance) -> Self {
        [Self::None, Self::First, Self::Any, Self::Any, Self::All][chance.below(5)]
    }

    fn reached(self, count: usize, chance: &mut Chance) -> Vec<bool> {
        match self {
            Self::None => vec![false; count],
            Self::All => vec![true; count],
            Self::First => {
                let kept = chance.below(count + 1);
                (0..count).map(|at| at < kept).collect()
            }
            Self::Any => (0..count).map(|_| chance.below(2) == 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Scratch;

    fn after(trace: &str, data: &[u8], mood: Mood) -> (Scratch, Vec<(String, Vec<u8>)>) {
        let mut disk = Disk::new();
        for change in read(trace, data, "/run").unwrap() {
            disk.apply(&change).unwrap();
        }
        let scratch = Scratch::new(&format!("disk-{mood:?}-{}", trace.len())).unwrap();
        disk.crash(&scratch.0, mood, &mut Chance::new(1)).unwrap();
        let mut found: Vec<_> = fs::read_dir(&scratch.0)
            .unwrap()
            .flatten()
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap_or_default()))
            .collect();
        found.sort();
        (scratch, found)
    }

    const WRITTEN: &str = "open 3 create cut /run/a.tmp\nwrite 3 0 4\n";

    #[test]
    fn what_is_not_synced_may_be_lost_or_kept() {
        assert_eq!(after(WRITTEN, b"abcd", Mood::None).1, []);
        assert_eq!(after(WRITTEN, b"abcd", Mood::All).1, [("a.tmp".to_owned(), b"abcd".to_vec())]);
    }

    #[test]
    fn a_rename_is_safe_once_the_folder_is_synced_and_bytes_once_the_file_is() {
        let renamed = format!("{WRITTEN}sync 3\nclose 3\nrename /run/a.tmp /run/a\nopen 4 keep whole /run\nsync 4\n");
        assert_eq!(after(&renamed, b"abcd", Mood::None).1, [("a".to_owned(), b"abcd".to_vec())]);
        let careless = format!("{WRITTEN}close 3\nrename /run/a.tmp /run/a\nopen 4 keep whole /run\nsync 4\n");
        assert_eq!(after(&careless, b"abcd", Mood::None).1, [("a".to_owned(), Vec::new())], "a name without its bytes");
    }
}
