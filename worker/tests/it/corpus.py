"""Writes picture files of many kinds into a folder, each with the pixels that a reader should see.

`files.json` lists them: the file, the raw pixels (16 bits, RGBA, row by row), their size, how far a sample may be off (in 16 bits), and
the number of channels and bits that are kept. Pixels come from the arrays that were written, or from Pillow where the format is lossy.
"""

import io
import json
import pathlib
import shutil
import struct
import subprocess
import sys
from multiprocessing.pool import ThreadPool

import imagecodecs
import numpy as np
import pillow_heif
import png
import pyvips
import tifffile
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()

WIDTH, HEIGHT = 61, 43
FOLDER = pathlib.Path(sys.argv[1])
FILES = []
# How far a sample may be off, in 16 bits: a step of 8 bits.
LOSSY = 257


def picture(channels, bits):
    """Smooth colours with some hard edges, and all alphas."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    planes = [x / (WIDTH - 1), y / (HEIGHT - 1), 0.5 + 0.4 * np.sin(x / 9) * np.cos(y / 7), (x + y) / (WIDTH + HEIGHT - 2)]
    planes[0] = np.where((x > 20) & (x < 30), 0.9, planes[0])
    chosen = {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    return np.stack([np.rint(planes[at] * (2**bits - 1)) for at in chosen], axis=-1).astype(np.uint16 if bits > 8 else np.uint8)


def rgba16(pixels, bits):
    """The pixels of 1 to 4 channels as RGBA of 16 bits."""
    wide = np.rint(pixels.astype(float) * 65535 / (2**bits - 1))
    channels = pixels.shape[-1]
    colours = wide[..., :1].repeat(3, axis=-1) if channels < 3 else wide[..., :3]
    alpha = wide[..., -1:] if channels in (2, 4) else np.full_like(wide[..., :1], 65535)
    return np.concatenate([colours, alpha], axis=-1).astype("<u2")


def add(name, content, pixels, channels, bits, off=0):
    (FOLDER / name).write_bytes(content)
    (FOLDER / f"{name}.raw").write_bytes(pixels.tobytes())
    height, width = pixels.shape[:2]
    FILES.append({"file": name, "width": width, "height": height, "channels": channels, "bits": bits, "off": off})


def pngs():
    for interlace in (False, True):
        end = "-interlaced" if interlace else ""

        def write(name, pixels, kept, expected, **options):
            out = io.BytesIO()
            png.Writer(WIDTH, HEIGHT, interlace=interlace, **options).write(out, pixels.reshape(HEIGHT, -1).tolist())
            add(f"png-{name}{end}.png", out.getvalue(), expected, *kept)

        for bits in (1, 2, 4, 8, 16):
            gray = picture(1, bits)
            kept = 16 if bits == 16 else 8
            write(f"gray{bits}", gray, (1, kept), rgba16(gray, bits), greyscale=True, bitdepth=bits)
            transparent = int(gray[0, 0, 0])
            alpha = np.where(gray == transparent, 0, 2**bits - 1)
            expected = rgba16(np.concatenate([gray, alpha], axis=-1), bits)
            write(f"gray{bits}-key", gray, (2, kept), expected, greyscale=True, bitdepth=bits, transparent=transparent)
        for bits in (8, 16):
            for channels, name in ((2, "gray-alpha"), (3, "rgb"), (4, "rgba")):
                pixels = picture(channels, bits)
                options = {"greyscale": channels == 2, "alpha": channels != 3, "bitdepth": bits}
                write(f"{name}{bits}", pixels, (channels, bits), rgba16(pixels, bits), **options)
            pixels = picture(3, bits)
            key = tuple(int(sample) for sample in pixels[5, 5])
            alpha = np.where((pixels == key).all(axis=-1, keepdims=True), 0, 2**bits - 1)
            expected = rgba16(np.concatenate([pixels, alpha], axis=-1), bits)
            write(f"rgb{bits}-key", pixels, (4, bits), expected, greyscale=False, bitdepth=bits, transparent=key)
        for bits in (1, 2, 4, 8):
            count = 2**bits
            colours = np.array([[at * 255 // (count - 1), 255 - at * 200 // (count - 1), at * 37 % 256] for at in range(count)], np.uint8)
            indices = picture(1, bits)
            pixels = colours[indices[..., 0]]
            write(f"palette{bits}", indices, (3, 8), rgba16(pixels, 8), palette=[tuple(map(int, c)) for c in colours], bitdepth=bits)
            alphas = np.array([at * 255 // (count - 1) for at in range(count)], np.uint8)
            pixels = np.concatenate([pixels, alphas[indices]], axis=-1)
            palette = [(*map(int, c), int(a)) for c, a in zip(colours, alphas)]
            write(f"palette{bits}-alpha", indices, (4, 8), rgba16(pixels, 8), palette=palette, bitdepth=bits)


def seen(content):
    """What Pillow makes of a file, upright."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[image.mode]
    return rgba16(np.asarray(image).reshape(image.height, image.width, channels), 8), channels


