// Elements of the page. Text of the wire becomes text nodes, never markup, a URL, a style or code.
import { visible } from "./text.js";

/** The element with this id; the type that is asked for is taken on trust.
 * @type {<T extends HTMLElement = HTMLElement>(id: string) => T} */
export const $ = (id) => /** @type {any} */ (document.getElementById(id));

/** @template {keyof HTMLElementTagNameMap} K @param {K} tag
 * @param {(Node | string | null | undefined)[]} inside texts are shown with their unsafe characters as escapes */
export function el(tag, className = "", ...inside) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const part of inside) if (part) made.append(typeof part === "object" ? part : visible(part));
  return made;
}
/** A text that stands in markup as it is. @param {string} text */
export const plain = (text) => document.createTextNode(text);
/** @param {Element} into @param {(Node | false)[]} inside */
export const fill = (into, ...inside) => into.replaceChildren(...inside.filter((part) => part !== false));
export function button(/** @type {string} */ words, /** @type {string} */ title, /** @type {() => void} */ press) {
  const made = Object.assign(el("button", "", words), { type: "button", title });
  made.addEventListener("click", press);
  return made;
}
/** @param {string} value @param {string} words */
export const option = (value, words) => Object.assign(el("option", "", words), { value });
/** An element with one text that changes: a new text is no new node, as Chromium takes each letter for an undo of its
 * own where nodes come or go while somebody types. */
export function line(/** @type {keyof HTMLElementTagNameMap} */ tag, className = "") {
  const made = el(tag, className), text = made.appendChild(plain(""));
  const set = (/** @type {string} */ words) => {
    const shown = visible(words);
    if (text.data !== shown) text.data = shown;
  };
  return Object.assign(made, { set });
}
