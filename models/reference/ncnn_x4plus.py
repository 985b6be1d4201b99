"""Writes the reference fixtures that the engine's tests compare imported models with.

Run on demand; needs the packages ncnn, numpy and pillow:

    python ncnn_x4plus.py FOLDER

FOLDER holds astronaut.png and the .param and .bin files under their names in ../manifest.toml. The script crops the
photo, runs each original network on the crop with ncnn's own CPU code in fp32 arithmetic, and writes beside itself
crop96.png and ncnn_ID.png: RGB, rounded to 8 bits, so up to 0.5/255 from ncnn's own numbers.
"""

import sys
from pathlib import Path

import ncnn
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
# 96x96 pixels of the face: eyes, brows, nose and hair.
CROP = (176, 64, 272, 160)
NETWORKS = {
    "realesrgan-x4plus": "REALESRGAN_X4PLUS_UP4X",
    "realesr-animevideov3": "REALESRGAN_ANIMAVIDEOV3_UP4X",
    "realesrgan-x4plus-anime": "REALESRGAN_X4PLUSANIME_UP4X",
}


def run(folder: Path, stem: str, image: np.ndarray) -> np.ndarray:
    """`image` is [3, H, W] float32 in 0..1; so is the answer, unclipped."""
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = False
    net.opt.use_fp16_storage = False
    net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.opt.num_threads = 2
    if net.load_param(str(folder / f"{stem}.param")) or net.load_model(str(folder / f"{stem}.bin")):
        raise SystemExit(f"{stem} cannot be loaded")
    extractor = net.create_extractor()
    # The extractor does not own its input: array and Mat have to outlive the run, or it reads freed memory.
    pixels = np.ascontiguousarray(image)
    data = ncnn.Mat(pixels)
    extractor.input("data", data)
    failed, out = extractor.extract("output")
    if failed:
        raise SystemExit(f"{stem} cannot be run")
    answer = np.array(out)
    if not -1 < answer.min() < answer.max() < 2:
        raise SystemExit(f"{stem} gives {answer.min()} to {answer.max()}, which is no image")
    return answer


def main() -> None:
    folder = Path(sys.argv[1])
    crop = Image.open(folder / "astronaut.png").convert("RGB").crop(CROP)
    crop.save(HERE / "crop96.png")
    image = np.asarray(crop, dtype=np.float32).transpose(2, 0, 1) / 255
    for name, stem in NETWORKS.items():
        out = run(folder, stem, image)
        pixels = np.rint(out.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(pixels).save(HERE / f"ncnn_{name}.png", optimize=True)
        np.save(folder / f"ncnn_{name}.npy", out)


if __name__ == "__main__":
    main()
