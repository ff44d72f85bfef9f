// One session as data: what a row is, why it was closed, how it grows.
import { bytes } from "./text.js";
/** @import { Finding, Head, Session } from "./types.js" */

export const LEVELS = ["", "note", "refused", "error"];
const flags = (/** @type {Session} */ session, /** @type {number} */ row) => Number(session.flags[row]);
export const isFromServer = (/** @type {Session} */ session, /** @type {number} */ row) => !!(flags(session, row) & 1);
/** A ping, a close or another row that is no message. @param {Session} session @param {number} row */
export const isControl = (session, row) => !!(flags(session, row) & 2);
/** Its worst finding: an index of LEVELS. @param {Session} session @param {number} row */
export const level = (session, row) => (flags(session, row) >> 2) & 3;
/** Was it written by hand in the inspector? @param {Session} session @param {number} row */
export const isByHand = (session, row) => !!(flags(session, row) & 16);

/** The error of a row. @param {Session} session @param {number} row @returns {Finding | undefined} */
export const errorOf = (session, row) =>
  session.found[row]?.map((i) => session.findings[i]).find((finding) => finding.level === "error");
/** The row of what the client sent last before the service closed for a reason, where that has an error; -1. Of a
 * client that streams some more may be on its way by then. */
export function rowBeforeClose(/** @type {Session} */ session) {
  const { end, t } = session;
  if (!end || end.by !== "server" || end.kind === "normal") return -1;
  let row = t.length - 1, close = -1, isFirst = true;
  for (; row >= 0 && t[row] >= end.t; row--)
    if (isControl(session, row) && session.kinds[session.kind[row]] === "close") close = row;
  for (row = close - 1; row >= 0 && (isFirst || t[row] > end.t - 1); row--) {
    if (isFromServer(session, row) || isControl(session, row)) continue;
    if (errorOf(session, row)) return row;
    isFirst = false;
  }
  return -1;
}
/** How many messages each side sent, and how many have faults. @param {Session} session */
export function counts(session) {
  const found = { sent: 0, received: 0, faulty: 0 };
  for (let row = 0; row < session.flags.length; row++) {
    if (isControl(session, row)) continue;
    found[isFromServer(session, row) ? "received" : "sent"]++;
    if (level(session, row) > 1) found.faulty++;
  }
  return found;
}
/** In how many rows there is what a finding explains, by its number. @param {Session} session */
export function consequences(session) {
  /** @type {Map<number, number>} */
  const rows = new Map();
  for (const list of Object.values(session.found))
    for (const cause of new Set(list.map((i) => session.findings[i].because)))
      if (cause != null && !list.includes(cause)) rows.set(cause, (rows.get(cause) ?? 0) + 1);
  return rows;
}
/** The findings that occur and that no other explains, the worst first: [finding, its first row, how often].
 * @param {Session} session */
export function occurring(session) {
  /** @type {Map<number, [finding: Finding, row: number, times: number]>} */
  const found = new Map();
  for (const [row, list] of Object.entries(session.found))
    for (const i of list) {
      if (session.findings[i].because != null) continue;
      const known = found.get(i);
      if (known) known[2]++;
      else found.set(i, [session.findings[i], +row, 1]);
    }
  const rank = (/** @type {Finding} */ finding) => LEVELS.indexOf(finding.level);
  return [...found.values()].sort(([a, first], [b, second]) => rank(b) - rank(a) || first - second);
}

/** A session of which nothing is known yet but its head. @param {Head} head @returns {Session} */
export function begun(head) {
  const sound = () => ({ runs: [], peaks: [], seconds: 0, skipped: 0 });
  return {
    ...head, model: "", length: 0, last: 0, end: null, cutOff: false, running: true,
    kinds: [], t: [], kind: [], flags: [], size: [], words: [],
    findings: [], found: {}, marks: [], turns: [], tools: [],
    states: Object.fromEntries(Object.keys(head.stateWords).map((region) => [region, []])),
    texts: { user: [], model: [] }, sound: { user: sound(), model: sound() },
  };
}
/** Add what is new, and return the session. `now`: seconds on the page's clock.
 * @param {any} session @param {any} news @param {number} now */
export function extend(session, news, now) {
  /** @param {unknown[]} list @param {Iterable<unknown>} more */
  const push = (list, more) => { for (const item of more) list.push(item); };
  for (const name of ["model", "length", "last", "end", "cutOff", "running", "surface", "now"])
    if (name in news) session[name] = news[name];
  if (typeof news.clock === "number") session.offset = Math.max(session.offset ?? -Infinity, news.clock - now);
  for (const name of ["kinds", "t", "kind", "size", "words", "findings"]) push(session[name], news[name] ?? []);
  push(session.flags, bytes(news.flags ?? ""));
  for (const name of ["found", "marks", "turns", "tools"]) Object.assign(session[name], news[name]);
  for (const name of ["states", "texts"])
    for (const [key, part] of Object.entries(news[name] ?? {})) Object.assign(session[name][key], part);
  for (const [name, { runs, peaks, seconds, skipped }] of Object.entries(news.sound ?? {})) {
    const side = Object.assign(session.sound[name], { seconds, skipped });
    Object.assign(side.runs, runs);
    push(side.peaks, bytes(peaks));
  }
  return session;
}