def pillow(name, image, format, off, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    pixels, channels = seen(out.getvalue())
    add(name, out.getvalue(), pixels, channels, 8, off)


def orientation(number):
    exif = Image.Exif()
    exif[0x112] = number
    return exif


def jpegs():
    rgb, gray = Image.fromarray(picture(3, 8)), Image.fromarray(picture(1, 8)[..., 0])
    for quality in (40, 75, 95):
        for progressive in (False, True):
            end = f"{quality}{'-progressive' if progressive else ''}.jpg"
            options = {"quality": quality, "progressive": progressive}
            pillow(f"jpeg-gray-{end}", gray, "JPEG", 0, **options)
            for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
                name = subsampling.replace(":", "")
                pillow(f"jpeg-{name}-{end}", rgb, "JPEG", 0, subsampling=subsampling, **options)
    for blocks in (1, 3):
        pillow(f"jpeg-restart{blocks}.jpg", rgb, "JPEG", 0, restart_marker_blocks=blocks, subsampling="4:4:4")
        pillow(f"jpeg-restart-rows{blocks}.jpg", rgb, "JPEG", 0, restart_marker_rows=blocks, subsampling="4:2:0")
    for number in range(1, 9):
        pillow(f"jpeg-orientation{number}.jpg", rgb, "JPEG", 0, exif=orientation(number), subsampling="4:4:4")
    # Inks without a profile: each takes away the light of one primary. ImageMagick rounds that to 16 bits, and not to 8.
    for quality in (75, 95):
        out = io.BytesIO()
        inks = picture(4, 8)
        Image.fromarray(inks, "CMYK").save(out, "JPEG", quality=quality, subsampling="4:4:4")
        back = np.asarray(Image.open(io.BytesIO(out.getvalue()))).astype(float)
        pixels = np.rint((255 - back[..., :3]) * (255 - back[..., 3:]) / 255).astype(np.uint8)
        add(f"jpeg-cmyk-{quality}.jpg", out.getvalue(), rgba16(pixels, 8), 3, 8, LOSSY)
    # The same as Adobe stores it mostly: inks as YCbCr, and black. Pillow takes that apart.
    light = 255 - picture(4, 8)
    for subsampling in ("444", "422", "420"):
        content = imagecodecs.jpeg8_encode(light, level=95, colorspace="CMYK", outcolorspace="YCCK", subsampling=subsampling)
        back = np.asarray(Image.open(io.BytesIO(content))).astype(float)
        pixels = np.rint((255 - back[..., :3]) * (255 - back[..., 3:]) / 255).astype(np.uint8)
        add(f"jpeg-ycck-{subsampling}.jpg", content, rgba16(pixels, 8), 3, 8, LOSSY)


def webps():
    rgb, rgba = Image.fromarray(picture(3, 8)), Image.fromarray(picture(4, 8))
    for name, image in (("rgb", rgb), ("rgba", rgba)):
        for method in (0, 4, 6):
            pillow(f"webp-{name}-lossless{method}.webp", image, "WEBP", 0, lossless=True, exact=True, method=method)
            for quality in (40, 90):
                pillow(f"webp-{name}-{quality}-{method}.webp", image, "WEBP", LOSSY, quality=quality, method=method)
    for number in range(1, 9):
        exif = orientation(number).tobytes()
        for end, block in (("", exif.removeprefix(b"Exif\0\0")), ("-prefix", b"Exif\0\0" + exif.removeprefix(b"Exif\0\0"))):
            out = io.BytesIO()
            rgb.save(out, "WEBP", lossless=True, exif=block)
            upright = ImageOps.exif_transpose(with_orientation(rgb, number))
            add(f"webp-orientation{number}{end}.webp", out.getvalue(), rgba16(np.asarray(upright), 8), 3, 8)


def with_orientation(image, number):
    copy = image.copy()
    copy.getexif()[0x112] = number
    return copy


def heics():
    # Of one colour throughout: where exactly colours at half the resolution lie, decoders do not agree.
    light = picture(1, 8) * 0.5
    tinted = Image.fromarray(np.concatenate([light + 90, light + 60, light + 20], axis=-1).astype(np.uint8))
    rgb, rgba, gray = (Image.fromarray(picture(channels, 8).squeeze()) for channels in (3, 4, 1))
    for quality in (40, 90, -1):
        end = "lossless" if quality < 0 else quality
        for chroma in (420, 422, 444):
            image = rgb if chroma == 444 else tinted
            pillow(f"heic-{chroma}-{end}.heic", image, "HEIF", LOSSY, quality=quality, chroma=chroma)
        pillow(f"heic-rgba-{end}.heic", rgba, "HEIF", LOSSY, quality=quality, chroma=444)
        pillow(f"heic-gray-{end}.heic", gray, "HEIF", LOSSY, quality=quality)
    pillow("heic-matrix0.heic", rgb, "HEIF", 0, quality=-1, chroma=444, matrix_coefficients=0)
    for number in range(1, 9):
        pillow(f"heic-orientation{number}.heic", rgb, "HEIF", LOSSY, exif=orientation(number), chroma=444)
    for mode, channels in (("RGB;16", 3), ("RGBA;16", 4)):
        out = io.BytesIO()
        pillow_heif.encode(mode, (WIDTH, HEIGHT), picture(channels, 16).tobytes(), out, quality=90, chroma=444)
        back = np.asarray(pillow_heif.open_heif(io.BytesIO(out.getvalue()), convert_hdr_to_8bit=False))
        add(f"heic-deep{channels}.heic", out.getvalue(), rgba16(back, 16), channels, 16, LOSSY)


def tiffs():
    layouts = {"strips": {"rowsperstrip": 7}, "tiles": {"tile": (16, 32)}, "whole": {}}
    kinds = {"gray": 1, "white-is-zero": 1, "rgb": 3, "rgba": 4, "rgba-associated": 4}
    for kind, channels in kinds.items():
        for bits in (8, 16):
            for compression in (None, "lzw", "adobe_deflate", "packbits"):
                for layout, cut in layouts.items():
                    pixels = picture(channels, bits)
                    stored, options, expected, off = pixels, {}, rgba16(pixels, bits), 0
                    if channels == 1:
                        stored = pixels[..., 0]
                        options["photometric"] = "minisblack"
                    else:
                        options["photometric"] = "rgb"
                    if kind == "white-is-zero":
                        options["photometric"] = "miniswhite"
                        expected = rgba16(2**bits - 1 - pixels, bits)
                    if kind == "rgba":
                        options["extrasamples"] = ["unassalpha"]
                    if kind == "rgba-associated":
                        options["extrasamples"] = ["assocalpha"]
                        alpha = pixels[..., 3:].astype(float)
                        premultiplied = np.rint(pixels[..., :3] * alpha / (2**bits - 1))
                        stored = np.concatenate([premultiplied, alpha], axis=-1).astype(pixels.dtype)
                        straight = np.rint(np.divide(premultiplied * (2**bits - 1), alpha, where=alpha > 0, out=np.zeros_like(premultiplied)))
                        expected = rgba16(np.concatenate([np.minimum(straight, 2**bits - 1), alpha], axis=-1), bits)
                        off = 65535 // (2**bits - 1)
                    order = ">" if layout == "tiles" else "<"
                    out = io.BytesIO()
                    tifffile.imwrite(
                        out, stored, compression=compression, byteorder=order, bigtiff=layout == "whole",
                        predictor=compression in ("lzw", "adobe_deflate") and layout == "strips", **cut, **options,
                    )
                    name = f"tiff-{kind}{bits}-{compression or 'plain'}-{layout}.tif"
                    add(name, out.getvalue(), expected, channels, bits, off)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for channels in (1, 3, 4):
            image = Image.fromarray(picture(channels, 8).squeeze())
            pillow(f"tiff-pillow{channels}-{compression}.tif", image, "TIFF", 0, compression=compression)
    rare_tiffs()
    for bits in (8, 16):
        pixels = picture(3, bits)
        out = io.BytesIO()
        tifffile.imwrite(out, np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate", compression="lzw")
        add(f"tiff-planar{bits}.tif", out.getvalue(), rgba16(pixels, bits), 3, bits)


def rare_tiffs():
    """Kinds that few programs write."""

    def write(name, stored, expected, channels, bits, off=0, **options):
        for order in "<>":
            out = io.BytesIO()
            tifffile.imwrite(out, stored, byteorder=order, **options)
            add(f"tiff-{name}-{'little' if order == '<' else 'big'}.tif", out.getvalue(), expected, channels, bits, off)

    for compression in (None, "zstd", "adobe_deflate"):
        end = compression or "plain"
        for bits in (8, 16):
            pixels = picture(2, bits)
            options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "compression": compression, "rowsperstrip": 9}
            write(f"gray-alpha{bits}-{end}", pixels, rgba16(pixels, bits), 2, bits, planarconfig="contig", **options)
            pixels = picture(3, bits)
            write(f"rgb{bits}-{end}-strips", pixels, rgba16(pixels, bits), 3, bits, photometric="rgb", compression=compression)
        for kind in (np.float16, np.float32, np.float64):
            gray = (picture(1, 16)[..., 0] / 65535).astype(kind)
            expected = rgba16(np.rint(gray.astype(float) * 65535)[..., None], 16)
            name = f"float{8 * gray.itemsize}-{end}"
            write(name, gray, expected, 1, 16, 1, photometric="minisblack", compression=compression, tile=(16, 32))
        numbers = picture(1, 8)[..., 0]
        table = np.stack([np.arange(256) * 257, 65535 - np.arange(256) * 200, np.arange(256) * 37 % 256 * 257]).astype(np.uint16)
        colours = (table >> 8)[:, numbers].transpose(1, 2, 0).astype(np.uint8)
        write(f"palette-{end}", numbers, rgba16(colours, 8), 3, 8, photometric="palette", colormap=table, compression=compression)
    for name, options in {"jpeg": {"compression": "jpeg"}, "palette-pillow": {"compression": "tiff_lzw"}}.items():
        image = Image.fromarray(picture(3, 8))
        image = image if name == "jpeg" else image.quantize(200)
        out = io.BytesIO()
        image.save(out, "TIFF", **options)
        back = np.asarray(Image.open(io.BytesIO(out.getvalue())).convert("RGB"))
        add(f"tiff-{name}.tif", out.getvalue(), rgba16(back, 8), 3, 8, LOSSY if name == "jpeg" else 0)
    # Bilevel pictures have their own kind, and so has a palette of two colours.
    for bits in (1, 2, 4):
        numbers = picture(1, bits)[..., 0]
        packed = np.packbits(np.stack([numbers >> at & 1 for at in reversed(range(bits))], axis=-1).reshape(HEIGHT, -1), axis=-1)
        levels = np.rint(numbers[..., None].astype(float) * 255 / (2**bits - 1)).astype(np.uint8)
        add(f"tiff-gray{bits}.tif", directory(packed, bits, None), rgba16(levels, 8), 1, 8)
        table = (np.arange(3 * 2**bits) * 65535 // (3 * 2**bits - 1)).astype(np.uint16).reshape(3, -1)
        colours = (table >> 8)[:, numbers].transpose(1, 2, 0).astype(np.uint8)
        add(f"tiff-palette{bits}.tif", directory(packed, bits, table), rgba16(colours, 8), 3, 8)


def directory(packed, bits, table):
    """A TIFF of one strip with samples of a few bits: gray, or the numbers of colours."""
    data, colours = packed.tobytes(), b"" if table is None else table.astype("<u2").tobytes()
    tags = [(256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1 if table is None else 3)]
    tags += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, HEIGHT), (279, 4, 1, len(data))]
    if table is not None:
        tags.append((320, 3, table.size, 8 + len(data)))
    body = data + colours
    body += b"\0" * (len(body) % 2)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + bytes(4)


