// The HTTP API as this page uses it. Paths are relative to the page, so it works under any prefix.

import { Problem } from "./problems.js";

/** `path` of the API as an absolute URL. */
export const address = (path) => new URL(path, document.baseURI).href;

/** Where a job's picture is. */
export const resultOf = (id) => address(`jobs/${id}/result`);

/** Where a batch's pictures are, in one archive. */
export const archiveOf = (id) => address(`batches/${id}/results.zip`);

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(address(path), { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw Problem.of(answer.status, await answer.text(), (name) => answer.headers.get(name));
}

/** `GET path` as JSON. */
export const read = async (path, options) => (await call(path, options)).json();

/** `DELETE path`; the job or batch as it then stands. */
export const cancel = async (path) => (await call(path, { method: "DELETE" })).json();

/**
 * `GET path` with its version. Given the version that is known already, the service holds the answer up to `wait` seconds until
 * there is another; `view` is null where there is none.
 */
export async function readVersion(path, { version, wait, signal }) {
  const headers = version ? { "If-None-Match": version } : {};
  const answer = await call(wait ? `${path}?wait=${wait}` : path, { headers, signal });
  const view = answer.status === 304 ? null : await answer.json();
  return { view, version: answer.headers.get("ETag") };
}

/**
 * Posts a form and reports how much of it is sent, from 0 to 1. `key` is the request's `Idempotency-Key`: sent again with the
 * same one, it is the same request to the service and costs nothing.
 */
export function upload(path, form, { key, onprogress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    request.setRequestHeader("Idempotency-Key", `"${key}"`);
    request.upload.onprogress = (event) => event.lengthComputable && onprogress(event.loaded / event.total);
    request.upload.onload = () => onprogress(1);
    request.onerror = () => reject(new Problem("unreachable"));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    request.onload = () => {
      const header = (name) => request.getResponseHeader(name);
      const failed = () => reject(Problem.of(request.status, request.responseText, header));
      if (request.status < 200 || request.status > 299) return failed();
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        failed();
      }
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
