// Receives webhooks of a Remaster service and verifies them, without a package (Node 18 or newer).
//
//     node receiver.mjs 8080 whsec_...
//
// The secret is the one that was sent as webhook_secret with the submit. A receiver that is told the same event twice, which can
// happen, knows it by the header webhook-id.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const [port, secret] = process.argv.slice(2);
const key = Buffer.from(secret.replace("whsec_", ""), "base64");
const seen = new Set();

// Standard Webhooks: a signature of id, time and body, in a list of signatures by version.
function isGenuine(headers, body) {
  const age = Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"]));
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const expected = createHmac("sha256", key).update(signed).digest();
  const signatures = (headers["webhook-signature"] ?? "").split(" ").filter((signature) => signature.startsWith("v1,"));
  const equal = (one) => one.length === expected.length && timingSafeEqual(one, expected);
  return age < 300 && signatures.some((signature) => equal(Buffer.from(signature.slice(3), "base64")));
}

createServer((request, response) => {
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    const genuine = isGenuine(request.headers, body);
    // Answer within 15 seconds, and do the work afterwards.
    response.writeHead(genuine ? 204 : 400).end();
    if (!genuine) {
      console.log("refused: not signed with the secret");
    } else if (!seen.has(request.headers["webhook-id"])) {
      seen.add(request.headers["webhook-id"]);
      const event = JSON.parse(body);
      console.log(event.type, event.data.id);
    }
  });
}).listen(Number(port), "127.0.0.1");
