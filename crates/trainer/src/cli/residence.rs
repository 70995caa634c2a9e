//! `--data-on`: whether a run's data set lies on its device, decided before anything is made, and said. What lies there is `data`'s; no weight
//! depends on it.

use anyhow::{Result, anyhow};
use data::{Dataset, Resident};
use device::{Kind, Selected};
use trainer::memory::readable;
use trainer::{Error, TrainConfig};

use super::failure::Failure;
use super::options::Options;

/// Of a GPU's free memory, the part that a data set takes at most unless it is told to: the rest is the network's.
const PART: u64 = 4;
/// Bytes that it takes at most where nobody says what is free.
const UNKNOWN: u64 = 256 << 20;
/// Bytes that it takes at most anywhere: it is one buffer, and drivers need not have larger ones.
const MOST: u64 = 1 << 30;

/// Settles where the inputs of `dataset` lie: the bytes that they take on `device`, of those that are `available`, none on the host, and what is
/// said of it.
pub(super) fn settle(
    options: &Options,
    config: &TrainConfig,
    dataset: &Dataset,
    (device, available): (&Selected, Option<u64>),
) -> Result<(u64, Option<String>)> {
    let bytes = Resident::bytes(dataset, &config.augment);
    match options.data_on.as_deref().unwrap_or("auto") {
        "host" => Ok((0, Some("inputs   on the host".to_owned()))),
        "device" => {
            let bytes = bytes.map_err(|why| Failure::usage(anyhow!("--data-on device: {why}")))?;
            if let Some(available) = available.filter(|available| *available < bytes) {
                let [takes, available] = [bytes, available].map(readable);
                let what = format!("--data-on device: the data set takes {takes}, and {available} are available");
                return Err(Error::Memory(format!("{what}; give --data-on host")).into());
            }
            Ok(there(bytes, device))
        }
        "auto" if matches!(device.card.kind, Kind::Cpu | Kind::Software) => Ok((0, None)),
        "auto" => Ok(match fits(bytes, available) {
            Ok(bytes) => there(bytes, device),
            Err(why) => (0, Some(format!("inputs   on the host: {why}"))),
        }),
        other => Err(Failure::usage(anyhow!("--data-on: expected auto, host or device, found `{other}`"))),
    }
}

fn there(bytes: u64, device: &Selected) -> (u64, Option<String>) {
    (bytes, Some(format!("inputs   on {}, {}: batches are made there", device.name, readable(bytes))))
}

/// What a data set takes on a GPU with so much `available` memory, if that leaves enough for the network; else why not.
fn fits(bytes: Result<u64, String>, available: Option<u64>) -> Result<u64, String> {
    let bytes = bytes?;
    let most = available.map_or(UNKNOWN, |available| available / PART).min(MOST);
    if bytes <= most {
        return Ok(bytes);
    }
    let [takes, most] = [bytes, most].map(readable);
    Err(format!("they take {takes}, and {most} is the most without --data-on device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_lies_on_a_gpu_where_it_leaves_enough_for_the_network() {
        let chosen = |mib: u64, free: Option<u64>| fits(Ok(mib << 20), free.map(|mib| mib << 20)).is_ok();
        assert!(chosen(100, Some(400)) && !chosen(101, Some(400)));
        assert!(chosen(256, None) && !chosen(257, None));
        assert!(chosen(1024, Some(1 << 20)) && !chosen(1025, Some(1 << 20)));
        assert_eq!(fits(Err("why".to_owned()), None), Err("why".to_owned()));
        let told = fits(Ok(2 << 30), Some(4 << 30)).unwrap_err();
        assert_eq!(told, "they take 2.0 GiB, and 1.0 GiB is the most without --data-on device");
    }
}
