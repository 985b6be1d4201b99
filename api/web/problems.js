// Every error in plain words, each with what to do about it.

import { bytes, moment, until } from "./words.js";

/** An error with the code of an `application/problem+json` answer, or one of the page's own codes. */
export class Problem extends Error {
  constructor(code, { status = 0, detail = "", requestId = "", retryAfter = null } = {}) {
    super(detail || code);
    Object.assign(this, { code, status, detail, requestId, retryAfter });
  }

  /** The problem that an answer of the service describes. */
  static of(status, text, header) {
    let body = {};
    try {
      body = JSON.parse(text);
    } catch {
      // A proxy in between answers in a format of its own; the status has to do.
    }
    const seconds = Number.parseInt(header("Retry-After") ?? "", 10);
    return new Problem(body.code ?? (status >= 500 ? "unreachable" : "unexpected"), {
      status,
      detail: body.detail ?? "",
      requestId: body.request_id ?? header("X-Request-Id") ?? "",
      retryAfter: Number.isFinite(seconds) ? seconds : null,
    });
  }

  /** Whether the same request may well succeed a little later. */
  get isPassing() {
    if (this.code === "model_unavailable") return false;
    return this.code === "unreachable" || [408, 502, 503, 504].includes(this.status);
  }
}

/** Code to what happened and what to do; `context` has the quota and the limits, as far as they are known. */
const WORDS = {
  unsupported_format: () => ["This is not a photo Remaster can read.", "Save it as JPEG, PNG, WebP, TIFF, GIF, BMP or HEIC and send that."],
  image_corrupt: () => ["This photo is damaged or cut short.", "Copy it again from where it came from and send the copy."],
  file_too_large: ({ limits }) => [
    "This file is too large.",
    limits ? `Send one of at most ${bytes(limits.max_upload_bytes)}; a JPEG is smaller than a PNG or TIFF.` : "Send a smaller one.",
  ],
  image_too_large: () => ["This photo has too many pixels.", "Choose 2× instead of 4×, or make the photo smaller first."],
  batch_too_large: () => ["These are too many photos at once.", "Send fewer of them at a time."],
  quota_exceeded: ({ quota }) => [
    "Today’s free photos are used up.",
    quota
      ? `${quota.remaining} of ${quota.limit} are left. Come back after ${moment(quota.reset)}, ${until(quota.reset)}. Nothing was charged.`
      : "Come back tomorrow. Nothing was charged.",
  ],
  overloaded: () => ["The service is busy right now.", "Nothing was charged. Try again in a few seconds."],
  queue_full: () => ["The line is full right now.", "Nothing was charged. Try again in a few minutes."],
  store_unavailable: () => ["The service cannot take photos right now.", "Nothing was charged. Try again in a minute."],
  storage_unavailable: () => ["The service cannot keep photos right now.", "Nothing was charged. Try again in a minute."],
  model_unavailable: () => [
    "A network these settings need is not available.",
    "Set the model to Automatic and faces to If any; or turn off “Enhance the background”.",
  ],
  request_timeout: () => ["The upload took too long.", "Nothing was charged. Try again, or send fewer photos at once."],
  invalid_parameter: () => ["The service did not accept the settings.", "Change them as it says, or reload this page."],
  invalid_webhook_url: () => ["The service did not accept the web address.", "Change it as it says."],
  missing_file: () => ["No photo arrived.", "Choose it again and send it once more."],
  idempotency_key_reused: () => ["This was sent before with other settings.", "Send the photo again."],
  not_found: () => ["The service no longer knows this photo.", "Remove it here and send the photo again."],
  result_expired: () => ["The result was deleted when its time was over.", "Send the photo again."],
  not_finished: () => ["It is not finished yet.", "Wait a moment."],
  already_finished: () => ["It is finished already.", "There is nothing to cancel."],
  canceled: () => ["It was canceled.", "Send the photo again if you want it after all."],
  poison: () => ["The service failed on this photo, several times.", "It was not charged. Try a smaller copy of it."],
  internal: () => ["Something went wrong on the service’s side.", "It was not charged. Try again later."],
  unreachable: () => ["There is no connection to the service.", "Check that you are online, then try again. Nothing is charged twice."],
  interrupted: () => ["The upload was cut off before it was complete.", "Choose the photos again. Nothing is charged twice."],
  empty_file: () => ["This file is empty.", "Copy it again from where it came from."],
};

/** Codes where the service's own sentence says what no table can know. */
const TELLING = new Set(["invalid_parameter", "invalid_webhook_url", "image_too_large", "model_unavailable"]);

/** What happened, what to do, and small print, for a problem or the `error` of a job. */
export function explain({ code, detail, message, requestId }, context = {}) {
  const told = detail || message || "";
  const [title, advice] = WORDS[code]?.(context) ?? ["The service could not do this.", told || "Try again later."];
  const fine = [];
  if (told && TELLING.has(code)) fine.push(told);
  if (requestId && (code === "internal" || !WORDS[code])) fine.push(`Whoever runs the service can find it as ${requestId}.`);
  return { title, advice, fine: fine.join(" ") };
}
