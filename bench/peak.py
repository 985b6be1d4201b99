"""How much of the processor a network uses: its operations a second beside those of a product of matrices, measured in the same run.

    python3 bench/peak.py [--side 256] [--rounds 3] [--binary target/release/remaster]

The product is PyTorch's, which runs on oneDNN, of 4096x4096. Prints a table in Markdown for float32 and for bfloat16.
"""

import argparse
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

from run import MODEL, ROOT, WORK, machine, prepare

# The pixels for each pixel of the input at which the convolutions after the enlargement work.
ENLARGED = {"conv_up1": 4, "conv_up2": 16, "conv_hr": 16, "conv_last": 16}
SIDE = 4096


def operations(onnx_file):
    """The multiplications and additions of the network for a pixel of its input."""
    import weights

    state = weights.state_dict(onnx_file)
    return sum(2 * state[f"{name}.weight"].numel() * ENLARGED.get(name, 1) for name in weights.names())


def product(name):
    """Operations a second of a product of matrices, the best of four."""
    import torch

    torch.set_num_threads(os.cpu_count())
    a, b = (torch.randn(SIDE, SIDE).to(getattr(torch, name)) for _ in range(2))
    times = []
    for _ in range(5):
        began = time.monotonic()
        a @ b
        times.append(time.monotonic() - began)
    return 2 * SIDE**3 / min(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    parser.add_argument("--models", type=Path, default=WORK / "models")
    options = parser.parse_args()
    prepare()

    settings = {**os.environ, "MODELS_DIR": str(options.models), "DEVICE": "openvino"}
    subprocess.run([options.binary, "models", "pull", MODEL, "onnxruntime", "openvino"], env=settings, check=True)
    work = operations(str(options.models / f"{MODEL}.onnx")) * options.side**2

    def network(precision):
        command = [options.binary, "bench", MODEL, "--side", str(options.side), "--runs", "3"]
        said = subprocess.run(command, env={**settings, "PRECISION": precision}, capture_output=True, text=True, check=True).stdout
        return work / float(re.search(r"\| ([\d.]+) s \| [\d.]+ \|", said)[1])

    print(f"{machine()}; {MODEL} on {options.side}x{options.side}, medians of {options.rounds} interleaved rounds\n")
    print("| | network, 10^9 operations a second | product of matrices | share |\n|---|---|---|---|")
    types = {"fp32": "float32", "bf16": "bfloat16"} if "bf16" in machine() else {"fp32": "float32"}
    measured = {precision: [] for precision in types}
    for _ in range(options.rounds):
        for precision, name in types.items():
            measured[precision].append((network(precision) / 1e9, product(name) / 1e9))
    for precision, values in measured.items():
        ours, peak = (statistics.median(column) for column in zip(*values))
        print(f"| {precision} | {ours:.0f} | {peak:.0f} | {100 * ours / peak:.0f} % |")


if __name__ == "__main__":
    main()
