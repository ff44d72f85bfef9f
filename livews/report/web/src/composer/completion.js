// What may stand where, from the table of livews/inspector/completion.py.
import { folded, isSame, snake } from "../text.js";
/** @import { Caret } from "./caret.js" */
/** @import { Entry, Member, Side, Step, Table } from "../types.js" */

const SHOWN = 100; // entries that are offered

export class Guide {
  constructor(/** @type {Table} */ table) {
    this.table = table;
  }
  /** @param {number} [index] */
  words(index) {
    return this.table.words[index ?? -1] || "";
  }
  /** @param {string} [name] */
  type(name) {
    return name && Object.hasOwn(this.table.types, name) ? this.table.types[name] : null;
  }
  members(/** @type {string} */ type) {
    return this.type(type)?.members ?? {};
  }
  /** What stands at a path, or null inside what is in no schema. @param {Side} side @param {Step[]} path */
  at(side, path) {
    let of = this.table.envelope[side], shape = "one";
    /** @type {Member | undefined} */
    let member;
    for (const step of path) {
      if (shape === "map" || (shape === "list" && typeof step === "number")) {
        shape = "one";
        continue;
      }
      const members = this.members(of), name = String(step);
      if (typeof step === "number") return null;
      member = Object.hasOwn(members, name) ? members[name]
        : Object.entries(members).find(([known]) => snake(known) === name)?.[1];
      if (!member) return null;
      of = member.type || "";
      shape = member.shape || "one";
    }
    return { member, of, shape };
  }
  /** What the schemas say of a path. @param {Side} side @param {Step[]} path */
  about(side, path) {
    const found = this.at(side, path);
    if (!found) return "Not in the schemas: nothing is known of it.";
    return this.words(found.member?.doc) || this.words(this.type(found.of)?.doc);
  }
  /** The type of a member in words. @param {Member} member */
  kind({ type, plain, shape }) {
    const of = this.type(type), is = type ? of?.is || "" : plain || "string";
    if (shape) return `${shape} of ${is}`;
    return of?.values ? `enum ${is}` : is;
  }
  /** What a value begins and ends with. @param {Partial<Member>} member */
  opening({ type, plain, shape }) {
    const of = this.type(type);
    let one = plain === "boolean" ? "" : '""';
    if (of) one = of.members || of.open ? "{}" : of.values || of.plain === "string" ? '""' : "";
    return shape === "map" ? "{}" : shape === "list" ? `[${one}]` : one;
  }
  /** @param {Member} member */
  tags({ required, old, not = [] }) {
    const tags = [];
    if (required) tags.push("required");
    if (old) tags.push("deprecated");
    const where = not.map((one) => (one === "vertex" ? "on Vertex" : `in ${one}`)).join(", ");
    if (not.includes("v1alpha") && not.includes("v1beta"))
      tags.push(not.includes("vertex") ? "taken nowhere" : "Vertex only");
    else if (where) tags.push(`not ${where}`);
    return tags;
  }
  /** What else is known of an entry. @param {Entry} entry */
  more({ doc, member, tags }) {
    if (!member) return [];
    /** @type {string[]} */
    const lines = [];
    const type = this.type(member.type), words = this.words(type?.doc);
    if (words && words !== doc) lines.push(`${type?.is}: ${words}`);
    const { without, takenBy, refusedBy, from } = member, facts = {
      "It is": tags, "Not beside": without, "Taken by": takenBy, "Refused by": refusedBy,
      "Known from": this.table.evidence[from],
    };
    for (const [fact, names] of Object.entries(facts)) if (names?.length) lines.push(`${fact}: ${names.join(", ")}`);
    return lines;
  }

