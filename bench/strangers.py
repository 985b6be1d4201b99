"""Five hundred callers on one machine, with an attacker of each kind beside them.

    python3 bench/strangers.py [--minutes 10] [--clients 500] [--binary target/release/remaster]

Runs `remaster serve` over SQLite with a network, and the callers in this process. Each caller has an address of its own, which a trusted
proxy names; the attackers come straight from addresses of this machine. Prints what the callers were answered, how long their polls took, what
the attackers were answered, and the memory of the service, as tables in Markdown.
"""

import argparse
import asyncio
import collections
import contextlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from run import ROOT, WORK, install, machine, prepare

PORT, SILENT = 7591, 7593
# How often a minute the memory is looked at.
SAMPLES = 12
BASE = f"http://127.0.0.1:{PORT}"
NETWORK = "realesr-animevideov3"
# The address of the proxy, and the first one of the attackers.
PROXY, ATTACKER = "127.0.0.1", 100


def png(width, height, mode="RGB", level=1):
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(width).integers(0, 60, (height, width, len(mode)))
    smooth = np.linspace(0, 180, width)[None, :, None]
    file = io.BytesIO()
    Image.fromarray((noise + smooth).astype("uint8"), mode).save(file, "PNG", compress_level=level)
    return file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb():
    """A PNG of a few pixels whose colour profile inflates to 500 MB."""
    picture = png(8, 8)
    profile = b"a\0\0" + zlib.compress(bytes(500_000_000), 9)
    return picture[:33] + chunk(b"iCCP", profile) + picture[33:]


def deep():
    """A PNG of 16 bits a channel with alpha, of noise: its result is large."""
    side = 500
    rows = b"".join(b"\0" + os.urandom(side * 8) for _ in range(side))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def form(files):
    boundary = b"x" * 20
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="file"; filename="%d.png"\r\n\r\n%s\r\n' % (boundary, number, body)
        for number, body in enumerate(files)
    ]
    return b"".join(parts) + b"--%s--\r\n" % boundary, f"multipart/form-data; boundary={boundary.decode()}"


class Seen:
    """What a group of callers was answered."""

    def __init__(self):
        self.answers, self.polls = collections.Counter(), []

    def count(self, status, body=None):
        code = body.get("code") if isinstance(body, dict) and status >= 400 else None
        self.answers[f"{status} {code}" if code else str(status)] += 1


async def caller(number, session, picture, until, seen):
    """Submits a photo about once a minute, polls its job every two seconds, and fetches the result."""
    import aiohttp

    headers = {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}", "Content-Type": "image/png"}
    options = "background=false&faces=off" if number % 10 else f"model={NETWORK}&faces=off"

    async def ask(method, path, **more):
        began = time.monotonic()
        try:
            async with session.request(method, BASE + path, headers=headers, **more) as answer:
                body = await (answer.json() if "json" in answer.content_type else answer.read())
                seen.count(answer.status, body)
                return answer.status, body, time.monotonic() - began
        except (OSError, aiohttp.ClientError) as error:
            seen.count(type(error).__name__)
            return 0, {}, time.monotonic() - began

    await asyncio.sleep(random.uniform(0, 60))
    while time.monotonic() < until:
        began = time.monotonic()
        status, job, _ = await ask("POST", f"/jobs?{options}", data=picture)
        while status == 202 and time.monotonic() < until:
            await asyncio.sleep(2)
            polled, now, took = await ask("GET", f"/jobs/{job['id']}")
            seen.polls.append(took)
            if polled == 200 and now["status"] not in ("queued", "processing"):
                if now["status"] != "succeeded":
                    seen.count(f"job {now['status']}: {now.get('error')}")
                await ask("GET", f"/jobs/{job['id']}/result")
                break
        while time.monotonic() < min(until, began + 60):
            await asyncio.sleep(2)
            seen.polls.append((await ask("GET", "/quota"))[2])