MAGICK = shutil.which("magick") or shutil.which("convert")


def magick(*arguments, content=b""):
    return subprocess.run([MAGICK, *arguments], input=content, stdout=subprocess.PIPE, check=True).stdout


def seen_by_magick(name):
    """What ImageMagick makes of the first picture of a file, upright, as RGBA of 16 bits."""
    out = magick(f"{FOLDER / name}[0]", "-auto-orient", "-depth", "16", "-endian", "LSB", "rgba:-")
    return np.frombuffer(out, "<u2")


def magicks():
    """Files that ImageMagick writes, and what it reads in them itself."""
    kinds = {"gray8": (1, 8), "rgb8": (3, 8), "rgba8": (4, 8), "gray16": (1, 16), "rgb16": (3, 16), "rgba16": (4, 16)}
    wide = {"png-interlaced.png": ("-interlace", "PNG")}
    for compression in ("None", "LZW", "Zip", "RLE"):
        wide[f"{compression}.tif"] = ("-compress", compression)
    wide["msb.tif"] = ("-endian", "MSB", "-compress", "LZW")
    wide["tiles.tif"] = ("-compress", "Zip", "-define", "tiff:tile-geometry=16x16")
    narrow = {"lossless.webp": ("-define", "webp:lossless=true"), "webp.webp": ("-quality", "80"), "bmp.bmp": ()}
    lossy = {"jpeg-tiff.tif": ("-compress", "JPEG", "-quality", "90")}
    for sampling in ("1x1", "2x1", "1x2", "2x2"):
        lossy[f"{sampling}.jpg"] = ("-sampling-factor", sampling, "-quality", "85")
    lossy["progressive.jpg"] = ("-interlace", "JPEG", "-quality", "60")
    tasks = []
    for kind, (channels, bits) in kinds.items():
        options = {**wide, **(narrow if bits == 8 else {}), **(lossy if bits == 8 and channels < 4 else {})}
        for end, arguments in options.items():
            # WebP has no gray, and neither has the BMP of a reader that reads palettes.
            kept = 3 if channels == 1 and end.endswith(("webp", "bmp")) else channels
            off = LOSSY if end in ("webp.webp", "jpeg-tiff.tif") else 0
            tasks.append((kind, f"magick-{kind}-{end}", arguments, kept, bits, off))
    tasks += [("rgb8", "magick-palette.png", ("-colors", "90", "-type", "Palette"), 3, 8, 0), ("rgb8", "magick.gif", (), 3, 8, 0)]
    # Here each ink but the first is halved. Of the file without a profile ImageMagick makes colours in its own way.
    halved = ("-colorspace", "CMYK", "-quality", "95", "-sampling-factor", "2x2")
    tasks += [("rgb8", "magick-cmyk-2x2.jpg", halved, 3, 8, 4 * 257)]
    tasks += [("rgb8", "magick-bmp3.bmp3", (), 3, 8, 0), ("rgb8", "magick-cmyk.jpg", ("-colorspace", "CMYK", "-quality", "95"), 3, 8, LOSSY)]
    sources = {}
    for kind, (channels, bits) in kinds.items():
        out = io.BytesIO()
        rows = picture(channels, bits).reshape(HEIGHT, -1).tolist()
        png.Writer(WIDTH, HEIGHT, greyscale=channels == 1, alpha=channels == 4, bitdepth=bits).write(out, rows)
        sources[kind] = out.getvalue()

    def write(task):
        kind, name, arguments, channels, bits, off = task
        magick("png:-", *arguments, str(FOLDER / name), content=sources[kind])
        pixels = seen_by_magick(name).reshape(HEIGHT, WIDTH, 4)
        return name, (FOLDER / name).read_bytes(), pixels, channels, bits, off

    with ThreadPool(4) as pool:
        for written in pool.map(write, tasks):
            add(*written)


