//! From the bytes of an image file to `[channels, height, width]` bytes as an [`ImageSpec`] asks: the one function that folders,
//! streaming and inference share. Resampling itself is in `resize`; mean and standard deviation are applied by the model.
//!
//! Transparent pixels are laid over white, as browsers and viewers show them: what has transparency is mostly drawn for a white
//! page. Gray is Rec. 709 luma; 16-bit samples are rounded to 8 bits. Of an animation the first frame counts. A photo's EXIF orientation is
//! applied, as a viewer does, unless [`Exif::Ignored`] is asked for.

use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use ::image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage, metadata::Orientation,
};

use crate::contain::contain;
use crate::failpoint::{DECODE, failpoint};
use crate::regular::regular;
use crate::{Error, Filter, Fit, ImageSpec, resize};

/// Images of more pixels are refused before memory is taken for them.
pub const MAX_PIXELS: u64 = 100_000_000;
/// Images of a longer side are refused: it is what JPEG can express.
pub const MAX_SIDE: u32 = 65_535;
/// The longest side of what a network takes: a batch of larger ones fits in no memory.
pub const MAX_INPUT: usize = 4096;
/// The largest file that is read.
pub(crate) const MAX_FILE: u64 = 1 << 30;
const FORMATS: &str = "an image (png, jpeg, bmp, gif, webp, pnm or tiff)";
/// Extensions of the formats that can be decoded, lower case; the content decides which one a file is.
const EXTENSIONS: [&str; 15] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "gif", "webp", "pnm", "pbm", "pgm", "ppm", "pam", "tif", "tiff"];

/// What becomes of the orientation that a photo's EXIF tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exif {
    /// The picture is turned as viewers turn it.
    #[default]
    Applied,
    /// Pixels stay as they are stored.
    Ignored,
}

/// What the header of an image file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Rows of pixels, as a viewer shows them (or as they are stored, where EXIF is ignored).
    pub height: u32,
    /// Columns of pixels, as a viewer shows them.
    pub width: u32,
    /// Whether the file holds a single channel of intensities (and perhaps transparency).
    pub gray: bool,
}

/// Whether the name of `path` ends as image files do.
pub fn has_image_name(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Reads the header of the image file `path`.
///
/// # Errors
/// A file that cannot be read, is no image, or declares an absurd size.
pub fn probe(path: &Path) -> Result<Header, Error> {
    let len = size(path)?;
    let file = std::fs::File::open(path).map_err(|source| Error::io(path, source))?;
    header(BufReader::new(file), len, path, Exif::Applied)
}

/// Reads the header of an image file's `bytes`; `path` names them in messages.
///
/// # Errors
/// Bytes that are no image, or declare an absurd size.
pub fn probe_bytes(bytes: &[u8], path: &Path, exif: Exif) -> Result<Header, Error> {
    header(Cursor::new(bytes), bytes.len() as u64, path, exif)
}

fn header(bytes: impl BufRead + Seek, len: u64, path: &Path, exif: Exif) -> Result<Header, Error> {
    let (gray, (width, height), orientation) = contained(path, || {
        let (decoder, orientation) = decoder(bytes, len, path, exif)?;
        Ok((!decoder.color_type().has_color(), decoder.dimensions(), orientation))
    })?;
    let turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (height, width) = if turned { (width, height) } else { (height, width) };
    Ok(Header { height, width, gray })
}

/// What the name of `path` says that it holds and what it holds instead, as extensions; `None` where both are the same, or either isn't
/// known.
pub(crate) fn disguise(path: &Path) -> Option<(&'static str, &'static str)> {
    let named = ImageFormat::from_path(path).ok()?;
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(64).read_to_end(&mut head).ok()?;
    let held = ::image::guess_format(&head).ok()?;
    let name = |format: ImageFormat| format.extensions_str().first().copied().unwrap_or("another");
    (named != held).then(|| (name(named), name(held)))
}

/// Decodes the image file `path` into `[channels, height, width]` bytes of `spec`.
///
/// # Errors
/// As [`decode_bytes`]; a file that cannot be read.
pub fn decode_file(path: &Path, spec: &ImageSpec) -> Result<Vec<u8>, Error> {
    decode_bytes(&read_file(path)?, path, spec)
}

/// The bytes of the image file `path`, for [`decode_bytes`].
///
/// # Errors
/// A file that cannot be read, or is absurdly large.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let size = size(path)?;
    if size > MAX_FILE {
        return Err(Error::malformed(path, "file", format!("at most {MAX_FILE} bytes"), format!("{size}")));
    }
    std::fs::read(path).map_err(|source| Error::io(path, source))
}

