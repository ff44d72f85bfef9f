// The composer: one message of the wire, written by hand.
// - What is typed, pasted or found becomes text nodes, never markup, a URL, a style or code.
// - Whatever the composer changes in the text can be undone as typing can.
// - A key costs at most a scan of LIVE characters; a longer text is looked at when somebody asks, or at a pause.
// - What is no JSON is never sent by a single press.
// - No request leaves here: the page sends and checks, and what was sent is kept in memory only.
import { button, el, line, option } from "../dom.js";
import { UNSAFE, clamp, cut, escaped, visible } from "../text.js";
import { locateCaret } from "./caret.js";
import { Guide } from "./completion.js";
import { accepted, newLine, rubOut, typed } from "./editing.js";
import { createField } from "./field.js";
import { doubles, faultOf, isJson, lineAndColumn, locate, pretty } from "./json.js";
import { createPopup } from "./popup.js";
import { MOST } from "./tokens.js";
/** @import { Caret } from "./caret.js" */
/** @import { Entry, Fault, Finding, Side, Table } from "../types.js" */
/** @typedef {{ ok: boolean, message?: string }} Answer */
/** `state` and `surface`: what it is; `own`: it has no other client; `sends`: the words of the button that sends.
 * @typedef {{ model: string, surface?: string, state: string, own?: boolean, sends?: string }} Target */
/** @typedef {{ table: Table, sides?: Side[], beside?: HTMLElement[], send(text: string, side: Side): Promise<Answer>,
 *   check(text: string, side: Side): Promise<Finding[]> }} Options */

const PAUSE = 250, LONG_PAUSE = 1_000; // ms without a key before the text is checked
const KEPT = 100; // messages of the history
const SHOWN = 100; // findings that are listed
const SIDES = {
  client: ["to the service", "The service takes it for a message of the client.", "The client does not learn of it."],
  server: ["to the client", "The client takes it for a message of the service.", "The service does not learn of it."],
};
export const KEYS = [
  ["Ctrl-Space", "completes"], ["↓ ↑ Enter Tab", "choose"], ["Esc", "closes the list"], ["Ctrl-Enter", "sends"],
  ["Alt-↑ Alt-↓", "what was sent"],
];
let mounted = 0;