def vips():
    """Files that libvips writes, and what it reads in them itself."""

    def write(name, pixels, channels, bits, off, **options):
        image = pyvips.Image.new_from_array(pixels, interpretation={1: "b-w", 3: "srgb", 4: "srgb"}[pixels.shape[-1]] if bits == 8 else
                                            {1: "grey16", 3: "rgb16", 4: "rgb16"}[pixels.shape[-1]])
        content = image.write_to_buffer(name[name.index("."):], **options)
        back = pyvips.Image.new_from_buffer(content, "").autorot().numpy().reshape(HEIGHT, WIDTH, -1)
        add(f"vips-{name}", content, rgba16(back, bits), channels, bits, off)

    for bits in (8, 16):
        for channels in (1, 3, 4):
            pixels, kind = picture(channels, bits), f"{channels}-{bits}"
            for compression in ("none", "lzw", "deflate", "packbits"):
                write(f"{kind}-{compression}.tif", pixels, channels, bits, 0, compression=compression)
                write(f"{kind}-{compression}-tiles.tif", pixels, channels, bits, 0, compression=compression, tile=True, tile_width=32, tile_height=16)
            if bits == 8 and channels < 4:
                write(f"{kind}-jpeg-tiles.tif", pixels, channels, bits, LOSSY, compression="jpeg", Q=85, tile=True, tile_width=32, tile_height=16)
            write(f"{kind}-pyramid.tif", pixels, channels, bits, 0, tile=True, pyramid=True, bigtiff=True, tile_width=16, tile_height=16)
            write(f"{kind}.png", pixels, channels, bits, 0, interlace=bits == 16)
            if bits == 8:
                kept = max(channels, 3)
                write(f"{kind}.webp", pixels, kept, bits, LOSSY, Q=75)
                write(f"{kind}-lossless.webp", pixels, kept, bits, 0, lossless=True)
            if bits == 8 and channels < 4:
                write(f"{kind}.jpg", pixels, channels, bits, 0, Q=85, subsample_mode="on")
                write(f"{kind}-progressive.jpg", pixels, channels, bits, 0, Q=85, interlace=True, subsample_mode="off")


