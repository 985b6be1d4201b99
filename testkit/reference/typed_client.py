"""Submits a job with the client that openapi-python-client generates from the OpenAPI document, and prints how it ended.

typed_client.py FOLDER SERVER PHOTO, where FOLDER holds the generated package `remaster_client`.
"""

import io
import sys

folder, server, photo = sys.argv[1:]
sys.path.insert(0, folder)

from remaster_client import Client  # noqa: E402
from remaster_client.api.jobs import show, submit  # noqa: E402
from remaster_client.api.service import quota  # noqa: E402
from remaster_client.models import JobView, Status, SubmitScale, UploadForm  # noqa: E402
from remaster_client.types import File  # noqa: E402

client = Client(base_url=server)
with open(photo, "rb") as file:
    form = UploadForm(file=File(payload=io.BytesIO(file.read()), file_name="photo.jpg", mime_type="image/jpeg"))
job = submit.sync(client=client, body=form, scale=SubmitScale.VALUE_4)
assert isinstance(job, JobView), job
while job.status in (Status.QUEUED, Status.PROCESSING):
    job = show.sync(client=client, id=job.id, wait=30)
print(job.status, job.result.width, quota.sync(client=client).used)
