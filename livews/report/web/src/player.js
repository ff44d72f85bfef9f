// Plays what the user said on the left and what the model said on the right, each piece at its time.
import { clock, isInFile, length, session, source } from "./data.js";
import { clamp } from "./text.js";
/** @import { Run, Speaker } from "./types.js" */

/** A session that runs is played so many seconds late: what is older than SETTLED has come, and is drawn. */
const LATE = 0.9, SETTLED = 0.45;
/** @type {[Speaker, number][]} */
const PANS = [["user", -0.75], ["model", 0.75]];

/** Samples of s16le. @param {Uint8Array} raw */
export function floats(raw) {
  const out = new Float32Array(raw.length >> 1);
  for (let i = 0, k = 0; i < out.length; i++, k += 2) {
    const value = raw[k] | (raw[k + 1] << 8);
    out[i] = (value > 32767 ? value - 65536 : value) / 32768;
  }
  return out;
}

class Player {
  at = 0;
  playing = false;
  /** Called when it begins and when it stops. */
  changed = () => {};
  /** @type {AudioContext | null} */
  #sound = null;
  /** The time on the clock of the sound at which `at` is heard. */
  #base = 0;
  #done = 0;
  /** @type {Set<AudioBufferSourceNode>} */
  #nodes = new Set();
  #timer = 0;
  #run = 0;

  #tick() {
    return this.#sound ? this.#sound.currentTime : performance.now() / 1000;
  }
  now() {
    if (!session) return 0;
    return clamp(this.playing ? this.at + Math.max(0, this.#tick() - this.#base) : this.at, 0, length());
  }
  async play() {
    if (this.playing) return;
    try {
      this.#sound ??= new AudioContext();
    } catch {} // there is no sound here: the cursor moves all the same
    await source.ready;
    await this.#sound?.resume();
    if (!this.playing) this.#begin();
  }
  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }
  #begin() {
    this.playing = true;
    this.#run++;
    if (clock()) this.at = Math.min(this.at, Math.max(0, clock() - LATE));
    else if (this.at >= length() - 0.01) this.at = 0;
    this.#base = this.#tick() + (isInFile() ? 0.05 : 0.2);
    this.#done = this.at;
    this.#schedule();
    this.#timer = window.setInterval(() => this.#schedule(), clock() ? 100 : 500);
    this.changed();
  }
  stop() {
    if (!this.playing) return;
    this.at = this.now();
    this.playing = false;
    clearInterval(this.#timer);
    for (const node of this.#nodes) node.stop();
    this.#nodes.clear();
    this.changed();
  }
  seek(/** @type {number} */ t) {
    const { playing } = this;
    this.stop();
    this.at = clamp(t, 0, length());
    if (playing) this.#begin();
  }
  /** To the newest that can be played of a session that runs. */
  seekNewest() {
    const t = Math.max(0, clock() - LATE);
    this.stop();
    this.at = t;
  }
  /** Hand over what is heard within the next seconds. */
  #schedule() {
    if (!this.#sound) return;
    const until = Math.min(this.now() + 3, clock() ? clock() - SETTLED : Infinity);
    if (until <= this.#done) return;
    for (const [side, pan] of PANS)
      for (const run of session.sound[side].runs) {
        const [t, rate, kind, , , , heard] = run;
        const from = Math.max(t, this.#done), to = Math.min(t + heard / rate, until);
        if (kind === 0 && to > from) this.#piece(side, pan, run, from, to);
      }
    this.#done = until;
  }
  /** @param {Speaker} side @param {number} pan @param {Run} run @param {number} from @param {number} to */
  #piece(side, pan, [t, rate, , at], from, to) {
    const first = Math.round((from - t) * rate), count = Math.round((to - t) * rate) - first, run = this.#run;
    if (count < 1) return;
    source.sound(side, at + 2 * first, 2 * count).then((raw) => {
      if (this.playing && this.#run === run) this.#place(raw, pan, rate, from);
    }, () => {});
  }
  /** @param {Uint8Array} raw @param {number} pan @param {number} rate @param {number} from */
  #place(raw, pan, rate, from) {
    if (raw.length < 2 || !this.#sound) return;
    const samples = floats(raw), buffer = this.#sound.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const node = this.#sound.createBufferSource(), panner = this.#sound.createStereoPanner();
    node.buffer = buffer;
    panner.pan.value = pan;
    node.connect(panner).connect(this.#sound.destination);
    node.onended = () => this.#nodes.delete(node);
    this.#nodes.add(node);
    const start = this.#base + (from - this.at), late = this.#sound.currentTime - start;
    if (late > 0) node.start(0, late);
    else node.start(start);
  }
}
export const player = new Player();
