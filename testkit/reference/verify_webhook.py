"""Verifies one webhook with independent libraries: `standardwebhooks` (HMAC) and `cryptography` (ed25519).

Reads JSON {"headers", "body", "secret", "public_key"} on standard input. `secret` is null if the submitter
gave none. `public_key` is one whpk_ text or a list of them, of which one has to match. The exit code is 0 only if every
signature is valid.

    pip install standardwebhooks cryptography
"""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError


def ed25519_matches(headers, body, public_keys):
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signatures = [s[len("v1a,"):] for s in headers["webhook-signature"].split(" ") if s.startswith("v1a,")]
    for text in public_keys:
        if not text.startswith("whpk_"):
            sys.exit(f"not a public key: {text}")
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text[len("whpk_"):], validate=True))
        for signature in signatures:
            try:
                key.verify(base64.b64decode(signature, validate=True), content)
                return True
            except InvalidSignature:
                continue
    return False


def main():
    given = json.load(sys.stdin)
    headers = {name.lower(): value for name, value in given["headers"].items()}
    body = given["body"].encode()
    keys = given["public_key"]
    if given.get("secret") is not None:
        try:
            Webhook(given["secret"]).verify(body, headers)
        except WebhookVerificationError as error:
            sys.exit(f"HMAC: {error}")
    if not ed25519_matches(headers, body, [keys] if isinstance(keys, str) else keys):
        sys.exit("ed25519: no signature matches a public key")


if __name__ == "__main__":
    main()
