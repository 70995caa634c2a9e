//! Edits of safetensors and JSON files: takes them apart and puts them together again, right or wrong as a row asks.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::edits::text;

type Outcome = Result<(), String>;

/// A safetensors file: its header, and the bytes behind it.
struct Parts {
    header: Map<String, Value>,
    data: Vec<u8>,
}

pub(crate) fn apply(verb: &str, path: &Path, rest: &str) -> Outcome {
    let (first, second) = rest.split_once(' ').map_or((rest, None), |(first, second)| (first, Some(second)));
    if verb == "jsonfile" {
        let mut value = serde_json::from_slice(&fs::read(path).map_err(text)?).map_err(text)?;
        set(&mut value, first, second)?;
        return fs::write(path, value.to_string()).map_err(text);
    }
    if verb == "rehash" {
        return rehash(path);
    }
    let mut file = Parts::read(path)?;
    match verb {
        "meta" => {
            let metadata = file.metadata()?;
            match second {
                Some(value) => metadata.insert(first.into(), value.into()),
                None => metadata.remove(first),
            };
        }
        "json" => {
            let (pointer, value) = second.map_or(("", None), |second| match second.split_once(' ') {
                Some((pointer, value)) => (pointer, Some(value)),
                None => (second, None),
            });
            let metadata = file.metadata()?;
            let mut inner: Value = serde_json::from_str(metadata[first].as_str().ok_or("no text")?).map_err(text)?;
            set(&mut inner, pointer, value)?;
            metadata.insert(first.into(), inner.to_string().into());
        }
        "header" => {
            let mut header = Value::Object(file.header);
            set(&mut header, first, second)?;
            file.header = header.as_object().ok_or("no object")?.clone();
        }
        "drop" => {
            let (_, start, end) = file.tensor(first)?;
            file.header.remove(first);
            file.data.drain(start..end);
            file.shift(start, start as i64 - end as i64);
        }
        "rename" => {
            let tensor = file.header.remove(first).ok_or("no such tensor")?;
            file.header.insert(second.ok_or("no name")?.into(), tensor);
        }
        "zeros" => {
            let shape: Vec<usize> = serde_json::from_str(second.ok_or("no shape")?).map_err(text)?;
            let (start, len) = (file.data.len(), 4 * shape.iter().product::<usize>());
            let tensor = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, start + len]});
            file.header.insert(first.into(), tensor);
            file.data.resize(start + len, 0);
        }
        "number" => {
            let (_, start, _) = file.tensor(first)?;
            let number: f32 = second.ok_or("no number")?.parse().map_err(text)?;
            file.data[start..start + 4].copy_from_slice(&number.to_le_bytes());
        }
        _ => return Err("no such edit".into()),
    }
    file.write(path)
}

impl Parts {
    fn read(path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(text)?;
        let (len, rest) = bytes.split_first_chunk::<8>().ok_or("too short")?;
        let (header, data) = rest.split_at(u64::from_le_bytes(*len) as usize);
        Ok(Self { header: serde_json::from_slice(header).map_err(text)?, data: data.to_vec() })
    }

    fn write(&self, path: &Path) -> Outcome {
        let header = Value::Object(self.header.clone()).to_string();
        let len = (header.len() as u64).to_le_bytes();
        fs::write(path, [len.as_slice(), header.as_bytes(), &self.data].concat()).map_err(text)
    }

    fn metadata(&mut self) -> Result<&mut Map<String, Value>, String> {
        self.header.entry("__metadata__").or_insert(Value::Object(Map::new())).as_object_mut().ok_or("no map".into())
    }

    fn tensor(&self, name: &str) -> Result<(&Value, usize, usize), String> {
        let tensor = self.header.get(name).ok_or_else(|| {
            format!("no such tensor; there are {}", self.header.keys().cloned().collect::<Vec<_>>().join(", "))
        })?;
        let offset = |at: usize| tensor["data_offsets"][at].as_u64().map(|offset| offset as usize).ok_or("no offset");
        Ok((tensor, offset(0)?, offset(1)?))
    }

    /// Moves the tensors that lie behind `from`.
    fn shift(&mut self, from: usize, by: i64) {
        for tensor in self.header.iter_mut().filter(|(name, _)| *name != "__metadata__").map(|(_, tensor)| tensor) {
            for at in 0..2 {
                if let Some(offset) = tensor["data_offsets"][at].as_i64().filter(|offset| *offset > from as i64) {
                    tensor["data_offsets"][at] = (offset + by).into();
                }
            }
        }
    }
}

/// Writes into a checkpoint's manifest the hashes that its files have now.
fn rehash(folder: &Path) -> Outcome {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).map_err(text)?).map_err(text)?;
    for (name, hash) in manifest["sha256"].as_object_mut().ok_or("no hashes")? {
        let bytes = fs::read(folder.join(name)).map_err(text)?;
        *hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    }
    fs::write(path, manifest.to_string()).map_err(text)
}

/// Sets what `pointer` (RFC 6901) means to a value written as JSON, or removes it.
fn set(value: &mut Value, pointer: &str, new: Option<&str>) -> Outcome {
    if pointer == "/" {
        *value = serde_json::from_str(new.ok_or("no value")?).map_err(text)?;
        return Ok(());
    }
    let (parent, key) = pointer.rsplit_once('/').ok_or("no pointer")?;
    let parent = value.pointer_mut(parent).ok_or_else(|| format!("no `{parent}`"))?;
    let new = new.map(serde_json::from_str).transpose().map_err(text)?;
    match (parent, new) {
        (Value::Object(map), Some(new)) => {
            map.insert(key.replace("~1", "/"), new);
        }
        (Value::Object(map), None) => {
            map.remove(key).ok_or("nothing there")?;
        }
        (Value::Array(array), Some(new)) => match key.parse::<usize>() {
            Ok(at) if at < array.len() => array[at] = new,
            _ => array.push(new),
        },
        (Value::Array(array), None) => {
            array.remove(key.parse::<usize>().map_err(text)?);
        }
        _ => return Err("neither a list nor a map".into()),
    }
    Ok(())
}
