"""Enhances photos with a Remaster service, by the package requests.

    pip install requests
    python3 client.py http://127.0.0.1:8000 photo.jpg another.jpg
"""

import hashlib
import sys
import time
import uuid
from pathlib import Path

import requests


def send(method, url, **request):
    """Sends a request, and again when the service has no room or the connection is cut."""
    for attempt in range(10):
        try:
            response = requests.request(method, url, timeout=90, **request)
        except requests.ConnectionError:
            time.sleep(min(2**attempt, 30))
            continue
        if response.status_code in (429, 503):
            time.sleep(int(response.headers.get("Retry-After", 5)))
            continue
        if not response.ok:
            raise RuntimeError(response.json()["detail"])
        return response
    raise RuntimeError(f"{url} does not answer")


def submit(server, path, **options):
    """Submits one photo. The key makes it safe to send the request again: it is charged once."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    files = {"file": (Path(path).name, Path(path).read_bytes())}
    return send("POST", f"{server}/jobs", files=files, data=options, headers=headers).json()


def wait(url, done):
    """Waits until the job or batch at this URL has ended."""
    while True:
        state = send("GET", url, params={"wait": 30}).json()
        if state["status"] in done:
            return state


def download(job, path):
    """Saves the result of a job, and checks that it arrived whole."""
    png = send("GET", job["result"]["url"]).content
    if hashlib.sha256(png).hexdigest() != job["result"]["sha256"]:
        raise RuntimeError("the download is damaged")
    Path(path).write_bytes(png)


def batch(server, paths, **options):
    """Submits many photos as one batch."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    files = [("file", (Path(path).name, Path(path).read_bytes())) for path in paths]
    return send("POST", f"{server}/batches", files=files, data=options, headers=headers).json()


def main(server, photos):
    job = submit(server, photos[0], scale=2)
    job = wait(job["urls"]["self"], {"succeeded", "failed", "canceled", "expired"})
    if job["status"] != "succeeded":
        raise RuntimeError(job["error"]["message"])
    download(job, "result.png")
    print(f"result.png: {job['result']['width']}x{job['result']['height']}")

    together = batch(server, photos, scale=2)
    together = wait(together["urls"]["self"], {"finished"})
    Path("results.zip").write_bytes(send("GET", together["urls"]["results"]).content)
    print(f"results.zip: {together['counts']['succeeded']} of {len(photos)}")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2:])
