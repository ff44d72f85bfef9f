// The JSON of the pages, as livews/report/data.py, livews/kit/inspector.py and livews/inspector/completion.py make it.
export type Level = "note" | "refused" | "error";
export type Side = "client" | "server";
export type Speaker = "user" | "model";
export interface Finding {
  level: Level; rule: string; path: string; complaint: string; cure?: string; title?: string;
  close?: [code: number, reason: string] | null; because?: number | null;
}
/** Sound without a gap. `kind`: 0 its samples are kept (from byte `at` on), 1 there was too much, 2 only its length is
 * known. `peak`: its first peak; `heard`: samples before it was cut off. */
export type Run =
  [t: number, rate: number, kind: 0 | 1 | 2, at: number, peak: number, samples: number, heard: number];
export interface Sound { runs: Run[]; peaks: string | ArrayLike<number>; seconds: number; skipped: number }
export interface Turn {
  by: string; asked: number | null; firstByte: number; firstSound: number | null; firstHeard: number | null;
  measured: boolean; how: string; row: number;
}
export interface End {
  t: number; by: Side; code: number; reason: string; id: string; kind: string; meaning: string; cause: string;
  do: string; retry: string; confidence: string;
}
export type State = [t: number, state: string];
export type Said = [from: number, to: number, text: string, row: number, whole: number];
export type Call = [from: number, to: number | null, name: string, row: number, answer: number | null, how: string];
export type Mark = [t: number, row: number, label: string, level: number];
/** What does not change as a session goes on. */
export interface Head {
  started: string; side: string; livews: string; protocol: string; url: string; chunk: number; perSecond: number;
  stateWords: Record<string, Record<string, string>>;
}
/** A session; `t`, `kind`, `flags`, `size` and `words` are columns with one entry a row. */
export interface Session extends Head {
  model: string; length: number; last: number; end: End | null; cutOff: boolean; running?: boolean; surface?: string;
  now?: Record<string, string>; offset?: number;
  kinds: string[]; t: number[]; kind: number[]; flags: string | ArrayLike<number>; size: number[]; words: string[];
  findings: Finding[]; found: Record<string, number[]>; marks: Mark[]; turns: Turn[]; tools: Call[];
  states: Record<string, State[]>; texts: Record<Speaker, Said[]>; sound: Record<Speaker, Sound>;
}
/** What is new of a session, which in a report is all of it: what may change later by its index. */
export interface News
  extends Partial<Omit<Session, "flags" | "marks" | "turns" | "tools" | "states" | "texts" | "sound">> {
  clock?: number | null; docs?: Docs; flags?: string;
  marks?: Record<string, Mark>; turns?: Record<string, Turn>; tools?: Record<string, Call>;
  states?: Record<string, Record<string, State>>; texts?: Record<string, Record<string, Said>>;
  sound?: Record<string, { runs: Record<string, Run>; peaks: string; seconds: number; skipped: number }>;
}
/** What the schemas say, by type: of a member its words, the type of its value and whether it is a list or a map. */
export type Docs = Record<string, {
  is: string; members: Record<string, [doc: string, type: string, shape: string]>; values: Record<string, string>;
}>;
/** A message, and what was left out of it by JSON pointer. */
export type Message = [value: unknown, left?: Record<string, string>];
export interface Report {
  name: string; sessions: Session[]; docs: Docs; live?: boolean; surface?: string; door?: string; upstream?: string;
  offline?: boolean; draft?: string; missing?: boolean; command?: string;
}
/** Where the messages and the sound of a session come from. */
export interface Source {
  chunk(n: number): Message[] | null; fetch(n: number): Promise<Message[] | null>; ready: Promise<unknown>;
  sound(side: Speaker, at: number, size: number): Promise<Uint8Array>;
}

/** What may be written where (livews/inspector/completion.py); `doc` is an index into `words`. */
export interface Table {
  envelope: Record<Side, string>; types: Record<string, Type>; words: string[]; evidence: string[][];
  templates: Record<Side, { name: string; message: unknown; at: string }[]>;
}
export interface Type {
  is: string; doc: number; members?: Record<string, Member>; values?: Record<string, number>; open?: boolean;
  any?: boolean; plain?: string;
}
export interface Member {
  doc: number; from: number; type?: string; plain?: string; shape?: "list" | "map"; required?: boolean; old?: boolean;
  not?: string[]; takenBy?: string[]; refusedBy?: string[]; without?: string[]; values?: string[];
}
/** One thing that fits at a caret; `insert` says what is written when it is chosen. */
export interface Entry {
  name: string; kind: string; doc: string; late: boolean; tags: string[]; member?: Member;
  insert: "name" | "text" | "word" | "open" | "message";
}
export type Step = string | number | null;
/** A replacement of a part of the text, and where the caret goes then. */
export interface Edit { from: number; to: number; text: string; caret: number }
/** A place where a text is wrong. */
export interface Fault { at: number; end: number; words: string }
