// Numbers, sizes and times in plain English, and what a job's state is called.

const numbers = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat("en", {
  weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });

/** 12345 as "12,345". */
export const number = (value) => numbers.format(value);

/** "1 photo", "2 photos". */
export const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A fraction as "42 %". It reaches 100 only when all is done. */
export const percent = (fraction) => `${Math.floor(fraction * 100)} %`;

/** Bytes in the unit that fits. */
export function bytes(value) {
  if (value < 1000) return `${value} B`;
  const [size, unit] = value < 1e6 ? [value / 1e3, "kB"] : value < 1e9 ? [value / 1e6, "MB"] : [value / 1e9, "GB"];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

/** "512 × 384". */
export const sides = (width, height) => `${width} × ${height}`;

/** A moment as "23:10", with its weekday when it is not today. */
export function moment(when) {
  const date = new Date(when);
  return (date.toDateString() === new Date().toDateString() ? clock : dayAndClock).format(date);
}

/** How long until a moment: "in 22 hours". */
export function until(when) {
  const minutes = Math.max(1, Math.round((new Date(when) - Date.now()) / 60_000));
  return minutes < 90 ? relative.format(minutes, "minute") : relative.format(Math.round(minutes / 60), "hour");
}

/** How long is left until a moment: "22 h left". */
export function left(when) {
  const minutes = Math.max(1, Math.round((new Date(when) - Date.now()) / 60_000));
  return minutes < 90 ? `${minutes} min left` : `${Math.round(minutes / 60)} h left`;
}

/** A file's name without its ending. */
export const stem = (name) => name.replace(/\.[^.]+$/, "") || name;

/** What became of the faces in a photo. */
export function faces({ found, restored, status }) {
  switch (status) {
    case "restored": return `${count(found, "face")} found, ${number(restored)} restored`;
    case "none_found": return "None found";
    case "off": return "Left as they are";
    case "drawing": return "Left as they are: the network is for drawings";
    case "model_not_installed": return "Not restored: this server has no face network";
    default: return status;
  }
}

/** A place in line: "next in line", "3rd in line". */
export function place(position) {
  if (position <= 1) return "Next in line";
  const rule = new Intl.PluralRules("en", { type: "ordinal" }).select(position);
  return `${number(position)}${{ one: "st", two: "nd", few: "rd", other: "th" }[rule]} in line`;
}

/** One line on how a job stands. */
export function jobState(job) {
  switch (job.status) {
    case "queued": return job.queue ? place(job.queue.position) : "In line";
    case "processing": return `At work, ${percent(job.progress)}`;
    case "succeeded": return "Done";
    case "failed": return "Failed";
    case "canceled": return "Canceled";
    default: return "Expired";
  }
}
