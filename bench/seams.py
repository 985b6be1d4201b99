"""Whether tiles show: photos in tiles of several sizes beside the same photos in one tile.

    python3 bench/seams.py [--networks NAME ...] [--binary target/release/remaster] [--models FOLDER]

In float32. Prints the largest difference of any sample, in 255ths, for each network and tile size over five photos, and over pictures of one pixel,
one column and one row, as a table in Markdown.
"""

import argparse
import os
import subprocess
from pathlib import Path

from run import ROOT, WORK, install, machine, prepare

MODELS = ["realesrgan-x4plus", "realesrgan-x4plus-anime", "realesr-animevideov3"]
PHOTOS = ["astronaut", "camera", "cat", "coffee", "rocket"]
WHOLE, TILES = 4096, [256, 288, 320]
SIZE = (331, 227)


def pictures():
    """The middle of each photo, and what is very thin."""
    import numpy as np
    from PIL import Image
    from skimage import data

    for name in PHOTOS:
        photo = Image.fromarray(getattr(data, name)())
        left, top = (photo.width - SIZE[0]) // 2, (photo.height - SIZE[1]) // 2
        yield name, photo.crop((left, top, left + SIZE[0], top + SIZE[1]))
    waves = np.rint(127 + 100 * np.sin(np.arange(4000)[:, None] / np.array([7, 9, 11]))).astype(np.uint8)
    yield "1x1", Image.fromarray(waves[:1, None])
    yield "1x4000", Image.fromarray(waves[:, None])
    yield "4000x1", Image.fromarray(waves[None, :])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    parser.add_argument("--models", type=Path, default=WORK / "models")
    parser.add_argument("--networks", nargs="+", default=MODELS)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()
    install("scikit-image", "pooch")
    import numpy as np
    from PIL import Image

    settings = {**os.environ, "MODELS_DIR": str(options.models), "PRECISION": "fp32"}
    subprocess.run([options.binary, "models", "pull", *options.networks, "onnxruntime", "openvino"], env=settings, check=True)
    source = WORK / "seams.png"

    def made(model, tile):
        target = WORK / "seams-made.png"
        command = [options.binary, "enhance", source, "-o", target, "--model", model, "--scale", "4", "--faces", "off"]
        subprocess.run(command, env={**settings, "TILE": str(tile)}, check=True, stdout=subprocess.DEVNULL)
        return np.asarray(Image.open(target)).astype(int)

    print(f"{machine()}\n\n| picture | " + " | ".join(f"{model}, {tile}" for model in options.networks for tile in TILES) + " |")
    print("|---" * (1 + len(options.networks) * len(TILES)) + "|")
    for name, picture in pictures():
        picture.save(source)
        row = []
        for model in options.networks:
            whole = made(model, WHOLE)
            row += [int(np.abs(made(model, tile) - whole).max()) for tile in TILES]
        print(f"| {name} | " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