def imagemagick_agrees():
    """Compares what files are said to hold with what ImageMagick sees in them, as far as it reads all that they say."""

    def differs(file):
        name = file["file"]
        # It reads no orientation from WebP before version 7, and HEIC with fewer colours than it has.
        if name.endswith(".heic") or name.startswith(("webp-orientation", "magick")):
            return None
        expected = np.frombuffer((FOLDER / f"{name}.raw").read_bytes(), "<u2").reshape(-1, 4).astype(int)
        got = seen_by_magick(name)
        if got.size != expected.size:
            return f"{name}: {got.size} samples, and not {expected.size}"
        off = np.abs(got.reshape(-1, 4) - expected).max(axis=1)
        off[(got.reshape(-1, 4)[:, 3] == 0) & (expected[:, 3] == 0)] = 0
        # Palettes of TIFF have 16 bits, of which 8 are kept.
        return f"{name}: {off.max()}" if off.max() > (LOSSY if "palette" in name else file["off"]) else None

    with ThreadPool(4) as pool:
        wrong = [what for what in pool.map(differs, FILES) if what]
    assert not wrong, "\n".join(wrong)


for write in (pngs, jpegs, webps, heics, tiffs, magicks, vips, imagemagick_agrees):
    write()
(FOLDER / "files.json").write_text(json.dumps(FILES))