/// Bytes of the file `path`. Opening a pipe would wait for a writer, and some devices never end.
fn size(path: &Path) -> Result<u64, Error> {
    Ok(regular(path)?.len())
}

/// Decodes the bytes of an image file into `[channels, height, width]` bytes of `spec`; `path` names them in messages.
///
/// # Errors
/// Bytes that are no image, are cut short, declare an absurd size (refused before allocating), or make a decoder panic; a recipe of absurd
/// size.
pub fn decode_bytes(bytes: &[u8], path: &Path, spec: &ImageSpec) -> Result<Vec<u8>, Error> {
    decode_bytes_as(bytes, path, spec, Exif::Applied)
}

/// The same as [`decode_bytes`], with the orientation of photos as `exif` says.
///
/// # Errors
/// As [`decode_bytes`].
pub fn decode_bytes_as(bytes: &[u8], path: &Path, spec: &ImageSpec, exif: Exif) -> Result<Vec<u8>, Error> {
    check_spec(spec)?;
    let image = decode(bytes, path, exif)?;
    let size = [image.height() as usize, image.width() as usize];
    Ok(resize::fit(&flatten(image, spec.channels), size, spec))
}

/// A picture for people, beside what a network makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnail {
    /// `[3, height, width]`, red, green and blue.
    pub pixels: Vec<u8>,
    /// Its height and width.
    pub shown: [usize; 2],
    /// Height and width of the picture itself.
    pub size: [usize; 2],
}

/// The whole picture in the bytes of an image file, no side of it longer than `side`; `path` names it in messages.
///
/// # Errors
/// As [`decode_bytes`].
pub fn thumbnail(bytes: &[u8], path: &Path, side: usize, exif: Exif) -> Result<Thumbnail, Error> {
    let image = decode(bytes, path, exif)?;
    let size = [image.height() as usize, image.width() as usize];
    let scale = (side as f64 / size[0].max(size[1]) as f64).min(1.0);
    let shown = size.map(|side| ((side as f64 * scale).round() as usize).max(1));
    let (fit, filter) = (Fit::Stretch, Filter::default());
    let spec =
        ImageSpec { channels: 3, height: shown[0], width: shown[1], fit, filter, mean: Vec::new(), std: Vec::new() };
    Ok(Thumbnail { pixels: resize::fit(&flatten(image, 3), size, &spec), shown, size })
}

/// The whole image, turned as `exif` says.
fn decode(bytes: &[u8], path: &Path, exif: Exif) -> Result<DynamicImage, Error> {
    contained(path, || {
        let (decoder, orientation) = decoder(Cursor::new(bytes), bytes.len() as u64, path, exif)?;
        if bytes.starts_with(&[0xFF, 0xD8]) && !jpeg_is_whole(bytes) {
            // The decoder would fill up what is missing with gray.
            let place = format!("byte {}", bytes.len());
            return Err(Error::malformed(path, place, "more of a JPEG", "the end of the file"));
        }
        pixels(decoder, orientation, path)
    })
}

/// Decodes, and turns as a viewer does.
fn pixels(decoder: impl ImageDecoder, orientation: Orientation, path: &Path) -> Result<DynamicImage, Error> {
    failpoint(DECODE).map_err(|source| Error::io(path, source))?;
    let mut image = DynamicImage::from_decoder(decoder)
        .map_err(|error| Error::malformed(path, "pixels", "a whole image", worded(&error)))?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Runs decoders on the file `path`: there are many of them, and what one of them panics on is a file like any other that is no image.
fn contained<T>(path: &Path, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    contain(decode).unwrap_or_else(|panic| {
        let found = format!("one that its decoder panics on ({panic})");
        Err(Error::malformed(path, "contents", "an image that can be decoded", found))
    })
}

/// Refuses recipes that no image could follow: models come from files, too.
pub(crate) fn check_spec(spec: &ImageSpec) -> Result<(), Error> {
    if !matches!(spec.channels, 1 | 3) {
        return Err(Error::option("--channels", format!("expected 1 (gray) or 3 (RGB), found {}", spec.channels)));
    }
    let sides = 1..=MAX_INPUT;
    if !sides.contains(&spec.height) || !sides.contains(&spec.width) {
        let what = format!("expected 1 to {MAX_INPUT} pixels a side, found {}x{}", spec.height, spec.width);
        return Err(Error::option("--imgsz", what));
    }
    Ok(())
}

/// What a decoder says, without what is said around it.
fn worded(error: &ImageError) -> String {
    let text = match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "the end of the file".into(),
        // "Format error decoding Png: what is wrong", and the fields of its structures behind that.
        error => error.to_string(),
    };
    let text =
        text.split_once(": ").filter(|(start, _)| start.starts_with("Format error")).map_or(&*text, |(_, rest)| rest);
    text.split(" while decoding ChunkType").next().unwrap_or(text).trim().to_owned()
}

