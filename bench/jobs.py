"""How well one machine uses its engine: a queue of mixed jobs, the memory after many, and the time by size.

    python3 bench/jobs.py [--model realesr-animevideov3] [--binary target/release/remaster]

Runs `remaster serve` with its own folder. Prints the share of the time in which the engine ran a network while 100 jobs of mixed
sizes waited, the resident memory after 50 and after 500 jobs, and the seconds for each megapixel from 0.1 to 16, as tables in Markdown.
"""

import argparse
import datetime
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from run import ROOT, WORK, machine, prepare

BASE, ADMIN = "http://127.0.0.1:7491", "http://127.0.0.1:7492"
SIZES = [(96, 64), (160, 120), (320, 240), (512, 384), (640, 480), (800, 600)]
MEGAPIXELS = [0.1, 0.25, 1, 2, 4, 8, 16]


def get(url):
    with urllib.request.urlopen(url, timeout=90) as answer:
        return answer.read()


def metric(name):
    return float(re.search(rf"^{name} (\S+)$", get(f"{ADMIN}/metrics").decode(), re.M)[1])


def picture(width, height):
    """A part of noise and of smooth colours, as a PNG."""
    import io

    import numpy as np
    from PIL import Image

    path = np.linspace(0, 255, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    noise = np.random.default_rng(width).normal(0, 6, (height, width, 3))
    file = io.BytesIO()
    Image.fromarray(np.clip(path + noise, 0, 255).astype("uint8")).save(file, "PNG", compress_level=1)
    return file.getvalue()


def submit(body, options):
    request = urllib.request.Request(f"{BASE}/jobs?{options}", body, {"Content-Type": "image/png"})
    return json.load(urllib.request.urlopen(request, timeout=90))["id"]


def finished(job):
    while True:
        seen = json.loads(get(f"{BASE}/jobs/{job}?wait=60"))
        if seen["status"] not in ("queued", "processing"):
            assert seen["status"] == "succeeded", seen
            return seen


def took(job):
    """Seconds from the claim of a job to its end."""
    at = lambda name: datetime.datetime.fromisoformat(job[name])
    return (at("finished_at") - at("started_at")).total_seconds()


def mixed(jobs, options):
    """Submits so many jobs of mixed sizes, and waits for them. Returns the share of the time in which the engine was busy."""
    bodies = {size: picture(*size) for size in SIZES}
    ids = [submit(bodies[random.choice(SIZES)], options) for _ in range(jobs)]
    finished(ids[0])
    began, busy = time.monotonic(), metric("remaster_engine_busy_seconds_total")
    # To the last but two: at the end of the queue there is nothing to overlap with.
    for job in ids[1:-2]:
        finished(job)
    share = (metric("remaster_engine_busy_seconds_total") - busy) / (time.monotonic() - began)
    for job in ids[-2:]:
        finished(job)
    return share


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="realesr-animevideov3")
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    parser.add_argument("--jobs", type=int, default=500)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()
    random.seed(7)
    settings = {"MODELS_DIR": str(WORK / "models"), "BIND": BASE[7:], "ADMIN_BIND": ADMIN[7:], "LOG_LEVEL": "warn", "PULL_MODELS": "0", "REUSE_RESULTS": "0", "MAX_OUTPUT_PIXELS": "300000000"}
    ours = {**os.environ, **settings}
    subprocess.run([options.binary, "models", "pull", options.model, "onnxruntime", "openvino"], env=ours, check=True)
    asked = f"scale=4&model={options.model}&faces=off"
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        server = subprocess.Popen([options.binary, "serve"], env={**ours, "DATA_DIR": folder})
        try:
            while server.poll() is None:
                try:
                    get(f"{BASE}/ready")
                    break
                except OSError:
                    time.sleep(0.2)
            memory, done = {}, 0
            for count in (50, options.jobs):
                for job in [submit(picture(*random.choice(SIZES[:3])), asked) for _ in range(count - done)]:
                    finished(job)
                done = count
                memory[done] = metric("process_resident_memory_bytes") / 2**20
            share = mixed(100, asked)
            flat = {}
            for megapixels in MEGAPIXELS:
                width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
                body = picture(width, round(megapixels * 1e6 / width))
                flat[megapixels] = took(finished(submit(body, asked + "&format=jpeg"))) / megapixels
        finally:
            server.terminate()
            server.wait()

    print(f"{machine()}; {options.model} at scale 4\n")
    print(f"The engine was busy for {100 * share:.1f} % of the time while 100 jobs of mixed sizes waited.\n")
    print("| jobs so far | resident MiB |\n|---|---|")
    for count, resident in memory.items():
        print(f"| {count} | {resident:.0f} |")
    print("\n| megapixels | seconds for each |\n|---|---|")
    for megapixels, seconds in flat.items():
        print(f"| {megapixels} | {seconds:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
