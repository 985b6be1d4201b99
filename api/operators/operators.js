// The page for operators: what the administration port tells, and what it does, without a command line.

const EVERY = 3000;
const SILENT = 30_000;
const SHOWN = 100;

const at = (id) => document.getElementById(id);

/** What was asked last, and whether the node did not answer that. */
const turn = { last: 0, failed: false };

/** Shows a text where that changes something, so that nobody has it read to them again and again. */
function show(id, text, kind = "") {
  if (at(id).textContent !== text) at(id).textContent = text;
  at(id).className = kind;
}

/** Shows what came of the last action. */
function say(text, bad = false) {
  show("message", text, bad ? "bad" : "");
}

/** Replaces the rows of a table. Whoever was on a button stays on it. */
function replace(id, rows) {
  const here = at(id).contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  at(id).replaceChildren(...rows);
  const again = [...at(id).querySelectorAll("button")].find((one) => one.getAttribute("aria-label") === here);
  if (here) again?.focus();
}

/** By how much the node's clock is ahead of the browser's. */
const now = { ahead: 0 };

/** Asks the port. What it refuses is thrown as an error with its words. */
async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, body === undefined ? {} : post);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail ?? told.title ?? `status ${answer.status}`);
  now.ahead = Date.parse(answer.headers.get("date")) - Date.now() || 0;
  return told;
}

/** Does something, tells how it went, and looks again. */
async function act(words, path, body = {}) {
  try {
    const told = await ask(path, body);
    say(words(told));
  } catch (error) {
    say(`Not done: ${error.message}`, true);
  }
  await look();
}

/** A table row of texts, of nodes, and of [text, class]. */
function row(...cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const place = line.insertCell();
    const [what, kind] = Array.isArray(cell) ? cell : [cell, ""];
    place.append(what ?? "");
    place.className = kind;
  }
  return line;
}

/** A row that says that there are no others. */
function nothing(text, columns) {
  const line = row([text, "none"]);
  line.firstChild.colSpan = columns;
  return line;
}

function button(label, name, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.setAttribute("aria-label", `${label} ${name}`);
  made.addEventListener("click", action);
  return made;
}

function code(text) {
  const made = document.createElement("code");
  made.textContent = text;
  return made;
}

/** How long ago, in words. */
function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() + now.ahead - new Date(time)) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

function state(worker) {
  if (Date.now() + now.ahead - new Date(worker.seen_at) > SILENT) return ["silent", "bad"];
  if (worker.stopping) return ["stopping", "none"];
  if (worker.drained) return ["drained", "bad"];
  if (worker.paused) return [`takes no jobs: ${worker.paused}`, "bad"];
  return ["takes jobs", "good"];
}

function showWorkers(workers) {
  const rows = workers.map((worker) => {
    const { name, drained } = worker;
    const path = `/workers/${encodeURIComponent(name)}`;
    const action = drained
      ? button("Resume", name, () => act(() => `${name} is given jobs again.`, `${path}/resume`))
      : button("Drain", name, () => act(() => `${name} is given no more jobs.`, `${path}/drain`));
    return row(code(name), worker.device, `${worker.in_flight} of ${worker.jobs}`, state(worker), ago(worker.seen_at), action);
  });
  replace("workers", rows.length ? rows : [nothing("No worker was heard of lately.", 6)]);
}

function showQueue(queue) {
  const { paused, queued, processing, clients_today, units_today } = queue;
  show("claiming", paused ? "Claiming is paused" : "Jobs are given to workers", paused ? "bad" : "good");
  at("pause").textContent = paused ? "Resume claiming" : "Pause claiming";
  at("pause").hidden = false;
  at("pause").onclick = () =>
    act((told) => (told.paused ? "Workers are given no more jobs." : "Workers are given jobs again."), paused ? "/resume" : "/pause");
  const numbers = { queued, processing, "clients today": clients_today, "images today": units_today };
  const pairs = Object.entries(numbers).map(([name, number]) => {
    const pair = document.createElement("div");
    const [term, value] = ["dt", "dd"].map((kind) => document.createElement(kind));
    term.textContent = name;
    value.textContent = number.toLocaleString("en");
    pair.append(term, value);
    return pair;
  });
  at("numbers").replaceChildren(...pairs);
  showWorkers(queue.workers);
}

function showJobs(jobs) {
  const rows = jobs.map((job) => {
    const again = () => act(() => `${job.id} is queued again.`, `/jobs/${job.id}/requeue`);
    const { width, height, format } = job.input;
    return row(
      code(job.id),
      code(job.client.slice(0, 8)),
      job.params.background ? job.params.model : "none",
      `${width}x${height} ${format ?? ""}`,
      ago(job.created_at),
      String(job.attempt),
      job.error ? [`${job.error.code}: ${job.error.message}`, "bad"] : "",
      job.status === "failed" ? button("Queue again", job.id, again) : "",
    );
  });
  replace("jobs", rows.length ? rows : [nothing("There are none.", 8)]);
}

/** The errors of the jobs that are listed can be chosen. */
function offerCodes(jobs) {
  const known = new Set([...at("code").options].map((option) => option.value));
  for (const { error } of jobs) {
    if (error && !known.has(error.code)) {
      known.add(error.code);
      at("code").add(new Option(error.code, error.code));
    }
  }
}

async function look() {
  const mine = ++turn.last;
  const failed = at("status").value === "failed";
  at("code").disabled = !failed;
  const chosen = failed ? at("code").value : "";
  at("requeue-all").disabled = !chosen;
  const query = new URLSearchParams({ status: at("status").value, limit: SHOWN, ...(chosen && { code: chosen }) });
  try {
    const [queue, jobs] = await Promise.all([ask("/queue"), ask(`/jobs?${query}`)]);
    // A later look may have been answered before.
    if (mine !== turn.last) return;
    if (turn.failed) say("");
    turn.failed = false;
    showQueue(queue);
    offerCodes(jobs);
    showJobs(jobs);
  } catch (error) {
    if (mine !== turn.last) return;
    turn.failed = true;
    say(`The node does not tell: ${error.message}`, true);
  }
}

/** Looks again and again, one look at a time. */
async function keepLooking() {
  if (!document.hidden) await look();
  setTimeout(keepLooking, EVERY);
}

at("status").addEventListener("change", look);
at("code").addEventListener("change", look);
at("requeue-all").addEventListener("click", () => {
  const tell = ({ requeued, too_old }) => `${requeued} jobs are queued again; the inputs of ${too_old} are not kept any more.`;
  act(tell, `/requeue?${new URLSearchParams({ code: at("code").value })}`);
});
at("client").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { address, units } = Object.fromEntries(new FormData(event.target));
  const client = `/clients/${encodeURIComponent(address)}`;
  const used = (quota) => `${address} has used ${quota.used} of ${quota.limit} today.`;
  switch (event.submitter?.value) {
    case "give":
      return act(used, `${client}/quota`, { give_back: Number(units) });
    case "purge":
      if (!confirm(`Cancel all waiting jobs of ${address}?`)) return;
      return act(({ canceled }) => `${canceled} jobs of ${address} are canceled.`, `${client}/purge`);
    default:
      try {
        say(used(await ask(`${client}/quota`)));
      } catch (error) {
        say(error.message, true);
      }
  }
});
at("hook").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = new FormData(event.target).get("id").trim();
  act(() => `The webhook of ${id} is sent again.`, `/webhooks/${encodeURIComponent(id)}/resend`);
});

keepLooking();
