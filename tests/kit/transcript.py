"""Conversations as text: what a client sends, what has to come, and the one function that plays them.

A file has `let NAME TEXT` lines, then blocks; a line with `#` in front is a comment. A block:

    == a turn asked for by text: $model
    # C3, TURN-2: the order of a reply
    | $model | $end
    | NATIVE | turnComplete+usage
    config {"pace": 0.25}
    setup $model {"tools": [...]}
    > content Hello
    < audio
    = generationComplete $end

`== TITLE` begins it. A line of columns, in lower case, and the lines of values below it make it one conversation a row;
several such tables are multiplied. `$column` is its value, `$NAME` what `let` says. Then, one step a line:

- `config JSON`: settings of the stand-in, ahead of everything else, which is lenient for a retired model; `faults` as the command line has them, `scripts` as
  lists of steps. A stand-in with neither is held against the form of the service at the end.
- `setup MODEL JSON ...`: a connection that is set up; MODEL is a name of tests.kit.names or the name of a model, and one
  of Vertex is called there. Both transcriptions are on; each JSON object is merged into the setup, null takes a member
  out. A second one is another client; `leave` ends the newest, `lose` without a close frame. `$handle` is the newest
  handle, `$first` the first one. `connect` does not wait for setupComplete, `dial PATH` says no setup; PATHS has
  the names of paths.
- `> MESSAGE` is sent: `content TEXT` (`content+ TEXT` without turnComplete), `text TEXT`, `activityStart`,
  `activityEnd`, `audioStreamEnd`; `speech`, `silence`, `utterance SECONDS [PEAK]` joined by `+`, at the end `at N Hz` or
  `in N bytes` a frame; `result [N] JSON [MEMBERS]`, an answer to call N of those that came, several joined by `+`; JSON,
  `raw TEXT`, and `bytes` in hex, as they are.
- `< WORD` waits for a message that has this word of `brief`; `rest` takes what comes until it is quiet.
- `= WORD ...` is the whole exchange up to the first message with the last word, as `brief_all` has it: without `said`
  and `nothing` if these are not there, with "..." for `said` and `audio` by turns, without WORD for each `-WORD`.
- `nothing`: it stays quiet. `closed CODE REASON`: how the stand-in closes; `closes ID [REASON]`: as that row of
  protocol/closes.json says, with its reason or another.
- `faults NAME ...` are those of connections from here on. `pings` are sent from here on; `wait SECONDS`; `clock SECONDS` sets the clock of handles on. `after LEAST [MOST]`: so
  many seconds after the connection it is now. `idle`: for a reader no turn runs.
- `status NAME JSON`, `ended HOW`, `log TEXT`: what the stand-in says of the newest session, how the only one that is over
  ended, what a line of its log has (`no-log`: none); `differences N` from its script.
- Any other line is one of CHECKS, on what the last `<`, `=`, `rest`, `setup` or `closed` took; after `all`, on
  everything that this client got.
"""

import asyncio
import base64
import contextlib
import json
import re
from array import array
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise, product
from pathlib import Path
from string import Template
from typing import Any

from websockets.exceptions import ConnectionClosed

from livews.advice import closes
from livews.core import codec, protocol
from livews.server import synth
from livews.server.faults import parse
from livews.server.script import Script
from livews.server.server import StandInServer
from tests.kit import names, sound, talk
from tests.kit.service_form import keeps_to_the_form, read_by
from tests.kit.talk import Caller, Message
from tests.kit.waiting import until

FOLDER = names.DATA / "conversations"
_SPEECH = base64.b64encode(sound.speech(1.0)).decode()


def _blob(data: bytes) -> str:
    return json.dumps({"mimeType": "audio/pcm;rate=16000", "data": base64.b64encode(data).decode()})


