"""Damaged pictures, crafted ones that are expensive to decode, and polyglots."""

import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from tests.pictures import RESOURCES, as_bytes, drawn_seven, seven

Cases = Iterator[tuple[str, bytes]]
MANY = 19_000_000
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of 8,984 x 33 grey pixels, all of them in the last bytes.
LOSSLESS_JPEG = bytes.fromhex(
    "ffd8ffc3000b080021231801011100ffc4001400010000000000000000000000000000"
    "0000ffda0008010100010000"
) + bytes(63)
ADAM7 = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def good_pictures() -> list[bytes]:
    photos = sorted(RESOURCES.glob("photos_mit/*/*.jpg"))[::20]
    drawn = [
        as_bytes(drawn_seven(), "JPEG", progressive=True),
        seven("PNG"),
        as_bytes(drawn_seven().quantize(16)),
        as_bytes(drawn_seven().convert("LA")),
    ]
    return [*(path.read_bytes() for path in photos), *drawn]


def damaged(chance: random.Random, count: int) -> Cases:
    pictures = good_pictures()
    for number, picture in enumerate(pictures):
        for tenths in range(1, 10):
            yield f"{number} cut at {tenths}0 %", picture[: len(picture) * tenths // 10]
    for number in range(count):
        yield f"damaged {number}", with_wrong_bits(chance, chance.choice(pictures))


def with_wrong_bits(chance: random.Random, picture: bytes) -> bytes:
    wrong = bytearray(picture)
    # Half of them in the headers, where more depends on each bit.
    end = len(wrong) if chance.random() < 0.5 else min(700, len(wrong))
    for _ in range(chance.choice([1, 1, 3, 30])):
        wrong[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(wrong)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def png(
    width: int, height: int, *, colour=0, depth=8, interlaced=0, extra=b""
) -> bytes:
    """A black one, of the given type."""
    bits = depth * {0: 1, 2: 3, 6: 4}[colour]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    packer, data = zlib.compressobj(9), b""
    for left, top, step_x, step_y in passes:
        columns, rows = -((left - width) // step_x), -((top - height) // step_y)
        line = bytes(1 + (columns * bits + 7) // 8)
        block = 1000 * line
        for _ in range(rows // 1000):
            data += packer.compress(block)
        data += packer.compress(rows % 1000 * line)
    data += packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = [chunk(b"IHDR", head), extra, chunk(b"IDAT", data), chunk(b"IEND")]
    return PNG_SIGNATURE + b"".join(parts)


def zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def with_sampling(jpeg: bytes, factors: int) -> bytes:
    place = jpeg.index(b"\xff\xc0") + 11
    return jpeg[:place] + bytes([factors]) + jpeg[place + 1 :]


def exif(tags: int, size: int) -> bytes:
    """As many tags, each of which claims all the bytes."""
    entries = [struct.pack("<HHII", 0x0112, 3, 1, 6)]
    entries += [
        struct.pack("<HHII", 0x0200 + tag, 7, size - 8, 8) for tag in range(tags)
    ]
    body = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries)
    return body.ljust(size, b"\0")


def repeated(part: bytes) -> bytes:
    return MANY // len(part) * part


def bombs() -> Cases:
    jpeg, small = seven("JPEG"), seven("PNG")
    yield "88 megapixels", png(11_000, 8_000)
    yield "64 megapixels", png(8_000, 8_000)
    yield "64 megapixels in colour", png(8_000, 8_000, colour=2)
    yield "64 megapixels with alpha", png(8_000, 8_000, colour=6)
    yield "64 megapixels of 16 bits", png(8_000, 8_000, depth=16)
    yield "64 megapixels of 16 bits with alpha", png(8_000, 8_000, colour=6, depth=16)
    yield "interlaced", png(8_000, 8_000, interlaced=1)
    yield "interlaced, with alpha", png(8_000, 8_000, colour=6, interlaced=1)
    yield "interlaced hairline", png(1, 65_535, colour=6, depth=16, interlaced=1)
    yield "claims 64250 x 64250", with_size(jpeg, 64_250, 64_250)
    yield "claims 8000 x 8000", with_size(jpeg, 8_000, 8_000)
    large = Image.new("RGB", (8_000, 8_000), "white")
    yield "JPEG of 64 megapixels", as_bytes(large, "JPEG")
    yield "progressive JPEG of 64 megapixels", as_bytes(large, "JPEG", progressive=True)
    yield "zTXt", png(9, 9, extra=chunk(b"zTXt", b"a\0\0" + zeros(10**9)))
    yield "iTXt", png(9, 9, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(10**9)))
    yield "iCCP", png(9, 9, extra=chunk(b"iCCP", b"a\0\0" + zeros(10**9)))
    yield "tEXt", png(9, 9, extra=chunk(b"tEXt", b"a\0" + bytes(MANY)))
    yield "eXIf", png(9, 9, extra=chunk(b"eXIf", exif(200, MANY)))
    yield "eXIf of tags", png(9, 9, extra=chunk(b"eXIf", exif(60_000, 800_000)))
    yield "million frames", png(9, 9, extra=chunk(b"acTL", b"\0\x0f\x42\x40\0\0\0\0"))
    yield (
        "more pixels than said",
        small[:33] + chunk(b"IDAT", zeros(10**9)) + small[-12:],
    )
    yield from crowds(jpeg, small)


def crowds(jpeg: bytes, small: bytes) -> Cases:
    """Of chunks, segments and scans."""
    for kind in (b"abCd", b"gAMA", b"IDAT"):
        yield f"chunks {kind.decode()}", small[:33] + repeated(chunk(kind)) + small[33:]
    scans = jpeg.index(b"\xff\xda")
    parts = [
        b"\xff\xfe\0\2",
        b"\xff\xe0\0\2",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xdb\0\2",
        b"\0",
    ]
    for part in parts:
        for place in (2, scans, len(jpeg) - 2):
            data = jpeg[:place] + repeated(part) + jpeg[place:]
            yield f"segments {part.hex()} at {place}", data
    yield "scans", jpeg[:-2] + repeated(jpeg[scans : scans + 14])


def odd_sizes() -> Cases:
    for size in [(1, 1), (1, 10_000), (10_000, 1), (2, 65_535), (1, 70_000), (1, 2)]:
        for image_format in ("PNG", "JPEG"):
            if max(size) < 65_500 or image_format == "PNG":
                data = as_bytes(Image.new("L", size, 255), image_format)
                yield f"{image_format} of {size}", data
    for width, height in [(0, 0), (0, 9), (2**31, 1), (2**32 - 1, 2**32 - 1)]:
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        parts = [chunk(b"IHDR", head), chunk(b"IDAT", zeros(9)), chunk(b"IEND")]
        yield f"PNG of {width} x {height}", PNG_SIGNATURE + b"".join(parts)
    yield "JPEG of no size", with_size(seven("JPEG"), 0, 0)
    # libjpeg cannot reduce these while it decodes.
    yield "lossless JPEG", LOSSLESS_JPEG
    yield "JPEG of 4:4:1", with_sampling(seven("JPEG"), 0x14)


def polyglots() -> Cases:
    page = b"<html><script>alert(1)</script></html>"
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("page.html", page)
    jpeg, comment = seven("JPEG"), b"\xff\xfe" + struct.pack(">H", len(page) + 2) + page
    yield "PNG and ZIP", seven("PNG") + archive.getvalue()
    yield "JPEG and HTML", jpeg[:2] + comment + jpeg[2:]
    yield "PNG and HTML", png(9, 9, extra=chunk(b"tEXt", b"a\0" + page))
    yield "GIF and script", b"GIF89a/*" + seven("GIF")[8:] + b"*/=alert(1)"
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    yield "HTML", page
    yield "PHP", b"<?php system($_GET['c']); ?>"
    yield "PDF", b"%PDF-1.7\n" + seven("JPEG")
    for image_format in ("GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "EPS", "PDF"):
        yield image_format, as_bytes(drawn_seven(), image_format)
