// The panes above the list: what the session is and how it ended, the latency of its answers, its findings.
import { isNew, last, session } from "./data.js";
import { tag } from "./detail.js";
import { $, button, el, fill, plain } from "./dom.js";
import { pick } from "./list.js";
import { LEVELS, consequences, counts, errorOf, occurring, rowBeforeClose } from "./session.js";
import { seek } from "./timeline.js";
import { grouped, seconds, span, visible, when } from "./text.js";
/** @import { Turn } from "./types.js" */

/** @type {Record<string, string>} */
const AGAIN = {
  no: "not before something is changed", yes: "at once", backoff: "after a pause, longer each time",
  resume: "with the newest resumption handle", fresh: "without the handle",
};

export function drawHeader() {
  const { model, sound } = session;
  if (isNew("model", model)) { // a line may end after a slash
    const parts = visible(model || "no setup was taken").split(/(?<=\/)/);
    fill($("model"), ...parts.flatMap((part, i) => [i > 0 && el("wbr"), plain(part)]));
  }
  const { sent, received, faulty } = counts(session);
  const facts = [
    ["started", when(session.started)], ["length", span(last())],
    ["messages", `${grouped(sent + received)} (${grouped(sent)} → · ${grouped(received)} ←)`],
    ["with faults", String(faulty)],
    ["user's sound", sound.user.seconds ? span(sound.user.seconds) : ""],
    ["model's sound", sound.model.seconds ? span(sound.model.seconds) : ""],
    ["recorded by", `livews ${session.livews}, ${session.side}`], ["url", session.url],
  ].filter(([, text]) => text);
  const box = $("facts");
  if (isNew("facts", facts.map(([name]) => name)))
    fill(box, ...facts.map(([name]) => el("div", name === "url" ? "wide" : "", el("dt", "", name), el("dd"))));
  facts.forEach(([, text], i) => { // a text that is the same stays, and what was selected of it
    const at = /** @type {Element} */ (box.children[i].lastChild), shown = visible(text);
    if (at.textContent !== shown) at.textContent = shown;
  });
  drawEnd();
}
function drawEnd() {
  const { end, running, cutOff } = session, before = rowBeforeClose(session), box = $("end");
  if (!isNew("end", [end, running, before, !end && !running && session.last])) return;
  box.className = end ? (end.kind === "normal" ? "fine" : "bad") : running ? "open" : "";
  if (!end && running) return fill(box, el("b", "", "Open."), plain(" Messages are shown as they come."));
  if (!end) {
    const words = cutOff ? " Its last line is cut off: whatever recorded it ended in mid-line." : "";
    const at = ` The trace ends at ${seconds(session.last)} s.`;
    return fill(box, el("b", "", "No close was recorded."), plain(at + words));
  }
  const isFine = end.kind === "normal", error = errorOf(session, before);
  /** @type {[string, string | Node][]} */
  const rows = [["what", end.meaning]];
  if (!isFine) rows.push(["why", end.cause]);
  if (error) {
    const words = `the client sent this: ${error.complaint} (${error.rule})`;
    rows.push(["before", el("span", "", words, button("Show it", "", () => pick(before, true)))]);
  }
  if (!isFine) {
    rows.push(["do", end.do], ["again", AGAIN[end.retry] || end.retry]);
    if (end.id !== "unknown") rows.push(["record", `${end.id} in closes.json: ${end.confidence}`]);
  }
  const reason = end.reason ? ` “${end.reason}”` : "";
  const list = rows.filter(([, text]) => text).flatMap(([name, text]) => [el("dt", "", name), el("dd", "", text)]);
  fill(box, el("b", "", `Closed by the ${end.by} at ${seconds(end.t)} s: ${end.code}${reason}`), el("dl", "", ...list));
}

/** Fill a box with a list that scrolls; it stays where it was scrolled to, at its end when it was there.
 * @param {HTMLElement} box @param {Node[]} inside */
function refill(box, ...inside) {
  const was = box.querySelector(".scroll"), top = was ? was.scrollTop : 0;
  const isAtEnd = was && top > 0 && top + was.clientHeight >= was.scrollHeight - 4;
  fill(box, ...inside);
  const now = box.querySelector(".scroll");
  if (now && top) now.scrollTop = isAtEnd ? now.scrollHeight : top;
}

export function drawTurns() {
  const { turns } = session, sounded = turns.filter((turn) => turn.firstSound !== null);
  if (!isNew("turns", turns)) return;
  const isMeasured = sounded.some((turn) => turn.measured), areAll = sounded.every((turn) => turn.measured);
  const ms = (/** @type {number | null} */ t, /** @type {number | null} */ from) =>
    t === null || from === null ? "—" : `${grouped(Math.max(0, Math.round((t - from) * 1000)))} ms`;
  const rowOf = (/** @type {Turn} */ turn, /** @type {number} */ i) => {
    const { asked, firstByte, measured } = turn, from = asked ?? firstByte;
    const heard = isMeasured && !areAll && measured && el("small", "", " heard");
    const row = el("tr", "", ...[
      `${i + 1} · ${turn.by || "unasked"}`, `${seconds(from)} s`, ms(firstByte, asked), ms(turn.firstSound, asked),
      ms(turn.firstHeard, asked), turn.how || "open",
    ].map((words, column) => el("td", "", words, column === 4 && heard ? heard : "")));
    row.addEventListener("click", () => { seek(from); pick(turn.row, true); });
    return row;
  };
  const [heard, until] = isMeasured && areAll ? ["heard", "; the trace says that it was heard"]
    : ["could be heard", ": estimated from when it came, as the trace does not say that somebody listened"];
  const columns = [
    ["turn", ""], ["at", "when the user was done"],
    ["first byte", "from the end of what the user said to the first frame of the answer"],
    ["first sound", "... to the first sample that is not silence"],
    [heard, `... until that sample is played, after what was still queued${until}`], ["end", ""],
  ];
  const head = el("tr", "", ...columns.map(([name, title]) => Object.assign(el("th", "", name), { title })));
  const more = turns.length > 500 ? `, the first 500 of ${grouped(turns.length)}` : "";
  const body = el("tbody", "", ...turns.slice(0, 500).map(rowOf));
  refill($("turns"), el("h2", "", `Answers, from when the user was done${more}`), turns.length
    ? el("div", "scroll", el("table", "", el("thead", "", head), body)) : el("p", "empty", "No turn was answered."));
}

export function drawFindings() {
  if (!isNew("found", session.found)) return;
  const found = occurring(session), list = el("div", "scroll"), explained = consequences(session);
  for (const [finding, row, times] of found.slice(0, 200)) {
    const { level, complaint, rule, cure } = finding;
    const made = button("", "", () => pick(row, true));
    made.className = `found l${LEVELS.indexOf(level)}`;
    const more = explained.get(session.findings.indexOf(finding)) ?? 0;
    const because = more ? ` · and ${grouped(more)} more message${more > 1 ? "s" : ""} because of it` : "";
    made.append(tag(finding), el("span", "", complaint), " ",
      el("span", "rule", rule + (times > 1 ? ` · ${grouped(times)} times` : "") + because),
      cure ? el("div", "cure", cure) : "");
    list.append(made);
  }
  if (found.length > 200) list.append(el("p", "empty", `${found.length - 200} more are at their messages.`));
  $("findings").hidden = !found.length;
  document.querySelector(".pair")?.classList.toggle("one", !found.length);
  refill($("findings"), el("h2", "", "Faults and notes"), list);
}