KNOWN = {
    "JPEG": json.dumps({"mimeType": "image/jpeg", "data": base64.b64encode(bytes(3_000)).decode()}),
    "PNG": json.dumps({"mimeType": "image/png", "data": base64.b64encode(bytes(52_000)).decode()}),
    "UTTERANCE": json.dumps(json.loads(talk.audio(sound.utterance(1.0)))["realtimeInput"]["audio"]),
    "FLOATS": _blob(array("f", (x / 32_768 for x in array("h", sound.speech(1.0)))).tobytes()),
    "TWICE": _blob(_SPEECH.encode()),
    "WEBM": _blob(b"\x1aE\xdf\xa3" + sound.noise(0.5)),
    "WAV": _blob(b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(28) + sound.speech(1.0)),
    "SPEECH": _SPEECH,
    "URL_SAFE": _SPEECH.replace("+", "-").replace("/", "_"),
    "UNPADDED": _SPEECH.replace("+", "-").replace("/", "_").rstrip("="),
}
"""What every file may use: pictures of 3 and 52 kB, an utterance of a second, audio that is no PCM, and the base64 of a second of
speech."""


PATHS = {
    "GEMINI": names.GEMINI,
    "VERTEX": names.VERTEX,
    "ALPHA": names.GEMINI.replace("v1beta", "v1alpha"),
    "WRONG_KEY": f"{names.GEMINI}?key=wrong",
}


# Reading


@dataclass
class Transcript:
    title: str
    steps: list[str]


def load(path: Path) -> Iterator[Transcript]:
    """The conversations of a file."""
    head, *blocks = re.split(r"^== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    known = KNOWN | dict(line.split(maxsplit=2)[1:] for line in _lines(head))
    for block in blocks:
        lines = _lines(block)
        for row in _rows([line for line in lines if line.startswith("|")]):
            text = "\n".join(line for line in lines if not line.startswith("|"))
            for _ in range(3):  # a value may name another, or what `let` says, and that again
                text = Template(text).safe_substitute(known | row)
            title, *steps = _lines(text)
            yield Transcript(title, steps)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _rows(lines: list[str]) -> Iterator[dict[str, str]]:
    """The values of each conversation of a block."""
    tables: list[list[dict[str, str]]] = []
    columns: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[1:]]
        if all(re.fullmatch(r"\$[a-z]+", cell) for cell in cells):
            columns = [cell.removeprefix("$") for cell in cells]
            tables.append([])
        else:
            tables[-1].append(dict(zip(columns, cells, strict=True)))
    for rows in product(*tables):
        yield {name: value for row in rows for name, value in row.items()}


# Playing