/// Pixels that a byte of a file can become at most, where the format knows such a number: a small file that declares more lies.
fn densest(format: ImageFormat) -> u64 {
    match format {
        // Deflate shrinks by no more than 1032 (zlib.net/zlib_tech.html), and a byte holds 8 pixels.
        ImageFormat::Png => 1032 * 8,
        // A code of LZW, 9 bits or more, stands for no more than 4096 pixels.
        ImageFormat::Gif => 4096,
        ImageFormat::Pnm => 8,
        // A block of 8x8 takes a bit or more (ITU T.81): fewer would be filled up with gray.
        ImageFormat::Jpeg => 512,
        _ => MAX_PIXELS,
    }
}

/// A decoder whose declared size is sane, and how the image is to be turned; `len` is the size of the file.
fn decoder<'a>(
    bytes: impl BufRead + Seek + 'a,
    len: u64,
    path: &Path,
    exif: Exif,
) -> Result<(impl ImageDecoder + 'a, Orientation), Error> {
    let bad = |error: ImageError| match error {
        ImageError::Unsupported(error) => Error::malformed(path, "format", FORMATS, error),
        error => Error::malformed(path, "header", FORMATS, worded(&error)),
    };
    let mut reader = ImageReader::new(bytes).with_guessed_format().map_err(|source| Error::io(path, source))?;
    let Some(format) = reader.format() else {
        return Err(Error::malformed(path, "first bytes", FORMATS, "something else, or nothing"));
    };
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_PIXELS * 12);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(bad)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::malformed(path, "header", "at least one pixel", format!("{width}x{height}")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS || width.max(height) > MAX_SIDE {
        let expected = format!("at most {} megapixels, {MAX_SIDE} a side", MAX_PIXELS / 1_000_000);
        return Err(Error::malformed(path, "header", expected, format!("a declared size of {width}x{height}")));
    }
    let most = len.saturating_mul(densest(format));
    if u64::from(width) * u64::from(height) > most {
        let expected = format!("at most {most} pixels, by the size of the file");
        return Err(Error::malformed(path, "header", expected, format!("a declared size of {width}x{height}")));
    }
    // A frame of a GIF may be larger than its picture: nothing may take much more memory than the picture itself.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(decoder.total_bytes().saturating_mul(2).saturating_add(16 << 20));
    decoder.set_limits(limits).map_err(bad)?;
    // Metadata that cannot be read is no reason to refuse the pixels.
    let told = match exif {
        Exif::Applied => decoder.orientation().ok(),
        Exif::Ignored => None,
    };
    Ok((decoder, told.unwrap_or(Orientation::NoTransforms)))
}

/// `[height, width, channels]` bytes without transparency.
fn flatten(image: DynamicImage, channels: usize) -> Vec<u8> {
    let image = if image.color().has_alpha() { over_white(&image) } else { image };
    if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() }
}

fn over_white(image: &DynamicImage) -> DynamicImage {
    let pixels = image.to_rgba8();
    let (width, height) = pixels.dimensions();
    let mut out = RgbImage::new(width, height);
    for (to, from) in out.pixels_mut().zip(pixels.pixels()) {
        let [r, g, b, alpha] = from.0.map(u32::from);
        *to = Rgb([r, g, b].map(|value| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
    }
    DynamicImage::ImageRgb8(out)
}

/// Whether the markers of a JPEG lead to its end marker (ITU T.81, annex B).
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(rest) = bytes.get(at..).and_then(|rest| Some((rest.first()?, rest.get(1)?, rest.get(2..)?))) {
        match rest {
            (0xFF, 0xD9, _) => return true,
            // Fill bytes, stuffed zeros, restart markers and standalone ones have no length.
            (0xFF, 0xFF, _) => at += 1,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8, _) => at += 2,
            (0xFF, _, [high, low, ..]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            (0xFF, _, _) => return false,
            // Entropy-coded data: on to the next marker.
            _ => match bytes[at..].iter().position(|&byte| byte == 0xFF) {
                Some(ahead) => at += ahead,
                None => return false,
            },
        }
    }
    false
}

#[cfg(test)]
mod tests;
