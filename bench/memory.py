"""How much memory a picture takes beside the network: the peak of `remaster enhance` on noise of several sizes.

    python3 bench/memory.py [--model realesr-animevideov3] [--binary target/release/remaster]

Prints a table in Markdown. The first row is a picture of one tile, which shows what the network itself takes.
"""

import argparse
import os
import random
import struct
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

from run import ROOT

# Name, channels, bits, side in pixels.
CASES = [("RGB", 3, 8, 640), ("RGB", 3, 8, 1750), ("RGB", 3, 8, 3500), ("RGBA", 4, 16, 640), ("RGBA", 4, 16, 3500)]


def noise(path, channels, bits, side):
    """A PNG of noise, opaque where it has alpha."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    colour = {3: 2, 4: 6}[channels]
    packer, source = zlib.compressobj(1), random.Random(side)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)))
        pixel = channels * bits // 8
        for _ in range(side):
            row = bytearray(source.randbytes(side * pixel))
            if channels == 4:
                row[6::8] = row[7::8] = b"\xff" * side
            if data := packer.compress(b"\0" + row):
                file.write(chunk(b"IDAT", data))
        file.write(chunk(b"IDAT", packer.flush()) + chunk(b"IEND", b""))


def peak(binary, model, input, output):
    """Seconds, and the largest resident memory of the process in MB."""
    began = time.monotonic()
    command = [binary, "enhance", input, "-o", output, "--model", model, "--scale", "4", "--faces", "off"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return time.monotonic() - began, used.ru_maxrss / 1000


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", default="realesr-animevideov3")
    arguments.add_argument("--binary", default=str(ROOT / "target/release/remaster"))
    arguments = arguments.parse_args()
    print("| picture | result, megapixels | seconds | peak, MB | over one tile, MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, channels, bits, side in CASES:
            input, output = Path(folder, "in.png"), Path(folder, "out.png")
            noise(input, channels, bits, side)
            seconds, most = peak(arguments.binary, arguments.model, input, output)
            if side == CASES[0][3]:
                alone = most
            size = side * side * 16 / 1e6
            print(f"| {name}, {bits} bits, {side}x{side} | {size:.0f} | {seconds:.0f} | {most:.0f} | {most - alone:.0f} |", flush=True)


if __name__ == "__main__":
    main()
