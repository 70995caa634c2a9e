//! What is wanted of a `.tar.gz`. Only files that the manifest lists are written, under the manifest's names, never the archive's; an
//! archive that holds a link or a path that leads elsewhere is refused whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

use super::Error;
use super::download::{hash, hex, sync_folder};
use crate::manifest::{Download, Member};

/// The size that a file may have whose size the manifest doesn't know: such are lists of names.
const SMALL: u64 = 1 << 20;
/// What an archive may hold besides: headers, padding, a page of documentation.
const BESIDES: u64 = 16 << 20;

/// The list of what came out of an archive, as `sha256sum` writes and checks it.
fn list(archive: &Download, folder: &Path) -> PathBuf {
    folder.join(format!("{}.sha256", archive.name()))
}

/// Whether all that is wanted of `archive` lies in `folder`, just as it came out.
pub(super) fn is_unpacked(archive: &Download, folder: &Path) -> bool {
    let list = data::open_regular(&list(archive, folder), 1 << 20).and_then(std::io::read_to_string);
    let Ok(text) = list else { return false };
    archive.members.iter().all(|member| {
        let known = text.lines().find_map(|line| line.strip_suffix(member.name())?.strip_suffix("  "));
        let found = data::open_regular(&folder.join(member.name()), u64::MAX).and_then(hash);
        known.zip(found.ok()).is_some_and(|(known, found)| known == found)
    })
}

/// Takes the members out of `archive`, which lies in `folder` and whose checksum is right, then deletes it.
pub(super) fn unpack(archive: &Download, folder: &Path) -> Result<(), Error> {
    let path = folder.join(archive.name());
    let aside = folder.join(format!("{}.unpacking", archive.name()));
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(Error::io("delete", &aside))?;
    }
    std::fs::create_dir(&aside).map_err(Error::io("create", &aside))?;
    let taken = take(archive, &path, &aside);
    let placed = taken.and_then(|sums| place(archive, &sums, &aside, folder));
    // The error that led here is the one to report.
    let cleared = std::fs::remove_dir_all(&aside).map_err(Error::io("delete", &aside));
    placed.and(cleared)?;
    std::fs::remove_file(&path).map_err(Error::io("delete", &path))
}

/// Writes the members into `aside`; their lines for the list.
fn take(archive: &Download, path: &Path, aside: &Path) -> Result<String, Error> {
    let fault = |what: String| Error::Archive { path: path.to_owned(), what };
    let file = File::open(path).map_err(Error::io("read", path))?;
    let most = archive.members.iter().map(|member| member.bytes.unwrap_or(SMALL)).sum::<u64>() + BESIDES;
    let mut tar = Archive::new(GzDecoder::new(std::io::BufReader::new(file)).take(most));
    let (mut sums, mut missing) =
        (String::new(), archive.members.iter().map(|member| &*member.path).collect::<BTreeSet<_>>());
    let broken = |error: std::io::Error| fault(format!("not a whole archive of at most {most} bytes: {error}"));
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = checked(&entry).map_err(fault)?;
        let Some(member) = archive.members.iter().find(|member| Path::new(&member.path) == name) else { continue };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(fault(format!("`{}` is no file", member.path)));
        }
        if !missing.remove(&*member.path) {
            return Err(fault(format!("`{}` is in it twice", member.path)));
        }
        let sum = write(member, &mut entry, aside).map_err(|error| match error {
            Fault::Archive(what) => fault(what),
            Fault::Disk(error) => error,
        })?;
        sums += &format!("{sum}  {}\n", member.name());
    }
    match missing.first() {
        Some(name) => Err(fault(format!("expected `{name}` in it, found none"))),
        None => Ok(sums),
    }
}

/// The path of an entry, if it and the entry's kind are harmless.
fn checked<R: Read>(entry: &Entry<R>) -> Result<PathBuf, String> {
    let name = entry.path().map_err(|error| format!("a name in it cannot be read: {error}"))?.into_owned();
    let kind = entry.header().entry_type();
    if !matches!(kind, EntryType::Regular | EntryType::Directory | EntryType::XGlobalHeader) {
        return Err(format!("`{}` is neither file nor folder, but {kind:?}", name.display()));
    }
    let inside = name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside { Ok(name) } else { Err(format!("`{}` leads out of its folder", name.display())) }
}

/// Whose fault it is that a member can't be written.
enum Fault {
    Archive(String),
    Disk(Error),
}

/// Writes one member; its checksum.
fn write(member: &Member, entry: &mut impl Read, aside: &Path) -> Result<String, Fault> {
    let path = aside.join(member.name());
    let mut file = File::create_new(&path).map_err(|error| Fault::Disk(Error::io("create", &path)(error)))?;
    let (mut hasher, mut buffer, mut size) = (Sha256::new(), vec![0; 64 << 10], 0);
    let most = member.bytes.unwrap_or(SMALL);
    loop {
        let count = entry.read(&mut buffer).map_err(|error| Fault::Archive(format!("`{}`: {error}", member.path)))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > most {
            return Err(Fault::Archive(format!("`{}`: expected at most {most} bytes, found more", member.path)));
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(|error| Fault::Disk(Error::io("write", &path)(error)))?;
    }
    if let Some(bytes) = member.bytes.filter(|bytes| *bytes != size) {
        return Err(Fault::Archive(format!("`{}`: expected {bytes} bytes, found {size}", member.path)));
    }
    file.sync_all().map_err(|error| Fault::Disk(Error::io("write", &path)(error)))?;
    Ok(hex(hasher))
}

/// Renames all members from `aside` into `folder`, and the list of them last.
fn place(archive: &Download, sums: &str, aside: &Path, folder: &Path) -> Result<(), Error> {
    let rename = |from: PathBuf, to: PathBuf| std::fs::rename(&from, &to).map_err(Error::io("rename", &from));
    for member in &archive.members {
        rename(aside.join(member.name()), folder.join(member.name()))?;
    }
    let written = aside.join("list");
    let write = |file: &mut File| file.write_all(sums.as_bytes()).and_then(|()| file.sync_all());
    File::create_new(&written).and_then(|mut file| write(&mut file)).map_err(Error::io("write", &written))?;
    rename(written, list(archive, folder))?;
    sync_folder(folder);
    Ok(())
}
