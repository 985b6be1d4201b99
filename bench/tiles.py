"""The tiling of the usual servers (RealESRGANer): a mirrored edge on the right and below, and tiles with a little context.

With the pad of 10 pixels the tiles differ at their seams, which Remaster's do not; it is what people run.
"""

import numpy as np

EDGE = 10
PAD = 10


def enlarge(picture, tile, run, scale=4):
    """`picture` is `[h, w, 3]` in 0..=255; `run` takes `[1, 3, h, w]` in 0..=1, and gives `scale` times as many rows and columns. Returns bytes of the same layout."""
    height, width, _ = picture.shape
    padded = np.pad(picture, ((0, EDGE), (0, EDGE), (0, 0)), mode="reflect")
    values = padded.transpose(2, 0, 1)[None].astype(np.float32) / 255
    rows, columns = values.shape[2:]
    out = np.empty((3, rows * scale, columns * scale), np.float32)
    for top in range(0, rows, tile):
        for left in range(0, columns, tile):
            bottom, right = min(top + tile, rows), min(left + tile, columns)
            from_y, from_x = max(top - PAD, 0), max(left - PAD, 0)
            part = values[:, :, from_y : min(bottom + PAD, rows), from_x : min(right + PAD, columns)]
            made = run(np.ascontiguousarray(part))[0]
            y, x = (top - from_y) * scale, (left - from_x) * scale
            high, wide = (bottom - top) * scale, (right - left) * scale
            out[:, top * scale : bottom * scale, left * scale : right * scale] = made[:, y : y + high, x : x + wide]
    out = out[:, : height * scale, : width * scale].transpose(1, 2, 0)
    return (out.clip(0, 1) * 255).round().astype(np.uint8)
