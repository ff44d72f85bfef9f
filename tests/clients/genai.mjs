// @google/genai holds every conversation with the stand-in, all at once; a JSON line each on stdout.
//
// - The SDK's public calls only, as its documentation writes them; nothing of it is patched or reached into.
// - The server is the one GOOGLE_GEMINI_BASE_URL names; the other two are given to a client as its base URL.
// - It judges nothing: it writes down what the user sees.
//
// Usage: node genai.mjs FOLDER_OF_THE_PACKAGE, with one JSON object on stdin.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const folder = process.argv[2];
const about = createRequire(import.meta.url)(`${folder}/package.json`);
const { GoogleGenAI, Modality } = await import(pathToFileURL(`${folder}/${about.exports['.'].node.import}`));

const MODEL = 'gemini-3.8-live';
const OLDER = 'gemini-2.5-flash-native-audio-latest';
const SETTINGS = JSON.parse(readFileSync(0, 'utf8'));
const SPEECH = readFileSync(SETTINGS.speech);
const PICTURE = readFileSync(SETTINGS.picture);
const RATE = 16000;
const CHUNK = (RATE / 10) * 2;
const SPOKEN = { responseModalities: [Modality.AUDIO], outputAudioTranscription: {} };
const WEATHER = {
  name: 'get_weather',
  description: 'The weather in a city',
  parameters: { type: 'OBJECT', properties: { city: { type: 'STRING' } }, required: ['city'] },
};

/** What came between two turnComplete. */
class Turn {
  kinds = [];
  pcm = [];
  mimes = new Set();
  said = '';
  heard = '';
  calls = [];
  activity = [];
  prompt = 0;
  total = 0;

  note(message) {
    if (message.data) this.pcm.push(Buffer.from(message.data, 'base64'));
    const content = message.serverContent ?? {};
    if (content.inputTranscription?.text) {
      this.heard += content.inputTranscription.text;
      this.#kind('heard');
    }
    if (content.outputTranscription?.text) {
      this.said += content.outputTranscription.text;
      this.#kind('words');
    }
    for (const part of content.modelTurn?.parts ?? []) {
      if (!part.inlineData) continue;
      this.mimes.add(part.inlineData.mimeType);
      this.#kind('audio');
    }
    for (const name of ['interrupted', 'generationComplete', 'turnComplete']) {
      if (content[name]) this.#kind(name);
    }
    if (message.toolCall) {
      this.calls.push(...message.toolCall.functionCalls.map(({ name, args, id }) => ({ name, args, id })));
      this.#kind('toolCall');
    }
    if (message.voiceActivity) {
      // the SDK hands on the wire's `type`, although its own types call it voiceActivityType
      this.activity.push(message.voiceActivity.type);
      this.#kind('activity');
    }
    if (message.usageMetadata) {
      this.prompt = message.usageMetadata.promptTokenCount ?? 0;
      this.total = message.usageMetadata.totalTokenCount ?? 0;
    }
    if (message.sessionResumptionUpdate) this.#kind('handle');
    if (message.goAway) this.#kind('goAway');
  }

  #kind(kind) {
    if (this.kinds.at(-1) !== kind) this.kinds.push(kind);
  }

  toJSON() {
    const pcm = Buffer.concat(this.pcm);
    let peak = 0;
    for (let i = 0; i + 1 < pcm.length; i += 2) peak = Math.max(peak, Math.abs(pcm.readInt16LE(i)));
    return { ...this, pcm: pcm.length, peak, mimes: [...this.mimes].sort() };
  }
}

