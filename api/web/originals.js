// The photos that were sent, kept in this browser (IndexedDB) beside their entries: to compare with, and to send again after a
// reload. Where the browser keeps nothing, they last until the page is closed.

const memory = new Map();
/** Blobs and their URLs. */
const shown = new Map();
/** The longer side of a small picture, in pixels. */
const THUMB = 360;

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("remaster", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("originals");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

let database = null;

/** Runs `work` on the object store; null where there is none or it fails. */
async function within(mode, work) {
  try {
    database ??= open();
    const transaction = (await database).transaction("originals", mode);
    const request = work(transaction.objectStore("originals"));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    return null;
  }
}

const name = (key, index) => `${key}/${index}`;

/** Keeps photo number `index` of an entry at once, and its small picture as soon as the promise `thumb` gives it. */
export async function keep(key, index, file, thumb) {
  const photo = { file, thumb: null };
  const write = () => within("readwrite", (store) => store.put({ file, thumb: photo.thumb }, name(key, index)));
  memory.set(name(key, index), { ...photo, pending: thumb });
  await write();
  photo.thumb = await thumb;
  if (!memory.has(name(key, index))) return;
  memory.set(name(key, index), photo);
  await write();
}

/** The URL of the small picture of photo number `index`, or null. */
export async function thumbOf(key, index) {
  const photo = await find(key, index);
  return urlOf(photo?.thumb ?? (await photo?.pending));
}

/** `{ file, thumb }` of photo number `index`, or null where it is not kept. */
export async function find(key, index) {
  const id = name(key, index);
  if (!memory.has(id)) {
    const kept = await within("readonly", (store) => store.get(id));
    if (kept && !memory.has(id)) memory.set(id, kept);
  }
  return memory.get(id) ?? null;
}

/** Forgets all photos of an entry. */
export async function forget(key) {
  for (const [known, { file, thumb }] of [...memory]) {
    if (!known.startsWith(`${key}/`)) continue;
    memory.delete(known);
    for (const blob of [file, thumb]) {
      if (shown.has(blob)) URL.revokeObjectURL(shown.get(blob));
      shown.delete(blob);
    }
  }
  await within("readwrite", (store) => store.delete(IDBKeyRange.bound(`${key}/`, `${key}/\uffff`)));
}

/** Forgets the photos of all entries but those with the given keys: what an earlier visit left behind. */
export async function forgetAllBut(keys) {
  const names = (await within("readonly", (store) => store.getAllKeys())) ?? [];
  const gone = new Set(names.map((known) => known.split("/")[0]).filter((key) => !keys.has(key)));
  for (const key of gone) await forget(key);
}

/** A small picture of a photo; null where this browser cannot show the format. */
export async function thumbnail(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  const factor = Math.min(1, THUMB / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.8));
}

/** A URL for a blob, the same for the same blob, so that a picture does not flicker when it is shown again. */
export function urlOf(blob) {
  if (!blob) return null;
  if (!shown.has(blob)) shown.set(blob, URL.createObjectURL(blob));
  return shown.get(blob);
}