@dataclass
class Player:
    """A conversation at work. `callers` were there, `clients` are the open ones and what ends them, the newest last."""

    server: StandInServer
    log: list[str]
    sockets: contextlib.AsyncExitStack
    callers: list[Caller] = field(default_factory=list)
    clients: list[tuple[Caller, contextlib.AsyncExitStack]] = field(default_factory=list)
    got: list[Message] = field(default_factory=list)
    began: float = 0.0
    """When the newest connection was made, on the loop's clock."""

    @property
    def caller(self) -> Caller:
        return self.clients[-1][0]

    async def do(self, line: str) -> None:
        messages = [message for caller in self.callers for message in caller.messages]
        handles = [
            message["sessionResumptionUpdate"]["newHandle"]
            for message in messages
            if "sessionResumptionUpdate" in message
        ]
        known = {"first": handles[0], "handle": handles[-1]} if handles else {}
        verb, _, text = Template(line).safe_substitute(known).partition(" ")
        if verb in STEPS:
            await STEPS[verb](self, text)
        elif verb == "all":
            verb, _, text = text.partition(" ")
            CHECKS[verb](self.caller.messages, text)
        else:
            CHECKS[verb](self.got, text)

    async def dial(self, path: str) -> None:
        end = await self.sockets.enter_async_context(contextlib.AsyncExitStack())
        caller = await end.enter_async_context(talk.calling(self.server, path=PATHS[path]))
        self.callers.append(caller)
        self.clients.append((caller, end))
        self.began = asyncio.get_running_loop().time()

    async def connect(self, text: str) -> None:
        setup = setup_of(text)
        await self.dial("VERTEX" if setup["model"].startswith(("publishers/", "projects/")) else "GEMINI")
        self.caller.model = setup["model"]
        await self.caller.say({"setup": setup})

    async def setup(self, text: str) -> None:
        await self.connect(text)
        self.got = [await self.caller.hear()]
        assert "setupComplete" in self.got[0]
        if "sessionResumption" not in text:
            await self.caller.settle()

    async def leave(self, text: str) -> None:
        await self.clients.pop()[1].aclose()
        await until(lambda: len(self.server.sessions) == len(self.clients))

    async def lose(self, text: str) -> None:
        self.caller.socket.transport.abort()
        await self.leave(text)

    async def send(self, text: str) -> None:
        with contextlib.suppress(ConnectionClosed):  # `closed` tells
            await self.caller.say(*frames_of(text, talk.calls(self.caller.messages)))

    async def hear(self, word: str) -> None:
        self.got = await self.caller.until(word)

    async def exchange(self, text: str) -> None:
        words = [word for word in text.split() if not word.startswith("-")]
        leave = {word[1:] for word in text.split() if word.startswith("-")}
        leave |= {"said", "nothing"} - set(words) - {"..."}
        last = set(words[-1].split("+"))
        self.got = await self.caller.until(lambda message: last <= set(talk.brief(message)))
        found = talk.brief_all(self.got, leave - ({"said"} if "..." in words else set()))
        assert (by_turns(found) if "..." in words else found) == words

    async def faults(self, text: str) -> None:
        self.server.config.faults = [parse(fault) for fault in text.split()]

    async def pings(self, text: str) -> None:
        await self.clients[-1][1].enter_async_context(talk.pinging(self.caller))

    async def wait(self, seconds: str) -> None:
        await asyncio.sleep(float(seconds))

    async def nothing(self, seconds: str) -> None:
        assert await self.caller.rest(float(seconds or 0.1)) == []

    async def rest(self, text: str) -> None:
        self.got = await self.caller.rest()

    async def closed(self, text: str) -> tuple[int, str]:
        before = len(self.caller.messages)
        code, reason = await self.caller.closed()
        assert not text or f"{code} {reason}".strip() == text, (code, reason)
        self.got = self.caller.messages[before:]
        return code, reason

    async def closes(self, text: str) -> None:
        close_id, _, wanted = text.partition(" ")
        row = protocol.close_row(close_id)
        code, reason = await self.closed("")
        assert (code, reason) == (row["code"], (wanted or row["reason"])[:123])
        assert closes.explain(code, reason).id == close_id

    # Of the stand-in

    async def clock(self, seconds: str) -> None:
        self.server.store.clock = lambda: self.server.clock() + float(seconds)

    async def after(self, text: str) -> None:
        least, *most = map(float, text.split())
        assert least <= asyncio.get_running_loop().time() - self.began < (most[0] if most else talk.PATIENCE)

    async def idle(self, text: str) -> None:
        assert read_by(self.caller).states["turn"] == "idle"

    async def status(self, text: str) -> None:
        name, value = text.split()
        assert self.server.status()["open"][-1][name] == json.loads(value)

    async def ended(self, how: str) -> None:
        assert dict(self.server.endings) == {how: 1}

    async def differences(self, count: str) -> None:
        assert self.server.differences == int(count)

    async def has_logged(self, text: str) -> None:
        with contextlib.suppress(TimeoutError):  # the line of a session comes after its close
            await until(lambda: any(text in line for line in self.log))
        assert any(text in line for line in self.log), self.log

    async def has_not_logged(self, text: str) -> None:
        assert not any(text in line for line in self.log), self.log


STEPS: dict[str, Callable[[Player, str], Awaitable[object]]] = {
    ">": Player.send, "<": Player.hear, "=": Player.exchange, "setup": Player.setup, "connect": Player.connect,
    "leave": Player.leave, "lose": Player.lose, "nothing": Player.nothing, "rest": Player.rest, "closed": Player.closed, "closes": Player.closes, "dial": Player.dial,
    "faults": Player.faults, "pings": Player.pings, "wait": Player.wait, "clock": Player.clock, "after": Player.after, "idle": Player.idle,
    "status": Player.status, "ended": Player.ended, "log": Player.has_logged,
    "no-log": Player.has_not_logged, "differences": Player.differences,
}  # fmt: skip


async def play(transcript: Transcript) -> None:
    """Play a conversation on a stand-in of its own."""
    steps, changes, log = list(transcript.steps), {}, []
    if steps[0].startswith("config "):
        changes = json.loads(steps.pop(0).removeprefix("config "))
    if any(step.startswith("setup RETIRED") for step in steps):
        changes.setdefault("lenient", True)
    free = not changes.keys() & {"faults", "scripts"}
    if "scripts" in changes:
        changes["scripts"] = [Script("a scenario", steps=script) for script in changes["scripts"]]
    async with talk.serving(log=log.append, **changes) as server, contextlib.AsyncExitStack() as sockets:
        player = Player(server, log, sockets)
        for line in steps:
            try:
                await player.do(line)
            except Exception as error:
                error.add_note(f"at: {line[:500]}\ngot: {' '.join(talk.brief_all(player.got))}")
                raise
    for caller in player.callers if free else ():
        keeps_to_the_form(caller)


