#!/usr/bin/env python3
"""Writes the pictures beside it, which no encoder in the tests can write: `python make.py`, with pillow 11 or newer.

Each holds the picture of `picture()` in `serve_pictures.rs`, gray, 8x8: 20 + 24 x + 3 y. What else is in the file, further frames or pages, is its negative.
"""

import struct
import zlib
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
SIZE = (8, 8)
K = 40


def gray(value):
    image = Image.new("L", SIZE)
    image.putdata([value(20 + 24 * x + 3 * y) for y in range(8) for x in range(8)])
    return image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def animations(picture, negative):
    more = {"save_all": True, "append_images": [negative, picture], "duration": 50, "loop": 0}
    picture.save(HERE / "animated.gif", **more)
    picture.save(HERE / "animated.png", **more)
    picture.convert("RGB").save(HERE / "animated.webp", lossless=True, **{**more, "append_images": [negative.convert("RGB")]})
    picture.save(HERE / "pages.tif", save_all=True, append_images=[negative])


def inks(picture):
    """Four inks. JPEGs hold them inverted, as Adobe began to; all decoders take them so, with Adobe's segment (APP14) or without."""
    cyan = picture.point(lambda p: 255 - round(p * 255 / (255 - K)))
    black = Image.new("L", SIZE, K)
    image = Image.merge("CMYK", [cyan, cyan, cyan, black])
    image.save(HERE / "cmyk.tif", compression="tiff_lzw")
    image.save(HERE / "cmyk-adobe.jpg", quality=100, subsampling=0)
    whole = (HERE / "cmyk-adobe.jpg").read_bytes()
    at = whole.index(b"\xff\xee")
    after = at + 2 + struct.unpack(">H", whole[at + 2 : at + 4])[0]
    (HERE / "cmyk.jpg").write_bytes(whole[:at] + whole[after:])
    # Luma and two differences for three of the inks: what is gray has none of these. Pillow inverts whatever it is given.
    middle = Image.new("L", SIZE, 255 - 128)
    Image.merge("CMYK", [cyan.point(lambda ink: 255 - ink), middle, middle, black]).save(HERE / "ycck.jpg", quality=100, subsampling=0)
    bytes_ = bytearray((HERE / "ycck.jpg").read_bytes())
    bytes_[bytes_.index(b"Adobe") + 11] = 2
    (HERE / "ycck.jpg").write_bytes(bytes_)


def depths(picture):
    deep = Image.frombytes("I;16", SIZE, b"".join(struct.pack("<H", 257 * value) for value in picture.tobytes()))
    deep.save(HERE / "gray16.tif", compression="tiff_adobe_deflate")
    picture.convert("F").point(lambda value: value / 255).save(HERE / "float.tif")
    picture.save(HERE / "packbits.tif", compression="packbits")
    picture.point(lambda value: 255 * (value > 104)).convert("1").save(HERE / "fax.tif", compression="group4")
    picture.convert("P").save(HERE / "palette.tif")
    picture.save(HERE / "jpeg2000.jp2")


def bombs():
    """Files of some hundred bytes or some thousand that would be hundreds of megabytes."""
    signature = b"\x89PNG\r\n\x1a\n"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(72)))
    text = zlib.compress(bytes(64 << 20), 9)
    profile = chunk(b"iCCP", b"profile\0\0" + text)
    comment = chunk(b"zTXt", b"Comment\0\0" + text)
    end = chunk(b"IEND", b"")
    (HERE / "bomb-profile.png").write_bytes(signature + header + profile + pixels + end)
    (HERE / "bomb-text.png").write_bytes(signature + header + comment + pixels + end)
    # 30,000 x 30,000, with one strip that is some bytes long.
    tags = [(256, 4, 30000), (257, 4, 30000), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 122), (277, 3, 1), (278, 4, 30000), (279, 4, 20)]
    entries = b"".join(struct.pack("<HHIHH" if kind == 3 else "<HHII", tag, kind, 1, *((value, 0) if kind == 3 else (value,))) for tag, kind, value in tags)
    folder = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    (HERE / "bomb.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + folder + zlib.compress(bytes(1000)).ljust(20, b"\0"))


if __name__ == "__main__":
    picture, negative = gray(lambda value: value), gray(lambda value: 255 - value)
    animations(picture, negative)
    inks(picture)
    depths(picture)
    bombs()