/** One session and the news of it. */
class Talk {
  update = null;
  timeLeft = '';
  session = null;
  #waiting = [];
  #wake = () => {};
  #end = null;
  #closed = new Promise((resolve) => {
    this.#end = resolve;
  });

  /** `session` is null when the socket was closed first: the SDK's promise then never settles. */
  static async start({ model = MODEL, apiKey = 'any-key', baseUrl, apiVersion, ...config } = {}) {
    const one = new Talk();
    const ai = new GoogleGenAI({
      apiKey,
      httpOptions: { ...(baseUrl && { baseUrl }), ...(apiVersion && { apiVersion }) },
    });
    const session = ai.live.connect({
      model,
      config: { ...SPOKEN, ...config },
      callbacks: {
        onmessage: (message) => one.#take(message),
        onerror: (problem) => one.#take({ error: problem.message }),
        onclose: ({ code, reason }) => {
          one.#end({ code, reason });
          one.#take({ closed: { code, reason } });
        },
      },
    });
    one.session = await Promise.race([session, one.#closed.then(() => null)]);
    return one;
  }

  #take(message) {
    this.#waiting.push(message);
    this.#wake();
  }

  /** Add to `turn` (or a new one) what comes, until a message of the kind `until` has come. */
  async hear({ until = 'turnComplete', turn = new Turn() } = {}) {
    while (!turn.kinds.includes(until)) {
      if (this.#waiting.length === 0) await new Promise((resolve) => (this.#wake = resolve));
      else this.#note(turn, this.#waiting.shift());
    }
    return turn;
  }

  /** Add to `turn` what comes within so many milliseconds. */
  async wait(milliseconds, turn) {
    await pause(milliseconds);
    for (const message of this.#waiting.splice(0)) this.#note(turn, message);
  }

  #note(turn, message) {
    if (message.closed || message.error) throw new Error(`instead of a message: ${JSON.stringify(message)}`);
    turn.note(message);
    this.update = message.sessionResumptionUpdate ?? this.update;
    this.timeLeft = message.goAway?.timeLeft ?? this.timeLeft;
  }

  ask(text) {
    this.session.sendClientContent({ turns: [{ role: 'user', parts: [{ text }] }], turnComplete: true });
    return this.hear();
  }

  /** Five times as fast as spoken. */
  async sound(pcm) {
    for (let i = 0; i < pcm.length; i += CHUNK) {
      const data = pcm.subarray(i, i + CHUNK).toString('base64');
      this.session.sendRealtimeInput({ audio: { data, mimeType: `audio/pcm;rate=${RATE}` } });
      await pause(20);
    }
  }

  /** Code and reason of the close. */
  closed() {
    return this.#closed;
  }

  async close() {
    this.session?.close();
    return this.#closed;
  }
}

/** Open a session, use it, close it whatever happens. */
async function talk(config, use) {
  const one = await Talk.start(config);
  try {
    return await use(one);
  } finally {
    await one.close();
  }
}

const text = () =>
  talk({}, async (one) => ({
    turns: [await one.ask('Hello? Gemini, are you there?'), await one.ask("What's your name?")],
  }));

const realtime_text = () =>
  talk({}, async (one) => {
    one.session.sendRealtimeInput({ text: 'And now in real time' });
    return { turns: [await one.hear()] };
  });

const speech = () =>
  talk({ baseUrl: SETTINGS.knowing, inputAudioTranscription: {} }, async (one) => {
    await one.sound(Buffer.concat([SPEECH, Buffer.alloc(1.6 * RATE * 2)]));
    return { turns: [await one.hear()] };
  });

const manual_speech = () => {
  const realtimeInputConfig = { automaticActivityDetection: { disabled: true } };
  return talk({ realtimeInputConfig, inputAudioTranscription: {} }, async (one) => {
    one.session.sendRealtimeInput({ activityStart: {} });
    await one.sound(SPEECH);
    one.session.sendRealtimeInput({ activityEnd: {} });
    return { turns: [await one.hear()], sent: SPEECH.length / 2 / RATE };
  });
};

const picture = () =>
  talk({}, async (one) => {
    one.session.sendRealtimeInput({ video: { data: PICTURE.toString('base64'), mimeType: 'image/jpeg' } });
    one.session.sendRealtimeInput({ text: 'What do you see?' });
    return { turns: [await one.hear()] };
  });

const tool_that_does_not_block = () =>
  talk({ tools: [{ functionDeclarations: [WEATHER] }] }, async (one) =>
    answer(one, await one.ask('What is the weather in "Paris"?')),
  );

const tool_that_blocks = () =>
  talk({ model: OLDER, tools: [{ functionDeclarations: [WEATHER] }] }, async (one) => {
    one.session.sendClientContent({ turns: 'What is the weather in "Paris"?' });
    const asking = await one.hear({ until: 'toolCall' });
    await one.wait(500, asking); // nothing may come while the answer is being found
    return answer(one, asking);
  });

async function answer(one, asking) {
  const [{ id, name }] = asking.calls;
  one.session.sendToolResponse({ functionResponses: [{ id, name, response: { temperature: 21 } }] });
  return { asking, turns: [await one.hear()] };
}

const interruption = () =>
  talk({}, async (one) => {
    one.session.sendClientContent({ turns: 'Tell me a long, long story of a long, long road. '.repeat(2) });
    const cut = await one.hear({ until: 'audio' });
    one.session.sendRealtimeInput({ text: 'Stop, something else' });
    return { turns: [await one.hear({ turn: cut }), await one.hear()] };
  });

const resumption = async () => {
  const [fresh, update] = await talk({ sessionResumption: {} }, async (one) => {
    const turn = await one.ask('Remember the number 7');
    if (!one.update) await one.hear({ until: 'handle' });
    return [turn, one.update];
  });
  const resumed = await talk({ sessionResumption: { handle: update.newHandle } }, (one) =>
    one.ask('Remember the number 7'),
  );
  return { handle: update.newHandle, resumable: update.resumable, turns: [fresh, resumed] };
};

const go_away = () =>
  talk({ model: OLDER, baseUrl: SETTINGS.leaving }, async (one) => {
    await one.hear({ until: 'goAway' });
    const warned = performance.now();
    const turn = await one.ask('Are you still there?');
    const end = await one.closed();
    return { timeLeft: one.timeLeft, turns: [turn], ...end, stayed: (performance.now() - warned) / 1000 };
  });

const ephemeral_token = async () => {
  const maker = new GoogleGenAI({ apiKey: 'any-key', httpOptions: { apiVersion: 'v1alpha' } });
  const token = await maker.authTokens.create({
    config: { uses: 1, liveConnectConstraints: { model: MODEL, config: SPOKEN } },
  });
  return talk({ apiKey: token.name, apiVersion: 'v1alpha' }, async (one) => ({
    token: token.name,
    turns: [await one.ask('Hello with a token')],
  }));
};

const refused_setup = async () => {
  const one = await Talk.start({ responseModalities: [Modality.TEXT] });
  return one.session ? { code: 0, reason: 'not refused' } : one.closed();
};

async function report(conversation) {
  let result;
  try {
    const late = pause(SETTINGS.seconds * 1000, null, { ref: false }).then(() => {
      throw new Error(`not over after ${SETTINGS.seconds} s`);
    });
    result = await Promise.race([conversation(), late]);
  } catch (problem) {
    result = { error: problem.stack };
  }
  process.stdout.write(`${JSON.stringify({ conversation: conversation.name, ...result })}\n`);
}

await Promise.all(
  [
    text,
    realtime_text,
    speech,
    manual_speech,
    picture,
    tool_that_does_not_block,
    tool_that_blocks,
    interruption,
    resumption,
    go_away,
    ephemeral_token,
    refused_setup,
  ].map(report),
);
process.exit(0); // also when a session that failed is still open