  /** Entries that fit at the caret, the best first.
   * @param {Side} side @param {Caret | null} caret @param {string} [surface] @returns {Entry[]} */
  entries(side, caret, surface) {
    if (!caret) return [];
    if (caret.at === "key" || (caret.at === "after" && caret.isInObject)) return this.#names(side, caret, surface);
    return caret.at === "value" ? this.#values(side, caret) : [];
  }
  /** @param {string} name @param {Member} member @param {Entry["insert"]} insert @returns {Entry} */
  #entry(name, member, insert, late = !!member.old) {
    const doc = this.words(member.doc);
    return { name, member, late, kind: this.kind(member), doc, tags: this.tags(member), insert };
  }
  /** @param {Side} side @param {Caret} caret @param {string} [surface] */
  #names(side, caret, surface) {
    const here = this.at(side, caret.path);
    if (!here || here.shape === "map") return [];
    const members = Object.entries(this.members(here.of));
    const given = members.filter(([name]) => caret.keys.some((key) => isSame(key, name)));
    const shut = new Set(given.flatMap(([name, member]) => [name, ...(member.without ?? [])]));
    const surfaces = surface && ["v1alpha", "v1beta", "vertex"].includes(surface) ? [surface] : ["v1alpha", "v1beta"];
    /** @param {Member} member */
    const isLate = ({ old, not = [] }) => !!old || surfaces.every((one) => not.includes(one));
    const open = members.filter(([name]) => !shut.has(name));
    return best(open.map(([name, member]) => this.#entry(name, member, "name", isLate(member))), caret.typed);
  }
  #values(/** @type {Side} */ side, /** @type {Caret} */ caret) {
    const { isQuoted, typed, path } = caret;
    if (!path.length) return isQuoted ? [] : this.#messages(side, caret);
    const here = this.at(side, path);
    if (!here) return [];
    const { member, of, shape } = here, type = this.type(of), isOne = shape === "one";
    /** @type {Entry[]} */
    const found = [];
    /** @param {string} name @param {string} kind @param {string} doc @param {Entry["insert"]} insert */
    const add = (name, kind, doc, insert, late = false) => found.push({ name, kind, doc, late, tags: [], insert });
    if (isOne) {
      for (const [name, words] of Object.entries(type?.values ?? {}))
        add(name, type?.is ?? "", this.words(words), "text", name.endsWith("UNSPECIFIED"));
      for (const name of member?.values ?? []) add(name, "a known value", "", "text");
      if (!of && member?.plain === "boolean" && !isQuoted)
        for (const name of ["true", "false"]) add(name, "boolean", this.words(member.doc), "word");
    }
    if (isQuoted || typed || !member) return best(found, typed);
    const opening = this.opening(isOne ? { type: of, plain: member.plain } : member);
    if (isOne && opening && opening !== '""') add(opening, type?.is ?? "", this.words(type?.doc), "open");
    if (!isOne && opening && opening !== '""') add(opening, this.kind(member), this.words(member.doc), "open");
    return best(found, typed);
  }
  /** Whole messages, where there is nothing yet. @param {Side} side @param {Caret} caret */
  #messages(side, { typed }) {
    const members = Object.entries(this.members(this.table.envelope[side]));
    return best(members.map(([name, member]) => this.#entry(name, member, "message")), typed.replace(/^[{"]+/, ""));
  }
}

/** Entries that fit what was typed: as it begins, as one of its words begins, anywhere, or its letters in their order.
 * @param {Entry[]} entries @param {string} typed */
function best(entries, typed) {
  const asked = folded(typed);
  const rank = (/** @type {Entry} */ entry) => {
    const name = folded(entry.name);
    if (entry.name === typed || snake(entry.name) === typed) return -1;
    if (!asked || name.startsWith(asked)) return 0;
    if (wordsFrom(entry.name).some((word) => word.startsWith(asked))) return 1;
    if (name.includes(asked)) return 2;
    return isWithin(asked, name) ? 3 : 4;
  };
  const ranked = entries.map((entry) => ({ entry, rank: rank(entry) }));
  const most = ranked.some(({ rank }) => rank < 3) ? 2 : 3, found = ranked.filter(({ rank }) => rank <= most);
  /** @param {typeof ranked[0]} one */
  const weight = ({ entry, rank }) =>
    rank < 0 ? -100 : (entry.late ? 50 : 0) + rank * 4 - (entry.member?.required ? 1 : 0);
  return found.sort((a, b) => weight(a) - weight(b)).slice(0, SHOWN).map(({ entry }) => entry);
}
/** What a name is from each of its words on: voiceConfig -> config. @param {string} name */
const wordsFrom = (name) => [...name.matchAll(/[A-Z][a-z]|_[A-Za-z]|[-./][A-Za-z]/g)].map(({ index }) =>
  folded(name.slice(index).replace(/^[-./]/, "")));
function isWithin(/** @type {string} */ asked, /** @type {string} */ name) {
  let at = -1;
  for (const c of asked) if ((at = name.indexOf(c, at + 1)) < 0) return false;
  return asked.length > 1;
}
