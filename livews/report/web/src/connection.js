// The page's one socket: at its own address, with the token that the page was opened with. When it is lost, questions
// that wait for an answer fail, and it is opened again.
import { bytes } from "./text.js";
/** @import { Source } from "./types.js" */

const MOST_SOUND = 262_144; // bytes that livews gives at once
const LOST = "the connection to livews is lost";

// The token: out of the address, and kept for when the page is loaded again
const given = new URLSearchParams(location.search).get("token");
if (given) {
  sessionStorage.setItem("livews-token", given);
  history.replaceState(null, "", "/");
}
const token = given || sessionStorage.getItem("livews-token") || "";

/** @type {WebSocket} */
let socket;
let asked = 0, wait = 500;
/** @type {Map<number, { resolve: (answer: any) => void, reject: (problem: Error) => void }>} */
const waiting = new Map();

/** @param {(isLost: boolean) => void} changed @param {(message: any) => void} take what is no answer */
export function connect(changed, take) {
  const mine = (socket = new WebSocket(`ws://${location.host}/live?token=${encodeURIComponent(token)}`));
  mine.addEventListener("open", () => { wait = 500; changed(false); });
  mine.addEventListener("message", (e) => {
    if (mine !== socket) return;
    const message = JSON.parse(e.data), asker = waiting.get(message.re);
    waiting.delete(message.re);
    if (message.re === undefined) take(message);
    else asker?.resolve(message);
  });
  mine.addEventListener("close", () => {
    if (mine !== socket) return;
    changed(true);
    for (const { reject } of waiting.values()) reject(new Error(LOST));
    waiting.clear();
    setTimeout(connect, wait, changed, take);
    wait = Math.min(wait * 1.5, 5000);
  });
}
export const isOpen = () => socket.readyState === WebSocket.OPEN;
export const tell = (/** @type {object} */ message) => { if (isOpen()) socket.send(JSON.stringify(message)); };
/** Ask livews; a promise of what it answers. @param {object} question @returns {Promise<any>} */
export function ask(question) {
  if (!isOpen()) return Promise.reject(new Error(LOST));
  const id = ++asked;
  tell({ id, ...question });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

/** The messages and the sound of session `n`, asked for when they are wanted. @returns {Source} */
export const sourceOf = (/** @type {number} */ n) => ({
  chunk: () => null,
  fetch: (chunk) => ask({ ask: "chunk", n, chunk }).then((answer) => answer.chunk),
  async sound(side, at, size) {
    const parts = [];
    for (let from = at; from < at + size; from += MOST_SOUND)
      parts.push(ask({ ask: "sound", n, side, at: from, size: Math.min(MOST_SOUND, at + size - from) }));
    const blocks = (await Promise.all(parts)).map((answer) => bytes(answer.sound || ""));
    return new Uint8Array(await new Blob(blocks).arrayBuffer());
  },
  ready: Promise.resolve(),
});
