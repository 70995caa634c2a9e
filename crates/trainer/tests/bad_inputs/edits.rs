//! The edits of tables of bad inputs: what a row does to its folder before the program is run.
//!
//! | edit | what it does |
//! |---|---|
//! | `write FILE TEXT` | makes a file, folders included; `\n`, `\t`, `\r`, `\0`, `\\` and `\xNN` as in Rust |
//! | `fill FILE N [BYTE]` | makes a file of N bytes that are all BYTE (hexadecimal, 00) |
//! | `sparse FILE N` | makes a file of N bytes without writing them |
//! | `poke FILE PLACE BYTES` | overwrites bytes (hexadecimal); a PLACE below zero counts from the end |
//! | `cut FILE LEN` | keeps the first bytes only; a LEN below zero counts from the end |
//! | `grow FILE N` | adds N zeros |
//! | `replace FILE FROM => TO` | replaces a text by another, wherever it stands |
//! | `remove PATH`, `folder PATH`, `copy FROM TO`, `move FROM TO`, `link TO AT`, `pipe PATH` | what they say |
//! | `picture FILE MODE WxH` | makes a picture of that mode (l8, la8, rgb8, rgba8, l16, rgb16, rgb32f), its format by the name |
//! | `png FILE WxH` | a PNG that declares that size and holds no pixels |
//! | `meta FILE KEY [TEXT]` | sets or removes a key of a safetensors file's metadata |
//! | `json FILE KEY POINTER [VALUE]` | sets or removes a part of the JSON in such a key |
//! | `header FILE POINTER [VALUE]` | sets or removes a part of a safetensors file's header, without touching what follows |
//! | `drop FILE TENSOR`, `rename FILE TENSOR NAME`, `zeros FILE TENSOR SHAPE`, `number FILE TENSOR VALUE` | removes, renames, adds a tensor; sets its first number |
//! | `jsonfile FILE POINTER [VALUE]` | as `json`, in a file of JSON |
//! | `rehash FOLDER` | makes a checkpoint's manifest right again, so that what is behind the hashes is reached |

use std::fs;
use std::path::Path;

use super::tensors;

type Outcome = Result<(), String>;

pub(crate) fn apply(edit: &str, folder: &Path) -> Outcome {
    let (verb, rest) = edit.split_once(' ').ok_or("no edit")?;
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let path = folder.join(name);
    match verb {
        "write" => make(&path, &unescape(rest)),
        "fill" => {
            let (n, byte) = rest.split_once(' ').unwrap_or((rest, "00"));
            make(&path, &vec![u8::from_str_radix(byte, 16).map_err(text)?; number(n)? as usize])
        }
        "sparse" => {
            let len = number(rest)? as u64;
            fs::File::create(&path).and_then(|file| file.set_len(len)).map_err(text)
        }
        "poke" => {
            let (place, bytes) = rest.split_once(' ').ok_or("no bytes")?;
            change(&path, |all| {
                let at = from_end(number(place)?, all.len());
                let bytes = hexadecimal(bytes)?;
                all.get_mut(at..at + bytes.len()).ok_or("beyond the end")?.copy_from_slice(&bytes);
                Ok(())
            })
        }
        "cut" => change(&path, |all| {
            all.truncate(from_end(number(rest)?, all.len()));
            Ok(())
        }),
        "grow" => change(&path, |all| {
            all.resize(all.len() + number(rest)? as usize, 0);
            Ok(())
        }),
        "replace" => {
            let (from, to) = rest.split_once(" => ").ok_or("no =>")?;
            let all = fs::read_to_string(&path).map_err(text)?;
            if !all.contains(from) {
                return Err(format!("`{from}` isn't in it: {all}"));
            }
            make(&path, &unescape(&all.replace(from, to)))
        }
        "remove" if path.is_dir() => fs::remove_dir_all(&path).map_err(text),
        "remove" => fs::remove_file(&path).map_err(text),
        "folder" => fs::create_dir_all(&path).map_err(text),
        "copy" => {
            copy(&path, &folder.join(rest));
            Ok(())
        }
        "move" => {
            let to = folder.join(rest);
            fs::create_dir_all(to.parent().ok_or("no folder")?).and_then(|()| fs::rename(&path, to)).map_err(text)
        }
        #[cfg(unix)]
        "link" => std::os::unix::fs::symlink(name, folder.join(rest)).map_err(text),
        "pipe" => {
            let made = std::process::Command::new("mkfifo").arg(&path).status().map_err(text)?;
            if made.success() { Ok(()) } else { Err("no pipe".into()) }
        }
        "picture" => {
            let (mode, size) = rest.split_once(' ').ok_or("no size")?;
            picture(&path, mode, sides(size)?)
        }
        "png" => make(&path, &png(sides(rest)?)),
        _ => tensors::apply(verb, &path, rest),
    }
}

/// A file, with the folders that it needs.
pub(crate) fn make(path: &Path, bytes: &[u8]) -> Outcome {
    fs::create_dir_all(path.parent().ok_or("no folder")?).and_then(|()| fs::write(path, bytes)).map_err(text)
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>) -> Outcome) -> Outcome {
    let mut bytes = fs::read(path).map_err(text)?;
    edit(&mut bytes)?;
    fs::write(path, bytes).map_err(text)
}

/// Copies a file, or all that is in a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        out.push(match (byte, bytes.clone().next()) {
            (b'\\', Some(code @ (b'n' | b't' | b'r' | b'0' | b'\\' | b'x'))) => {
                bytes.next();
                match code {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'0' => 0,
                    b'x' => {
                        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    _ => b'\\',
                }
            }
            _ => byte,
        });
    }
    out
}

fn number(digits: &str) -> Result<i64, String> {
    digits.trim().parse().map_err(text)
}

fn from_end(place: i64, len: usize) -> usize {
    if place < 0 { len - place.unsigned_abs() as usize } else { place as usize }
}

fn hexadecimal(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(text)).collect()
}

fn sides(size: &str) -> Result<[u32; 2], String> {
    let (width, height) = size.split_once('x').ok_or("no size")?;
    Ok([width.parse().map_err(text)?, height.parse().map_err(text)?])
}

pub(crate) fn text(error: impl ToString) -> String {
    error.to_string()
}

fn picture(path: &Path, mode: &str, [width, height]: [u32; 2]) -> Outcome {
    use image::{ColorType, DynamicImage};
    let colour = match mode {
        "l8" => ColorType::L8,
        "la8" => ColorType::La8,
        "rgb8" => ColorType::Rgb8,
        "rgba8" => ColorType::Rgba8,
        "l16" => ColorType::L16,
        "rgb16" => ColorType::Rgb16,
        "rgb32f" => ColorType::Rgb32F,
        _ => return Err(format!("no mode `{mode}`")),
    };
    fs::create_dir_all(path.parent().ok_or("no folder")?).map_err(text)?;
    let mut picture = DynamicImage::new(width, height, colour);
    if let DynamicImage::ImageLuma8(pixels) = &mut picture {
        pixels.enumerate_pixels_mut().for_each(|(x, y, pixel)| pixel.0[0] = (x * 31 + y * 17) as u8);
    }
    picture.save(path).map_err(text)
}

/// A PNG (RFC 2083) of 8-bit RGB that declares that size: signature, header and an empty chunk of pixels.
fn png([width, height]: [u32; 2]) -> Vec<u8> {
    let body = [b"IHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let crc = !body.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    let data = b"\0\0\0\0IDAT\x35\xaf\x06\x1e".as_slice();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d".as_slice(), &body, &crc.to_be_bytes(), data].concat()
}