# What is sent


def setup_of(text: str) -> Message:
    model, _, members = text.partition(" ")
    setup: Message = {
        "model": getattr(names, model, model),
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
    }
    if model == "TRANSCRIBE":
        setup["generationConfig"] = {"responseModalities": ["TEXT"]}
    if model == "THINKING":
        setup["generationConfig"] = {"thinkingConfig": {"thinkingLevel": "LOW"}}
    if model == "TRANSLATE":
        setup["generationConfig"] = {"translationConfig": {"targetLanguageCode": "de"}}
    for more in values_of(members):
        setup |= more
    return {name: value for name, value in setup.items() if value is not None}


def values_of(text: str) -> list[Any]:
    """JSON values in a row."""
    values, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:]
    return values


def frames_of(text: str, calls: list[Message]) -> list[Message | str | bytes]:
    kind, _, rest = text.partition(" ")
    match kind:
        case "content" | "content+":
            return [talk.content(rest, complete=kind == "content")]
        case "text":
            return [talk.text(rest)]
        case "activityStart" | "activityEnd":
            return [{"realtimeInput": {kind: {}}}]
        case "audioStreamEnd":
            return [talk.STREAM_END]
        case "result":
            return [{"toolResponse": {"functionResponses": [result_of(one, calls) for one in rest.split(" + ")]}}]
        case "speech" | "silence" | "utterance":
            return sound_of(text)
        case "raw":
            return [rest]
        case "bytes":
            return [bytes.fromhex(rest)]
    return [text]


def result_of(text: str, calls: list[Message]) -> Message:
    values = values_of(text)
    at = values.pop(0) if isinstance(values[0], int) else 0
    return {"id": calls[at]["id"], "response": values[0], **(values[1] if values[1:] else {})}


