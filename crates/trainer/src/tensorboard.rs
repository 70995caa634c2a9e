//! TensorBoard's event files, as far as a training needs them: scalars, pictures and histograms in protocol buffers inside TFRecords. Written
//! by hand, for it is a dozen fields of three messages: a library would bring a compiler of its own into every build. What is written
//! when is `cli::board`'s.
//!
//! The messages are `tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto`; the frame is that of
//! `tensorflow/core/lib/io/record_writer.h`.

/// One value under a name.
pub(crate) struct Summary {
    /// `train/loss`: TensorBoard makes a group of what stands before the first slash.
    pub(crate) tag: String,
    /// What it is.
    pub(crate) value: Value,
}

/// What TensorBoard shows.
pub(crate) enum Value {
    /// A point of a curve.
    Scalar(f32),
    /// A PNG file, with height, width and channels.
    Picture { png: Vec<u8>, shape: [usize; 3] },
    /// How often numbers fall where.
    Histogram(Histogram),
}

/// Bars of a histogram.
const BARS: usize = 30;

/// Numbers, counted in bars of equal width.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    min: f64,
    max: f64,
    count: f64,
    sum: f64,
    squares: f64,
    /// The upper end of each bar.
    ends: Vec<f64>,
    bars: Vec<f64>,
}

impl Histogram {
    /// Of the finite ones of `values`.
    pub(crate) fn of(values: &[f32]) -> Self {
        let finite = || values.iter().map(|&value| f64::from(value)).filter(|value| value.is_finite());
        let (min, max) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)));
        if min > max {
            return Self::default();
        }
        // A bar of no width would not be drawn.
        let width = if max > min { (max - min) / BARS as f64 } else { f64::EPSILON.max(min.abs() * 1e-6) };
        let mut found = Self {
            min,
            max,
            ends: (1..=BARS).map(|bar| if bar == BARS && max > min { max } else { min + width * bar as f64 }).collect(),
            bars: vec![0.0; BARS],
            ..Self::default()
        };
        for value in finite() {
            found.count += 1.0;
            found.sum += value;
            found.squares += value * value;
            found.bars[(((value - min) / width) as usize).min(BARS - 1)] += 1.0;
        }
        found
    }
}

/// The first record of every file: which version it has.
pub(crate) fn head(wall_time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(3, b"brain.Event:2");
    record(&event.0)
}

/// A record that begins a sitting at `step`: TensorBoard forgets what was written of this step and later ones before.
pub(crate) fn start(wall_time: f64, step: u64) -> Vec<u8> {
    let mut session = Message::default();
    session.varint(1, 1);
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint(2, step);
    event.bytes(7, &session.0);
    record(&event.0)
}

/// A record of `summaries` at `step`.
pub(crate) fn event(wall_time: f64, step: u64, summaries: &[Summary]) -> Vec<u8> {
    let mut all = Message::default();
    for Summary { tag, value } in summaries {
        let mut one = Message::default();
        one.bytes(1, tag.as_bytes());
        match value {
            Value::Scalar(number) => one.float(2, *number),
            Value::Picture { png, shape: [height, width, channels] } => {
                let mut picture = Message::default();
                [height, width, channels]
                    .iter()
                    .zip(1..)
                    .for_each(|(side, field)| picture.varint(field, **side as u64));
                picture.bytes(4, png);
                one.bytes(4, &picture.0);
            }
            Value::Histogram(histogram) => one.bytes(5, &encoded(histogram).0),
        }
        all.bytes(1, &one.0);
    }
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint(2, step);
    event.bytes(5, &all.0);
    record(&event.0)
}

fn encoded(histogram: &Histogram) -> Message {
    let Histogram { min, max, count, sum, squares, ends, bars } = histogram;
    let mut message = Message::default();
    [min, max, count, sum, squares].iter().zip(1..).for_each(|(number, field)| message.double(field, **number));
    let packed = |numbers: &[f64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    message.bytes(6, &packed(ends));
    message.bytes(7, &packed(bars));
    message
}

/// A message of protocol buffers, field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire: u64) {
        self.raw(field << 3 | wire);
    }

    fn raw(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Zero is what stands for a field that isn't there.
    fn varint(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.key(field, 0);
            self.raw(number);
        }
    }

    /// The same.
    fn double(&mut self, field: u64, number: f64) {
        if number.to_bits() != 0 {
            self.key(field, 1);
            self.0.extend(number.to_le_bytes());
        }
    }

    /// One of several fields, of which zero is a value as any.
    fn float(&mut self, field: u64, number: f32) {
        self.key(field, 5);
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// A TFRecord: the length, its checksum, the bytes, theirs.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), bytes, &masked(bytes).to_le_bytes()].concat()
}

/// The checksum turned and shifted, so that one of bytes that hold checksums is none of those.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, &byte| TABLE[((crc ^ u32::from(byte)) & 0xff) as usize] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn checksums_are_those_of_the_rfc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// The bytes that the `tensorboard` package writes (`tests/tensorboard/peer.py`).
    #[test]
    fn records_are_tensorboards_to_the_byte() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/tensorboard/records.json")).unwrap();
        let made = [
            ("head", head(1.5)),
            ("start", start(1.5, 300)),
            ("scalars", event(2.25, 7, &[scalar("train/loss", 0.125), scalar("val/\u{732b}", f32::NAN)])),
            (
                "picture",
                event(
                    2.25,
                    0,
                    &[Summary {
                        tag: "first".into(),
                        value: Value::Picture { png: vec![1, 2, 200], shape: [28, 300, 1] },
                    }],
                ),
            ),
            ("histogram", event(2.25, 1 << 40, &[Summary { tag: "w".into(), value: Value::Histogram(few()) }])),
        ];
        for (name, bytes) in made {
            assert_eq!(hex(&bytes), golden[name].as_str().unwrap(), "{name}");
        }
    }

    fn scalar(tag: &str, value: f32) -> Summary {
        Summary { tag: tag.into(), value: Value::Scalar(value) }
    }

    fn few() -> Histogram {
        Histogram {
            min: -1.0,
            max: 3.0,
            count: 3.0,
            sum: 2.5,
            squares: 10.25,
            ends: vec![1.0, 3.0],
            bars: vec![2.0, 1.0],
        }
    }

    #[test]
    fn every_finite_number_is_in_one_bar() {
        let found = Histogram::of(&[0.0, 1.0, 1.5, 3.0, f32::NAN, f32::INFINITY]);
        assert_eq!((found.min, found.max, found.count, found.sum, found.squares), (0.0, 3.0, 4.0, 5.5, 12.25));
        assert_eq!((found.bars.len(), found.bars.iter().sum::<f64>(), found.bars[29]), (30, 4.0, 1.0));
        assert_eq!((found.ends[0], found.ends[29]), (0.1, 3.0));
        let constant = Histogram::of(&[2.0; 5]);
        assert_eq!((constant.min, constant.max, constant.bars[0]), (2.0, 2.0, 5.0));
        assert!(constant.ends.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Histogram::of(&[f32::NAN]), Histogram::default());
    }
}
