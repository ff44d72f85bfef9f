// The list of what fits at the caret, with what the schemas say of the entry that is chosen.
import { el, line } from "../dom.js";
import { clamp, firstSentence } from "../text.js";
/** @import { Entry } from "../types.js" */

/** @param {string} id @param {HTMLTextAreaElement} area that it belongs to
 * @param {{ more(entry: Entry): string[], accept(entry: Entry): void }} owner */
export function createPopup(id, area, owner) {
  const list = Object.assign(el("ul", "composer-list"), { id: `${id}-list` });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "what fits here");
  const name = line("b"), kind = line("span", "composer-kind"), doc = line("p"), more = line("p", "composer-more");
  const about = el("div", "composer-about", el("p", "", name, " ", kind), doc, more);
  const box = el("div", "composer-popup", list, about), aloud = line("span", "composer-aloud");
  aloud.setAttribute("aria-live", "polite");
  box.hidden = true;
  box.addEventListener("mousedown", (e) => e.preventDefault());
  /** @type {Entry[]} */
  let entries = [];
  /** @type {(HTMLElement & { fields: ReturnType<typeof line>[] })[]} */
  const rows = [];
  let picked = -1;

  function addRow() {
    const n = rows.length, fields = [
      line("b"), line("span", "composer-kind"), line("span", "composer-tag"), line("span", "composer-first"),
    ];
    const row = Object.assign(el("li", "", ...fields), { id: `${id}-entry-${n}`, fields });
    row.setAttribute("role", "option");
    row.addEventListener("mousemove", () => { if (picked !== n) choose(n, false); });
    row.addEventListener("click", () => owner.accept(entries[n]));
    rows.push(row);
    list.append(row);
  }
  function choose(n = -1, isScrolled = true) {
    picked = n;
    rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === n)));
    if (n < 0) area.removeAttribute("aria-activedescendant");
    else area.setAttribute("aria-activedescendant", `${id}-entry-${n}`);
    const row = rows[n], entry = entries[n];
    if (isScrolled && !row) list.scrollTop = 0;
    else if (isScrolled) {
      const bottom = row.offsetTop + row.offsetHeight + 4 - list.clientHeight;
      list.scrollTop = clamp(list.scrollTop, bottom, row.offsetTop - 4);
    }
    name.set(entry ? entry.name : "");
    kind.set(entry ? entry.kind : "");
    doc.set(entry ? entry.doc : "↓ chooses, Tab takes the first.");
    more.set(entry ? owner.more(entry).join("\n") : "");
    about.scrollTop = 0;
  }
  return {
    box, aloud,
    isOpen: () => !box.hidden,
    isChosen: () => picked >= 0,
    /** The entry that Tab takes. */
    chosen: () => entries[Math.max(0, picked)],
    /** @param {Entry[]} offered @param {number} first the entry that is chosen at first, -1: none */
    open(offered, first) {
      entries = offered;
      box.hidden = false;
      area.setAttribute("role", "combobox");
      area.setAttribute("aria-expanded", "true");
      while (rows.length < entries.length) addRow();
      rows.forEach((row, i) => {
        const entry = entries[i];
        row.hidden = !entry;
        if (!entry) return;
        row.classList.toggle("late", entry.late);
        const words = [entry.name, entry.kind, entry.tags.join(" · "), firstSentence(entry.doc)];
        words.forEach((text, n) => row.fields[n].set(text));
      });
      choose(first);
      aloud.set(`${entries.length} ${entries.length === 1 ? "name or value fits" : "names or values fit"} here`);
    },
    close() {
      box.hidden = true;
      aloud.set("");
      entries = [];
      picked = -1;
      for (const name of ["role", "aria-expanded", "aria-activedescendant"]) area.removeAttribute(name);
    },
    /** One further, going round. @param {1 | -1} by */
    step(by) {
      choose(picked < 0 && by < 0 ? entries.length - 1 : (picked + by + entries.length) % entries.length);
    },
    /** @param {number} by */
    page: (by) => choose(clamp(picked + by, 0, entries.length - 1)),
  };
}
