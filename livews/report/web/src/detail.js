// One message: its JSON as a tree, what the schemas say of each member, and its findings.
import { fetched, message, report, session } from "./data.js";
import { $, el, fill, plain } from "./dom.js";
import { LEVELS, isByHand, isControl, isFromServer, level } from "./session.js";
import { many, pointer, seconds } from "./text.js";
/** @import { Finding } from "./types.js" */

const box = $("detail");
/** The row that is open, -1: none. */
export let opened = -1;

export function reset() {
  opened = -1;
  const words = "Pick a message to see its JSON, with what the schemas say of each member.";
  fill(box, el("p", "empty unpicked", words));
}
/** @param {Finding} finding */
export const tag = ({ level }) => el("span", `tag l${LEVELS.indexOf(level)}`, level);

export function open(/** @type {number} */ row) {
  opened = row;
  const found = message(row), isServer = isFromServer(session, row), control = isControl(session, row);
  if (!found) {
    fill(box, el("p", "empty", "Reading …"));
    fetched(Math.floor(row / session.chunk), () => opened === row && open(row));
    return;
  }
  const [value, left = {}] = found, about = [`${seconds(session.t[row])} s`];
  if (isByHand(session, row)) about.push(`to the ${isServer ? "client" : "service"}`);
  else about.push(isServer ? "from the server" : "from the client");
  if (!control) about.push(many(session.size[row], "byte"));
  if (session.words[row]) about.push(session.words[row]);
  const parts = [el("h3", "", `${isServer ? "←" : "→"} ${session.kinds[session.kind[row]]}`)];
  parts.push(el("div", "sub", about.join(" · ")));
  const findings = (session.found[row] || []).map((i) => session.findings[i]);
  for (const finding of findings) {
    const { rule, path, title, complaint, cure, close, because } = finding;
    const cause = because == null ? null : session.findings[because];
    const words = `${rule}${path ? ` at ${path}` : ""}${title ? ` · ${title}` : ""}`;
    parts.push(el("div", `finding l${LEVELS.indexOf(finding.level)}`, tag(finding), el("span", "", complaint),
      el("div", "rule", words),
      cause ? el("div", "cure", `because of: ${cause.complaint} (${cause.rule})`) : "",
      cure ? el("div", "cure", `do: ${cure}`) : "",
      close ? el("div", "cure", `the service closes with ${close[0]} “${close[1]}”`) : ""));
  }
  const { end } = session;
  if (end && control && level(session, row) === 3)
    parts.push(el("div", "finding l3", el("span", "", end.meaning), el("div", "cure", end.cause),
      el("div", "", `do: ${end.do}`)));
  const tree = el("div", "tree"), faulty = new Set(findings.map((finding) => finding.path));
  const envelope = isServer ? "server/BidiGenerateContentServerMessage" : "client/BidiGenerateContentClientMessage";
  if (typeof value === "string") line(tree, 0, null, value, left[""]);
  else members(tree, Object(value), "", control ? "" : envelope, "one", 0, left, faulty);
  fill(box, ...parts, tree);
  box.scrollTop = 0;
}

/** The members of an object or the items of a list, a line each.
 * @param {HTMLElement} into @param {object} value @param {string} path @param {string} type of the schemas, "": unknown
 * @param {string} shape @param {number} depth @param {Record<string, string>} left @param {Set<string>} faulty paths */
function members(into, value, path, type, shape, depth, left, faulty) {
  const isList = Array.isArray(value), known = report.docs[type]?.members ?? {};
  for (const [key, child] of Object.entries(value)) {
    const here = `${path}/${pointer(key)}`;
    let doc = "", inner = "", form = "one";
    if (isList) [inner, form] = [type, shape === "list" ? "one" : shape];
    else if (shape === "map") inner = type;
    else if (Object.hasOwn(known, key)) [doc, inner, form] = known[key];
    const of = report.docs[inner];
    if (of && form === "one" && typeof child === "string" && Object.hasOwn(of.values, child))
      doc += `${doc ? " " : ""}${child}: ${of.values[child]}`;
    const at = line(into, depth, key, child, Object.hasOwn(left, here) ? left[here] : undefined, doc, isList, of?.is);
    if (faulty.has(here)) at.classList.add("hit");
    if (child !== null && typeof child === "object") members(into, child, here, inner, form, depth + 1, left, faulty);
  }
}
/** @param {HTMLElement} into @param {number} depth @param {string | null} key @param {any} value
 * @param {string | undefined} left what was left out of it */
function line(into, depth, key, value, left, doc = "", isItem = false, type = "") {
  const at = el("div", "field");
  at.style.paddingLeft = `${Math.min(depth, 14) * 16}px`;
  if (key !== null) at.append(el("code", isItem ? "is" : "key", key), plain(": "));
  if (Array.isArray(value)) at.append(el("code", "is", value.length ? `[${value.length}]` : "[]"));
  else if (value !== null && typeof value === "object")
    at.append(el("code", "is", Object.keys(value).length ? `{${type}}` : "{}"));
  else if (typeof value === "string") at.append(el("code", "str", key === null ? value : JSON.stringify(value)));
  else at.append(el("code", "num", String(value)));
  if (left !== undefined) at.append(plain(" "), el("span", "left", `… ${left}`));
  if (doc) at.append(el("span", "doc", doc));
  into.append(at);
  return at;
}
