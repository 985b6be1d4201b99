"""Receives webhooks of a Remaster service and verifies them, by the package standardwebhooks.

    pip install standardwebhooks
    python3 receiver.py 8080 whsec_...

The secret is the one that was sent as webhook_secret with the submit. A receiver that is told the same event twice, which can
happen, knows it by the header webhook-id.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = sys.argv[2]
seen = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            Webhook(SECRET).verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.answer(400)
            print("refused: not signed with the secret", flush=True)
            return
        # Answer within 15 seconds, and do the work afterwards.
        self.answer(204)
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event["data"]["id"], flush=True)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
