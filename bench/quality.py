"""Looks whether restoring does harm: photos are reduced, restored, and compared with what they were.

    python3 bench/quality.py [--photos FOLDER] [--side 384] [--binary target/release/remaster]

Each photo is reduced by four and brought back in three ways: with a Lanczos filter, with the network as PyTorch computes it over tiles
of 400 with 10 pixels of overlap, and by Remaster. Prints PSNR, SSIM, and GMSD (Xue et al., 2013), a measure of what the eye notices in
which less is better, as a table in Markdown. Without a folder the photos that scikit-image brings along are used.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from run import MODEL, PYTHON, ROOT, WORK, install, machine, prepare

PHOTOS = ["astronaut", "cat", "coffee", "rocket"]
WAYS = ["Lanczos", "PyTorch", "Remaster"]


def gmsd(one, other):
    """The deviation of the gradients' similarity, of gray pictures from 0 to 255."""
    import numpy as np
    from scipy.ndimage import convolve, uniform_filter

    prewitt = np.array([[1, 0, -1]] * 3) / 3
    gradients = []
    for picture in (one, other):
        half = uniform_filter(picture, 2)[::2, ::2]
        gradients.append(np.hypot(convolve(half, prewitt), convolve(half, prewitt.T)))
    one, other = gradients
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    return float(similarity.std())


def measures(original, made):
    """PSNR in dB, SSIM, and GMSD."""
    import numpy as np
    from PIL import Image
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    one, other = (np.asarray(picture.convert("RGB")) for picture in (original, Image.open(made)))
    gray = [np.asarray(Image.fromarray(picture).convert("L"), np.float64) for picture in (one, other)]
    return peak_signal_noise_ratio(one, other), structural_similarity(one, other, channel_axis=2), gmsd(*gray)


def photos(folder, side):
    """The middle of each photo, `side` x `side`."""
    from PIL import Image
    from skimage import data

    named = sorted(Path(folder).iterdir()) if folder else PHOTOS
    for photo in named:
        picture = Image.open(photo) if folder else Image.fromarray(getattr(data, photo)())
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        yield Path(photo).stem, picture.convert("RGB").crop((left, top, left + side, top + side))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    parser.add_argument("--models", type=Path, default=WORK / "models")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()
    install("scikit-image", "scipy", "pooch")
    from PIL import Image

    ours = {**os.environ, "MODELS_DIR": str(options.models)}
    subprocess.run([options.binary, "models", "pull", MODEL, "onnxruntime", "openvino"], env=ours, check=True)
    found = {way: [] for way in WAYS}
    print(f"{machine()}\n\n| photo | | PSNR, dB | SSIM | GMSD |\n|---|---|---|---|---|")
    for name, original in photos(options.photos, options.side):
        small, quarter = WORK / "small.png", options.side // 4
        original.resize((quarter, quarter), Image.BICUBIC).save(small)
        made = {way: WORK / f"quality-{way}.png" for way in WAYS}
        Image.open(small).resize(original.size, Image.LANCZOS).save(made["Lanczos"])
        peer = [str(PYTHON), str(Path(__file__).with_name("peer.py")), "pytorch", str(small), str(made["PyTorch"])]
        subprocess.run([*peer, str(options.models / f"{MODEL}.onnx"), str(os.cpu_count())], check=True)
        enhance = [options.binary, "enhance", small, "-o", made["Remaster"], "--scale", "4", "--model", MODEL, "--faces", "off"]
        subprocess.run(enhance, env=ours, check=True, stdout=subprocess.DEVNULL)
        for way in WAYS:
            values = measures(original, made[way])
            found[way].append(values)
            print(f"| {name} | {way} | {values[0]:.2f} | {values[1]:.3f} | {values[2]:.3f} |", flush=True)
    for way in WAYS:
        psnr, ssim, deviation = (statistics.mean(values) for values in zip(*found[way]))
        print(f"| mean | {way} | {psnr:.2f} | {ssim:.3f} | {deviation:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
