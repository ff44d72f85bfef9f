// The report of a recorded trace: a file that asks the network for nothing.
import { report } from "./data.js";
import { $, option } from "./dom.js";
import { visible, when } from "./text.js";
import { open } from "./view.js";

const { name, sessions } = report;
/** @type {HTMLSelectElement} */ const select = $("session");
select.hidden = sessions.length < 2;
select.append(...sessions.map(({ started }, i) =>
  option(String(i), `session ${i + 1} of ${sessions.length} · ${when(started)}`)));
select.addEventListener("change", () => open(+select.value));
$("foot").textContent = visible(`${name} · drawn by livews with protocol ${sessions[0].protocol}. ` +
  "This file is whole: it asks the network for nothing, and holds all that was said.");
open(0);
