"""Submits and polls a second of Remaster's API over SQLite and over Redis, beside a FastAPI server that only keeps the photo.

    python3 bench/service.py [--seconds 10] [--rounds 3] [--connections 16]

Needs `wrk` and `redis-server`, from Debian's packages. The load comes from the same machine. The packages of the peer are installed
into `target/bench` first. The workers are paused: what is measured is what a caller waits for.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from run import PYTHON, ROOT, WORK, install, machine

PHOTO_BYTES = 20_000
# What needs no model is accepted though nobody has one.
SUBMIT = "/jobs?background=false&faces=off"


def prepare():
    install("fastapi", "uvicorn[standard]", "python-multipart", "pillow")
    for program in ("wrk", "redis-server"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is missing")


def photo():
    """A JPEG of about `PHOTO_BYTES`, by the peer's Python, which has a library for it."""
    path = WORK / "service.jpg"
    script = f"""
from PIL import Image; import os
image = Image.effect_noise((300, 300), 60).convert("RGB")
for quality in range(20, 96):
    image.save({str(path)!r}, quality=quality)
    if os.path.getsize({str(path)!r}) > {PHOTO_BYTES}: break
"""
    subprocess.run([PYTHON, "-c", script], check=True)
    return path


class Server:
    """A server as a process, and the folder of its data."""

    def __init__(self, name, command, settings, port):
        self.name, self.base = name, f"http://127.0.0.1:{port}"
        self.log = open(WORK / f"service-{port}.log", "w")
        self.process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=self.log, stderr=self.log)
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{self.base}/health").read()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{name} does not start: {self.log.name}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wrk(server, path, load, environment=None, script=None):
    """Requests a second, the 99th percentile in milliseconds, and answers that were no success. `load` has the connections and seconds."""
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--latency"]
    command += ["-s", str(script)] if script else []
    said = subprocess.run(
        [*command, server.base + path], env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=True
    ).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return rate, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], int(refused[1]) if refused else 0


def one_job(server, picture):
    """Submits one photo by curl, and returns the path of its job."""
    said = subprocess.run(
        ["curl", "-sf", "-F", f"file=@{picture}", f"{server.base}{SUBMIT}"], capture_output=True, text=True, check=True
    ).stdout
    return f"/jobs/{json.loads(said)['id']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()
    picture = photo()
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        folder = Path(folder)
        redis = subprocess.Popen(
            ["redis-server", "--port", "7390", "--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        common = {
            "PULL_MODELS": "0",
            "MAX_QUEUE": "10000000",
            "LOG_LEVEL": "warn",
            "TRUSTED_PROXIES": "127.0.0.1",
            "MODELS_DIR": str(folder / "none"),
        }
        ours = lambda name, port, extra, role: Server(
            name,
            [str(options.binary), role],
            {**common, "BIND": f"127.0.0.1:{port}", "ADMIN_BIND": f"127.0.0.1:{port + 100}", "DATA_DIR": str(folder / name), **extra},
            port,
        )
        (folder / "peer").mkdir()
        uvicorn = [PYTHON, "-m", "uvicorn", "--app-dir", Path(__file__).parent, "fastapi_peer:app", "--port", "7393", "--log-level", "warning"]
        servers = [
            ours("Remaster over SQLite", 7391, {}, "serve"),
            ours("Remaster over Redis", 7392, {"REDIS_URL": "redis://127.0.0.1:7390", "STORAGE_URL": f"file://{folder / 'blobs'}"}, "api"),
            Server("FastAPI that only keeps the photo", uvicorn, {"PEER_FOLDER": str(folder / "peer")}, 7393),
        ]
        figures = {server.name: ([], []) for server in servers}
        try:
            for server in servers[:2]:
                admin = f"http://127.0.0.1:{int(server.base.rsplit(':', 1)[1]) + 100}"
                subprocess.run([options.binary, "jobs", "pause", "--admin-url", admin], check=True, stdout=subprocess.DEVNULL)
            for _ in range(options.rounds):
                for server in servers:
                    submits, polls = figures[server.name]
                    script = Path(__file__).with_name("submit.lua")
                    submits.append(wrk(server, SUBMIT, options, {"PHOTO": str(picture)}, script))
                    polls.append(wrk(server, one_job(server, picture), options))
        finally:
            for server in servers:
                server.stop()
            redis.terminate()
            redis.wait()

    print(f"{machine()}; {options.connections} connections, a photo of {picture.stat().st_size} bytes, medians of {options.rounds} interleaved rounds\n")
    print("| | submits/s | p99 | polls/s | p99 | answers that were no success |\n|---|---|---|---|---|---|")
    for name, both in figures.items():
        (submits, late), (polls, poll_late) = ([statistics.median(column) for column in zip(*[run[:2] for run in runs])] for runs in both)
        refused = sum(run[2] for runs in both for run in runs)
        print(f"| {name} | {submits:.0f} | {late:.0f} ms | {polls:.0f} | {poll_late:.1f} ms | {refused} |")


if __name__ == "__main__":
    main()
