"""The default request: a photo at scale 2 by `realesrgan-x2plus`, from the start of the process to the written PNG, beside PyTorch.

    python3 bench/request.py [--size 512x512] [--rounds 3] [--binary target/release/remaster]

The weights are random, because their authors' release cannot be reached from everywhere, and a network takes the same time whatever they are.
No face is restored. Prints a table in Markdown.
"""

import argparse
import os
import statistics
import subprocess
from pathlib import Path

from run import PYTHON, ROOT, WORK, machine, pictures, prepare, timed

MODEL = "realesrgan-x2plus"


def stand_in(path):
    """Writes random weights in the layout of the official file."""
    import torch
    from safetensors.torch import save_file
    import weights

    torch.manual_seed(1)
    shapes = {"conv_first": (64, 12), "conv_last": (3, 64)}
    for number in range(1, 6):
        # A dense block hands the outputs of its convolutions on to the later ones.
        shapes[f"conv{number}"] = (32 if number < 5 else 64, 64 + 32 * (number - 1))
    state = {}
    for name in weights.names():
        outputs, inputs = shapes.get(name) or shapes.get(name.split(".")[-1]) or (64, 64)
        state[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3) * 0.5 / (9 * inputs) ** 0.5
        state[f"{name}.bias"] = torch.zeros(outputs)
    save_file(state, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512x512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()

    models = WORK / "request-models"
    # Whether bfloat16 agrees with float32 depends on the weights. Intel's CPUs without AMX are slower in it.
    precision = "bf16" if "amx_bf16" in machine() or "AMD" in machine() and "bf16" in machine() else "fp32"
    ours = {**os.environ, "MODELS_DIR": str(models), "PULL_MODELS": "0", "DEVICE": "openvino", "PRECISION": precision}
    subprocess.run([options.binary, "models", "pull", "onnxruntime", "openvino", "test-photo"], env=ours, check=True)
    stand_in(WORK / "x2plus.safetensors")
    subprocess.run([options.binary, "models", "import", WORK / "x2plus.safetensors", "--as", MODEL], env=ours, check=True)
    picture = str(pictures(models / "astronaut.png", [options.size])[options.size])
    target = str(WORK / "request.png")
    peer = [str(PYTHON), str(Path(__file__).with_name("peer.py")), "pytorch", picture, target, str(models / f"{MODEL}.onnx"), str(os.cpu_count()), "2"]
    commands = {
        f"Remaster, {precision}": [str(options.binary), "enhance", picture, "-o", target, "--scale", "2"],
        "PyTorch, float32, tiles of 400": peer,
    }
    runs = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            Path(target).unlink(missing_ok=True)
            runs[name].append(timed(command, ours))

    print(f"{machine()}; {options.size} to x2, medians of {options.rounds} interleaved rounds\n\n| | s | peak MB |\n|---|---|---|")
    for name, values in runs.items():
        seconds, memory = (statistics.median(column) for column in zip(*values))
        print(f"| {name} | {seconds:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