async def raw(source, head, body=b"", piece=None, pause=0.0, patience=90, held=0.0):
    """Sends a request over a connection of its own, in pieces where it is asked to, and returns the status of the answer. The connection
    is held for a while then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT, local_addr=(source, 0))
    answer = asyncio.ensure_future(reader.readline())
    try:
        writer.write(head)
        for start in range(0, len(body), piece or max(1, len(body))):
            if answer.done():
                break
            writer.write(body[start : start + piece] if piece else body)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        line = await asyncio.wait_for(answer, patience)
        await asyncio.sleep(held if line else 0)
        return line.split()[1].decode() if line else "closed"
    except (OSError, asyncio.TimeoutError) as error:
        return type(error).__name__
    finally:
        # Nobody asks any more what it was answered.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        answer.cancel()
        writer.close()


def request(method, path, body=b"", kind="image/png", more=""):
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode()


def attackers(photo):
    """Each kind by its name: how many at once, and what one of them does again and again from an address of this machine."""
    import aiohttp

    bad, large = bomb(), deep()
    junk, junk_kind = form([photo] + [b"no picture at all"] * 99)
    slow, slow_kind = form([photo])
    many = slow.replace(b"\r\n\r\n", b"\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200_000)) + b"\r\n", 1)

    async def submit_raw(source, body, kind="image/png", path="/jobs?background=false&faces=off", **how):
        return await raw(source, request("POST", path, body, kind), body, **how)

    async def asked(method, source, path, **more):
        connector = aiohttp.TCPConnector(local_addr=(source, 0), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as own:
            async with own.request(method, BASE + path, **more) as answer:
                return answer.status, await answer.read()

    async def trickle(source):
        body = slow[: len(slow) // 2] + bytes(10_000)
        return await submit_raw(source, body, slow_kind, "/batches", piece=1, pause=1)

    async def idle(source):
        return await raw(source, b"GET /quota HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"y" * 100_000, piece=1, pause=2)

    async def cancel(source):
        status, body = await asked("POST", source, f"/jobs?model={NETWORK}&faces=off", data=photo, headers={"Content-Type": "image/png"})
        if status == 202:
            await asked("DELETE", source, f"/jobs/{json.loads(body)['id']}")
        return str(status)

    async def hook(source):
        target = f"http://127.0.{random.randrange(2, 250)}.{random.randrange(1, 250)}:{SILENT}/"
        return await submit_raw(source, photo, path=f"/jobs?background=false&faces=off&webhook_url={target}")

    followed, first = {}, asyncio.Lock()

    async def follow(source):
        async with first:
            if source not in followed:
                body, kind = form([photo] * 3)
                _, answer = await asked("POST", source, "/batches?background=false", data=body, headers={"Content-Type": kind})
                followed[source] = json.loads(answer).get("id")
        if not followed[source]:
            del followed[source]
            return "no batch"
        return await raw(source, request("GET", f"/batches/{followed[source]}/events"), held=30)

    async def noise(source):
        return await raw(source, os.urandom(2000), patience=10)

    return {
        "64 uploads, a byte a second": (64, trickle),
        "300 heads without an end": (300, idle),
        "profiles that inflate to 500 MB": (4, lambda source: submit_raw(source, bad)),
        "batches of one photo and 99 other files": (2, lambda source: submit_raw(source, junk, junk_kind, "/batches?background=false")),
        "forms with 200,000 header lines, in small pieces": (2, lambda source: submit_raw(source, many, slow_kind, piece=1400)),
        "16 bits with alpha, for large results": (2, lambda source: submit_raw(source, large, path="/jobs?background=false&scale=4")),
        "submit and cancel": (4, cancel),
        "webhooks to thousands of silent addresses": (4, hook),
        "300 followers of one batch": (300, follow),
        "bytes that are no request": (4, noise),
    }


async def attack(kind, source, until, answers):
    while time.monotonic() < until:
        try:
            answers[await kind(source)] += 1
        except Exception as error:  # An attacker goes on, whatever it is answered.
            answers[type(error).__name__] += 1
        await asyncio.sleep(0.2)


def resident(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


async def run(server, options):
    import aiohttp

    async def hang(reader, writer):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(options.minutes * 60)

    silent = await asyncio.start_server(hang, "0.0.0.0", SILENT)
    until = time.monotonic() + options.minutes * 60
    seen, memory, photo = Seen(), [], png(160, 120)
    answers = collections.defaultdict(collections.Counter)
    connector = aiohttp.TCPConnector(limit=0, local_addr=(PROXY, 0))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(90)) as session:
        work = [caller(number, session, photo, until, seen) for number in range(options.clients)]
        for number, (name, (count, kind)) in enumerate(attackers(photo).items()):
            work += [attack(kind, f"127.0.0.{ATTACKER + number}", until, answers[name]) for _ in range(count)]
        tasks = [asyncio.create_task(one) for one in work]
        while time.monotonic() < until:
            await asyncio.sleep(60 / SAMPLES)
            memory.append(resident(server))
        ended, late = await asyncio.wait(tasks, timeout=100)
        for task in late:
            task.cancel()
        for task in ended:
            task.result()
    silent.close()
    return seen, answers, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "remaster")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    prepare()
    install("aiohttp")
    settings = {
        "MODELS_DIR": str(WORK / "models"),
        "BIND": f"127.0.0.1:{PORT}",
        "LOG_LEVEL": "error",
        # The callers send the same photo, and its work is part of the load.
        "REUSE_RESULTS": "0",
        # The attackers' large results take some 7 GB a minute of the disk.
        "RESULT_TTL": "4m",
        "PULL_MODELS": "0",
        "TRUSTED_PROXIES": PROXY,
        "WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    ours = {**os.environ, **settings}
    subprocess.run([options.binary, "models", "pull", NETWORK, "onnxruntime", "openvino"], env=ours, check=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        server = subprocess.Popen([options.binary, "serve"], env={**ours, "DATA_DIR": folder})
        try:
            time.sleep(5)
            seen, answers, memory = asyncio.run(run(server, options))
            assert server.poll() is None, "the service is gone"
        finally:
            server.terminate()
            server.wait()

    polls = sorted(seen.polls)
    at = lambda share: 1000 * polls[int(share * (len(polls) - 1))]
    print(f"{machine()}; {options.clients} callers for {options.minutes:g} minutes, attackers beside them\n")
    print(f"{len(polls)} polls: median {at(0.5):.0f} ms, p99 {at(0.99):.0f} ms, longest {at(1):.0f} ms\n")
    print("| callers were answered | times |\n|---|---|")
    for answer, times in sorted(seen.answers.items()):
        print(f"| {answer} | {times} |")
    print("\n| attackers | were answered |\n|---|---|")
    for name, counts in answers.items():
        print(f"| {name} | {', '.join(f'{answer}: {times}' for answer, times in sorted(counts.items()))} |")
    minutes = memory[SAMPLES - 1 :: SAMPLES] or memory
    print(f"\nResident memory after each minute, in MiB: {', '.join(f'{value:.0f}' for value in minutes)}; {max(memory):.0f} at most.")


if __name__ == "__main__":
    sys.exit(main())
