"""The tiling of the usual servers (RealESRGANer): a mirrored edge on the right and below, and tiles with a little context.

With the pad of 10 pixels the tiles differ at their seams, which Remaster's do not; it is what people run.
"""

import numpy as np

SCALE = 4
EDGE = 10
PAD = 10


def enlarge(picture, tile, run):
    """`picture` is `[h, w, 3]` in 0..=255; `run` takes and gives `[1, 3, h, w]` in 0..=1. Returns bytes of the same layout."""
    height, width, _ = picture.shape
    padded = np.pad(picture, ((0, EDGE), (0, EDGE), (0, 0)), mode="reflect")
    values = padded.transpose(2, 0, 1)[None].astype(np.float32) / 255
    rows, columns = values.shape[2:]
    out = np.empty((3, rows * SCALE, columns * SCALE), np.float32)
    for top in range(0, rows, tile):
        for left in range(0, columns, tile):
            bottom, right = min(top + tile, rows), min(left + tile, columns)
            from_y, from_x = max(top - PAD, 0), max(left - PAD, 0)
            part = values[:, :, from_y : min(bottom + PAD, rows), from_x : min(right + PAD, columns)]
            made = run(np.ascontiguousarray(part))[0]
            y, x = (top - from_y) * SCALE, (left - from_x) * SCALE
            high, wide = (bottom - top) * SCALE, (right - left) * SCALE
            out[:, top * SCALE : bottom * SCALE, left * SCALE : right * SCALE] = made[:, y : y + high, x : x + wide]
    out = out[:, : height * SCALE, : width * SCALE].transpose(1, 2, 0)
    return (out.clip(0, 1) * 255).round().astype(np.uint8)
