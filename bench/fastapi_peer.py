"""The usual server without its network: it takes a form, keeps the photo, and answers an id; it answers what it knows of an id.

It neither counts quotas nor makes anything durable, so it does less than any real service.
"""

import os
import uuid
from pathlib import Path

from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()
folder = Path(os.environ["PEER_FOLDER"])
jobs: dict[str, dict] = {}


@app.post("/jobs", status_code=202)
async def submit(file: UploadFile):
    job = str(uuid.uuid4())
    (folder / job).write_bytes(await file.read())
    jobs[job] = {"id": job, "status": "queued", "filename": file.filename}
    return jobs[job]


@app.get("/jobs/{job}")
async def look(job: str):
    if job not in jobs:
        raise HTTPException(404)
    return jobs[job]


@app.get("/health")
async def health():
    return {"status": "ok"}