def sound_of(text: str) -> list[Message | str | bytes]:
    given = re.fullmatch(r"(.*?)(?: at (\d+) Hz)?(?: in (\d+) bytes)?", text)
    assert given
    rate = int(given[2] or sound.RATE)
    pcm = b""
    for piece in given[1].split(" + "):
        kind, seconds, *peak = piece.split()
        make = {"speech": sound.speech, "silence": sound.silence, "utterance": sound.utterance}[kind]
        pcm += make(float(seconds), **({"peak": int(peak[0])} if peak else {}), rate=rate or sound.RATE)
    size = int(given[3] or 2 * (rate or sound.RATE) // 10)
    return [talk.audio(pcm[at : at + size], rate) for at in range(0, len(pcm), size)]


# What comes


def by_turns(words: list[str]) -> list[str]:
    """Words of `brief_all` with "..." for `said` and `audio` by turns."""
    found: list[str] = []
    for spoken, run_of in groupby(words, lambda word: word in ("said", "audio")):
        run = list(run_of)
        found += ["..."] if spoken and len(run) > 2 else run
    return found


def _words_of(got: list[Message]) -> list[str]:
    return [word for message in got for word in talk.brief(message)]


def _is(found: Any, wanted: Any) -> None:
    assert found == wanted, found


def _fits(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text


def _got(got: list[Message], wanted: str) -> None:
    left = [message for message in got if "sessionResumptionUpdate" not in message]
    assert left == ([] if wanted == "nothing" else values_of(wanted))


def _handles(got: list[Message], count: str) -> None:
    updates = [message["sessionResumptionUpdate"] for message in got if "sessionResumptionUpdate" in message]
    assert all(update["resumable"] is True for update in updates)
    assert len(updates) == len({update["newHandle"] for update in updates}) == int(count)


def _never(got: list[Message], words: str) -> None:
    assert not set(_words_of(got)) & set(words.split())


def _order(got: list[Message], words: str) -> None:
    """Of the words that are named, these come in this order."""
    assert [word for word in _words_of(got) if word in words.split()] == words.split()


def _offsets(got: list[Message], wanted: str) -> None:
    """The marks of voiceActivity: START=0.5, START=0.4..0.6, or START for any time."""
    marks = [message["voiceActivity"] for message in got if "voiceActivity" in message]
    found = [(mark["type"].removeprefix("ACTIVITY_"), mark["audioOffset"]) for mark in marks]
    assert all(re.fullmatch(r"\d+(\.\d{3})?s", at) for _, at in found), "a Duration (B14)"
    expected = [one.partition("=") for one in wanted.split()]
    assert [kind for kind, _ in found] == [kind for kind, _, _ in expected]
    for (_, at), (_, _, times) in zip(found, expected, strict=True):
        least, _, most = times.partition("..")
        assert not times or float(least) <= float(at[:-1]) <= float(most or least), found


def _counts(rows: list[Message]) -> str:
    return " ".join(f"{row['modality']}={row['tokenCount']}" for row in rows)


def _interims(got: list[Message], count: str) -> None:
    """So many interim transcripts, each of which goes on from the one before."""
    found = [
        one["serverContent"]["interimInputTranscription"]["text"] for one in got if talk.brief(one) == ["interim"]
    ]
    assert len(found) == int(count), found
    assert all(after.startswith(before) for before, after in pairwise(found)) and found[0] != found[-1], found


def _cancels(got: list[Message], numbers: str) -> None:
    """One toolCallCancellation, with the ids of these calls; needs `all`, where the calls are."""
    ids = [call["id"] for call in talk.calls(got)]
    (cancelled,) = [message for message in got if "toolCallCancellation" in message]
    assert cancelled == {"toolCallCancellation": {"ids": [ids[int(number)] for number in numbers.split()]}}


def _call_ids(got: list[Message], form: str) -> None:
    calls = talk.calls(got)
    assert len({call["id"] for call in calls}) == len(calls)
    assert all(re.fullmatch(form, call["id"]) for call in calls)
    assert all(list(call) == ["name", "args", "id"] for call in calls)


def _counts_the_whole_turn(got: list[Message], _: str) -> None:
    """The parts of a turn that called a function: the call, of 6 tokens, and more than a second of sound."""
    call, spoken = talk.usages(got)[-1]["responseTokensDetails"]
    assert call == {"modality": "TEXT", "tokenCount": 6}
    assert spoken["modality"] == "AUDIO" and spoken["tokenCount"] > 25


def _counts_its_sound(got: list[Message], _: str) -> None:
    """The last count of the response is 25 tokens a second of sound."""
    (usage,) = talk.usages(got)
    details = usage.get("responseTokensDetails") or usage["candidatesTokensDetails"]
    assert _counts(details) == f"AUDIO={round(25 * len(talk.sound_of(got)) / 2 / synth.RATE)}"


def _streams_its_usage(got: list[Message], _: str) -> None:
    """After each part of sound a message with its counts only, without a zero (B5)."""
    total = 0
    for before, message in pairwise(got):
        if "usageMetadata" in message:
            assert message.keys() == {"usageMetadata"} and "audio" in talk.brief(before)
            assert all(message["usageMetadata"].values()) and "promptTokenCount" not in message["usageMetadata"]
            total += message["usageMetadata"]["responseTokenCount"]
    assert abs(total - 25 * len(talk.sound_of(got)) / 2 / synth.RATE) < len(talk.blobs(got))


def _response_details(got: list[Message], wanted: str) -> None:
    usage = talk.usages(got)[-1]
    details = usage.get("responseTokensDetails") or usage.get("candidatesTokensDetails", [])
    assert _counts(details) == wanted


def _chunks(got: list[Message], text: str) -> None:
    """MS, members of each blob besides its data, members of modelTurn besides its parts. Only the last is shorter."""
    ms, blob, turn = values_of(text)
    turns = [one["serverContent"]["modelTurn"] for one in got if talk.blobs([one])]
    assert all({**one, "parts": 0} == {**turn, "parts": 0} for one in turns)
    assert all({**one, "data": 0} == {**blob, "data": 0} for one in talk.blobs(got))
    *lengths, last = [len(codec.decode_base64(one["data"])) for one in talk.blobs(got)]
    full = synth.RATE * ms // 1000 * 2
    assert lengths and set(lengths) == {full} and 0 < last <= full


def _empties(got: list[Message], ahead_of: str) -> None:
    """A bare {} stands ahead of each message with one of these words (B13b), and nowhere else; without words: never."""
    found = [index for index, message in enumerate(got) if message == {}]
    wanted = [index - 1 for index, message in enumerate(got) if set(talk.brief(message)) & set(ahead_of.split())]
    assert found == wanted


def _transcript(got: list[Message], place: str) -> None:
    """Where the model's transcript is: in messages of its own by turns with sound, in those with sound, or ahead of them."""
    said = [index for index, message in enumerate(got) if "said" in talk.brief(message)]
    sounds = [index for index, message in enumerate(got) if "audio" in talk.brief(message)]
    assert len(said) >= 3
    assert {
        "interleaved": not set(said) & set(sounds) and said[0] < sounds[0] < said[-1] < sounds[-1],
        "with-audio": set(said) <= set(sounds),
        "first": said[-1] < sounds[0],
    }[place]


def _text_parts(got: list[Message], text: str) -> None:
    """LEAST, members of modelTurn besides its parts: so many text parts at least."""
    least, turn = values_of(text)
    turns = [one["serverContent"]["modelTurn"] for one in got if talk.parts([one])]
    assert len(turns) >= least and all({**one, "parts": 0} == {**turn, "parts": 0} for one in turns)


def _thought(got: list[Message], _: str) -> None:
    (part,) = talk.parts(got)
    assert part.keys() == {"text", "thought"} and part["thought"] is True


def _speaks(got: list[Message], _: str) -> None:
    assert talk.blobs(got)


def _messages_with(got: list[Message], text: str) -> None:
    word, count = text.split()
    assert sum(word in talk.brief(message) for message in got) == int(count)


def _prompt_grows(got: list[Message], tokens: str) -> None:
    """Between the last two turns."""
    before, after = talk.usages(got)[-2:]
    assert after["promptTokenCount"] == before["totalTokenCount"] + int(tokens)


def _calls(got: list[Message], names_and_args: str) -> None:
    """Names of functions, each with its arguments if these are given as JSON."""
    text = names_and_args
    for call in talk.calls(got):
        name, _, text = text.partition(" ")
        assert name == call["name"]
        if text.startswith("{"):
            args, end = json.JSONDecoder().raw_decode(text)
            assert args == call["args"]
            text = text[end:].lstrip()
    assert text == ""


CHECKS: dict[str, Callable[[list[Message], str], None]] = {
    "says": lambda got, text: _fits(re.escape(text) + "$", talk.words(got)),
    "mentions": lambda got, text: _fits(re.escape(text), talk.words(got)),
    "says-like": lambda got, pattern: _fits(pattern, talk.words(got)),
    "hears": lambda got, text: _is(talk.heard(got), text),
    "hears-like": lambda got, pattern: _fits(f"^{pattern}$", talk.heard(got)),
    "got": _got,
    "handles": _handles,
    "never": _never,
    "order": _order,
    "last": lambda got, message: _is(got[-1], json.loads(message)),
    "last-has": lambda got, text: _fits(re.escape(text), json.dumps(got[-1])),
    "calls": _calls,
    "cancels": _cancels,
    "call-ids": _call_ids,
    "counts-the-whole-turn": _counts_the_whole_turn,
    "prompt-grows": _prompt_grows,
    "counts-its-sound": _counts_its_sound,
    "streams-its-usage": _streams_its_usage,
    "response-details": _response_details,
    "chunks": _chunks,
    "transcript": _transcript,
    "empties": _empties,
    "text-parts": _text_parts,
    "thought": _thought,
    "speaks": _speaks,
    "messages-with": _messages_with,
    "count": lambda got, count: _is(len(got), int(count)),
    "sounds": lambda got, text: _is(talk.sound_of(got), synth.render(text or talk.words(got))),
    "offsets": _offsets,
    "interims": _interims,
    "prompt": lambda got, count: _is(talk.usages(got)[-1]["promptTokenCount"], int(count)),
    "prompt-details": lambda got, wanted: _is(_counts(talk.usages(got)[-1]["promptTokensDetails"]), wanted),
}
"""What is asserted of messages: the word a line begins with, and a function of the messages and of the line's rest."""