export function mount(/** @type {HTMLElement} */ root, /** @type {Options} */ options) {
  const id = `composer-${++mounted}`, guide = new Guide(options.table), sides = options.sides ?? ["client", "server"];
  let side = sides[0], isEnabled = true, why = "", isBusy = false, isArmed = false, sends = "Send";
  let timer = 0, asked = 0, frame = 0;
  /** @type {Target | null} */ let target = null;
  /** @type {Caret | null} */ let here = null;
  /** @type {Fault | null | undefined} */ let broken = null;
  /** What was sent, per side; where in it one is, -1: at what is being written; that. */
  const past = {
    client: { sent: /** @type {string[]} */ ([]), at: -1, draft: "" },
    server: { sent: /** @type {string[]} */ ([]), at: -1, draft: "" },
  };

  const field = createField(id, {
    changed,
    undone: () => close(),
    moved: () => { if (popup.isOpen() && here) field.putBelow(popup.box, here.start); },
  });
  const { area } = field;
  const popup = createPopup(id, area, { accept, more: (entry) => guide.more(entry) });
  const wherePath = line("code"), whereWords = line("span");
  const where = Object.assign(el("p", "composer-where", wherePath, " ", whereWords), { id: `${id}-where` });
  const findings = el("ul", "composer-findings"), said = el("output", "composer-answer");
  findings.setAttribute("aria-label", "what is wrong with it");
  const reason = line("span", "composer-why"), explain = el("p", "composer-explain");
  reason.setAttribute("role", "status");
  const templates = el("select", "composer-templates"), switcher = el("div", "composer-sides");
  templates.setAttribute("aria-label", "template");
  const send = button(sends, "Ctrl-Enter", () => deliver());
  send.classList.add("composer-send");
  switcher.setAttribute("role", "radiogroup");
  switcher.setAttribute("aria-label", "who gets it");
  for (const one of sides) {
    const radio = el("input");
    Object.assign(radio, { type: "radio", name: `${id}-side`, value: one, checked: one === side });
    radio.addEventListener("change", () => turn(one));
    switcher.append(el("label", "", radio, SIDES[one][0]));
  }
  switcher.hidden = sides.length < 2;
  const complete = button("Complete", "What fits at the caret (Ctrl-Space)", () => {
    area.focus();
    open(true);
  });
  const earlier = button("↑", "What was sent before (Alt-↑)", () => recall(1));
  const later = button("↓", "What was sent after it (Alt-↓)", () => recall(-1));
  earlier.setAttribute("aria-label", "what was sent before");
  later.setAttribute("aria-label", "what was sent after it");
  const formats = button("Format", "Line breaks and indentation", format);
  const group = el("span", "composer-group", complete, formats, earlier, later);
  const box = el("div", "composer", el("div", "composer-bar", switcher, templates, group), explain,
    el("div", "composer-edit", field.gutter, field.paper, area, field.marks, popup.box), where,
    el("div", "composer-bar", send, ...(options.beside ?? []), reason, said), findings, popup.aloud,
    el("p", "composer-keys", KEYS.map((key) => key.join(" ")).join(" · ")));
  root.replaceChildren(box);

  // The text

  function changed() {
    disarm();
    broken = null;
    field.mark(null);
    asked++;
    clearTimeout(timer);
    timer = window.setTimeout(pause, field.isLong() ? LONG_PAUSE : PAUSE);
    if (field.isLong()) field.draw();
    else field.lines();
    look();
  }
  function disarm() {
    if (!isArmed) return;
    isArmed = false;
    send.textContent = sends;
    send.classList.remove("armed");
  }
  /** Put a text in place of all. @param {string} text */
  function replaceAll(text, caret = text.length, end = caret) {
    close();
    field.replace({ from: 0, to: area.textLength, text, caret }, end);
  }
  /** Say where the caret is. */
  function look() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      const found = field.isLong() || !area.textLength ? null : locateCaret(area.value, area.selectionStart);
      const path = found ? found.path.map((step) => cut(String(step), 60)).join(" › ") || "message" : "";
      const long = "This text is long: Ctrl-Space completes in it, keys do not.";
      const words = found ? guide.about(side, found.path) : field.isLong() ? long : "";
      wherePath.set(cut(path, 300));
      whereWords.set(cut(words, 600));
    });
  }

  // Checking

  function pause() {
    clearTimeout(timer);
    const text = area.value, mine = ++asked;
    field.lines();
    broken = faultIn(text);
    if (broken) return showFault(broken);
    if (broken === undefined) return show([]);
    const take = (/** @type {Finding[]} */ found) => { if (mine === asked) show(Array.isArray(found) ? found : []); };
    Promise.resolve().then(() => options.check(text, side)).then(take, (problem) => {
      const complaint = `This could not be checked: ${problem?.message || problem}`;
      take([{ level: "note", rule: "", path: "", complaint }]);
    });
  }
  /** Null for JSON, what is wrong with it otherwise, undefined where there is no text or too much. */
  function faultIn(/** @type {string} */ text) {
    if (text.length > MOST || !text.trim()) return undefined;
    return isJson(text) ? null : faultOf(text) || { at: 0, end: 1, words: "this is no JSON" };
  }
  /** @param {Fault} fault */
  function showFault({ at, end, words }) {
    field.mark({ at, end, words });
    const complaint = { level: "error", complaint: words };
    findings.replaceChildren(item(complaint, lineAndColumn(area.value, at).join(":"), () => field.jump(at, end)));
  }
  function show(/** @type {Finding[]} */ found) {
    const rows = found.slice(0, SHOWN).map((finding) => {
      const path = String(finding.path || ""), at = ` at ${path}`; // which stands before it, and need not end it too
      let complaint = String(finding.complaint ?? "");
      if (path && complaint.endsWith(at)) complaint = complaint.slice(0, -at.length);
      return item({ ...finding, complaint }, path || "/", () => {
        const { start, end } = locate(area.value, path);
        field.jump(start, end);
      });
    });
    if (found.length > SHOWN) rows.push(el("li", "composer-more", `... and ${found.length - SHOWN} more`));
    if (!field.isLong()) rows.push(...unseen(area.value));
    findings.replaceChildren(...rows);
  }
  /** What a check of the parsed message cannot see: a name given twice, a character that shows nothing. */
  function unseen(/** @type {string} */ text) {
    const note = (/** @type {number} */ start, /** @type {number} */ end, /** @type {string} */ complaint) =>
      item({ level: "note", complaint }, lineAndColumn(text, start).join(":"), () => field.jump(start, end));
    const found = doubles(text).map(({ start, end, name }) =>
      note(start, end, `${cut(name, 60)} is given twice; the last one counts`));
    const [hidden] = text.matchAll(UNSAFE), words = "a character that is not seen: ";
    if (hidden) found.push(note(hidden.index, hidden.index + hidden[0].length, words + escaped(hidden[0])));
    return found;
  }
  /** @param {{ level: string, complaint: string, cure?: string, rule?: string }} finding @param {string} at
   * @param {() => void} go */
  function item({ level, complaint, cure, rule }, at, go) {
    const known = ["error", "refused", "note"].includes(level) ? level : "note";
    const press = el("button", "", el("span", "composer-level", known), el("code", "", cut(at, 200)), " ",
      el("span", "composer-complaint", cut(complaint, 1_000)),
      rule ? el("span", "composer-rule", ` ${cut(String(rule), 60)}`) : "",
      cure ? el("span", "composer-cure", cut(String(cure), 1_000)) : "");
    press.type = "button";
    press.addEventListener("click", go);
    return el("li", known, press);
  }

  // The list of what fits

  /** @param {boolean} isAsked for by a person; otherwise only what helps while typing is shown */
  function open(isAsked) {
    const { selectionStart: at, value: text } = area;
    if ((!isAsked && field.isLong()) || at !== area.selectionEnd) return close();
    here = locateCaret(text, at);
    const entries = guide.entries(side, here, target?.surface);
    if (isAsked && !here) say("The text is too long to complete in.", "warn");
    if (!entries.length && isAsked && here) say("Nothing of the schemas fits here.", "");
    if (!entries.length || !here) return close();
    // a value that is whole needs no list; a name is offered still, for the opening that comes with it
    const isWhole = entries.length === 1 && entries[0].name === here.typed && !entries[0].member;
    if (!isAsked && (isWhole || here.at === "after")) return close();
    const isFirst = here.typed || here.isQuoted || (here.at === "value" && here.path.length) || isAsked;
    popup.open(entries, isFirst ? 0 : -1);
    field.draw();
  }
  const close = () => popup.close();
  function accept(/** @type {Entry} */ entry) {
    const caret = /** @type {Caret} */ (here);
    close();
    field.replace(accepted(area.value, caret, entry, guide));
    if (entry.insert !== "text" && entry.insert !== "word") open(false);
  }

  // Keys

  area.addEventListener("beforeinput", (e) => {
    if (e.inputType.startsWith("history") && field.undo(e.inputType === "historyRedo")) return e.preventDefault();
    const isLetter = e.inputType === "insertText" && e.data?.length === 1 && !e.isComposing;
    if (field.isOwn() || field.isLong() || !isLetter) return;
    const found = typed(area.value, area.selectionStart, area.selectionEnd, String(e.data));
    if (found === null) return;
    e.preventDefault();
    if (typeof found === "number") {
      area.setSelectionRange(found, found);
      look();
      return close();
    }
    field.replace(found);
    open(false);
  });
  area.addEventListener("input", (event) => {
    const e = /** @type {InputEvent} */ (event);
    if (field.isOwn()) return;
    past[side].at = -1;
    if (!e.inputType.startsWith("history")) field.forget();
    changed();
    if (e.isComposing || field.isLong()) return close();
    const at = area.selectionStart, before = area.value.slice(Math.max(0, at - 2), at), isOpen = popup.isOpen();
    const isHelped = e.inputType === "insertText" ? /([\w"{:]|: )$/.test(before) || (isOpen && /\S$/.test(before))
      : isOpen && e.inputType.startsWith("deleteContent");
    if (isHelped) open(false);
    else close();
  });
  area.addEventListener("keydown", (e) => {
    e.stopPropagation(); // a page's own keys are not meant by a person who types
    if (!e.isComposing && press(e)) e.preventDefault();
  });
  /** Is it a key of the composer? @param {KeyboardEvent} e */
  function press({ key, code, ctrlKey, metaKey, altKey, shiftKey, repeat }) {
    const isCtrl = ctrlKey || metaKey, isPlain = !isCtrl && !altKey && !shiftKey;
    const { selectionStart: at, selectionEnd: to } = area;
    if (key === "Enter" && isCtrl) {
      close();
      if (!repeat) deliver();
      return true;
    }
    if (isCtrl && !altKey && /^[zy]$/i.test(key)) return field.undo(key.toLowerCase() === "y" || shiftKey);
    if (ctrlKey && (key === " " || code === "Space")) return open(true), true;
    if (altKey && !ctrlKey && key === "ArrowUp") return recall(1), true;
    if (altKey && !ctrlKey && key === "ArrowDown") return recall(-1), true;
    if (popup.isOpen() && key === "Escape") return close(), true;
    if (!isPlain) return false;
    if (popup.isOpen()) {
      if (key === "ArrowDown") return popup.step(1), true;
      if (key === "ArrowUp") return popup.step(-1), true;
      if (key === "PageDown") return popup.page(6), true;
      if (key === "PageUp") return popup.page(-6), true;
      if (key === "Tab" || (key === "Enter" && popup.isChosen())) return accept(popup.chosen()), true;
    }
    if (key === "Enter") close();
    if (field.isLong() || (key !== "Enter" && key !== "Backspace")) return false;
    const edit = key === "Enter" ? newLine(area.value, at, to) : rubOut(area.value, at, to);
    if (!edit) return false;
    field.replace(edit);
    close();
    return true;
  }
  area.addEventListener("blur", close);
  document.addEventListener("selectionchange", () => {
    if (field.isOwn() || document.activeElement !== area) return;
    look();
    if (!popup.isOpen() || field.isLong()) return;
    const now = locateCaret(area.value, area.selectionStart);
    if (!now || now.start !== here?.start || now.at !== here.at) close();
  });

  // Doing something with it

  function say(/** @type {unknown} */ words, /** @type {string} */ how) {
    said.className = `composer-answer ${how}`;
    said.textContent = visible(cut(String(words), 2_000));
  }
  function format() {
    const text = area.value, fault = faultIn(text);
    if (fault === undefined)
      return say(text.trim() ? "The text is too long to format." : "There is nothing to format.", "");
    if (fault) {
      broken = fault;
      showFault(fault);
      say(`Not formatted, it is no JSON: ${fault.words} (${lineAndColumn(text, fault.at).join(":")}).`, "warn");
      return field.jump(fault.at, fault.end);
    }
    const [out, caret] = pretty(text, area.selectionStart);
    if (out === text) return say("It is formatted already.", "");
    field.replace({ from: 0, to: text.length, text: out, caret });
    say("Formatted.", "");
  }
  async function deliver() {
    const text = area.value, { [side]: mine } = past;
    if (isBusy) return;
    if (!isEnabled) return say("", ""); // why stands beside it
    if (!text.trim()) return say("There is nothing to send: pick a template, or write a message.", "warn");
    if (!isArmed && !isJson(text)) {
      pause();
      broken ??= { at: 0, end: 1, words: "this is no JSON" }; // too long to be looked at
      isArmed = true;
      send.textContent = "Send it as it is";
      send.classList.add("armed");
      const place = lineAndColumn(text, broken.at).join(":");
      return say(`Not sent: it is no JSON (${place}). Press again to send it as it is.`, "warn");
    }
    disarm();
    isBusy = true;
    render();
    say("Sending ...", "");
    try {
      const answer = await options.send(text, side);
      say(answer?.message || (answer?.ok ? "Sent." : "Not sent."), answer?.ok ? "ok" : "bad");
      if (answer?.ok) {
        if (mine.sent.at(-1) !== text) mine.sent.push(text);
        if (mine.sent.length > KEPT) mine.sent.shift();
        mine.at = -1;
      }
    } catch (problem) { say(`Not sent: ${problem instanceof Error ? problem.message : problem}`, "bad"); }
    isBusy = false;
    render();
  }
  /** Bring back what was sent before, or after. @param {1 | -1} step */
  function recall(step) {
    const mine = past[side], { sent } = mine, at = clamp(mine.at + step, -1, sent.length - 1);
    if (at === mine.at && !sent.length) return say("Nothing was sent from this page yet.", "");
    if (at === mine.at) return say(step > 0 ? "Nothing was sent before that." : "That is what is being written.", "");
    if (mine.at === -1) mine.draft = area.value;
    replaceAll(at < 0 ? mine.draft : sent[sent.length - 1 - at]);
    mine.at = at;
    say(at < 0 ? "What was being written." : `Sent ${at + 1} of ${sent.length}, the newest first.`, "");
  }
  function turn(/** @type {Side} */ to) {
    side = to;
    close();
    disarm();
    offerTemplates();
    render();
    changed();
  }
  function offerTemplates() {
    const offered = options.table.templates[side].map(({ name }, i) => option(String(i), name));
    templates.replaceChildren(option("", "Start from ..."), ...offered);
  }
  templates.addEventListener("change", () => {
    const chosen = options.table.templates[side][+templates.value];
    if (templates.value === "" || !chosen) return;
    templates.value = "";
    const had = area.textLength > 0, [text] = pretty(JSON.stringify(chosen.message), 0);
    const { start, end } = chosen.at ? locate(text, chosen.at) : { start: text.length, end: text.length };
    const quoted = text[start] === '"' ? 1 : 0;
    replaceAll(text, start + quoted, end - quoted);
    area.scrollTop = area.scrollLeft = 0;
    say(had ? "Ctrl-Z brings back what was there." : "", "");
  });
  function render() {
    // never `disabled`: a button that is loses the focus, and a person who sends is still writing
    send.setAttribute("aria-disabled", String(!isEnabled || isBusy));
    send.title = isEnabled ? "Ctrl-Enter" : why;
    box.classList.toggle("off", !isEnabled);
    reason.set(isEnabled ? "" : why || "Nothing can be sent now.");
    if (!isArmed && send.textContent !== sends) send.textContent = sends;
    const given = target ? [target.model, target.surface, target.state].filter(Boolean).join(" · ") : "";
    explain.replaceChildren(el("span", "", SIDES[side].slice(1, target?.own ? 2 : 3).join(" ")),
      given ? el("span", "composer-session", cut(given, 200)) : "");
  }
  offerTemplates();
  render();
  field.lines();

  return {
    /** Whether a message can be sent, and why not, which is shown. The text stays editable. @param {boolean} on */
    setEnabled(on, reason = "") {
      isEnabled = on;
      why = on ? "" : reason;
      render();
    },
    /** Put a text in place of what is there, as if it had been typed: undo takes it back. @param {string} text */
    write(text) {
      replaceAll(text, 0);
      area.scrollTop = area.scrollLeft = 0;
    },
    /** Who gets the message. Members that its `surface` (v1alpha, v1beta or vertex; anything else is the Gemini API)
     * does not take are offered last. */
    setSession(/** @type {Target | null} */ given) {
      target = given;
      sends = target?.sends || "Send";
      render();
    },
  };
}
