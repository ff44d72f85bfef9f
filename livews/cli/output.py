"""Shows a conversation. One interface, three renderers: plain lines, JSON lines (here) and the live view
(`live_view`).

- The model's words go to stdout as they come; everything else for people goes to stderr.
- A line that has begun is ended before anything else is shown.
- In JSON each event is an object with its name in `event` and its time in seconds in `t`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from livews.cli.console import Console
from livews.core import codec
from livews.core.events import Event, Text, Transcript, Usage
from livews.errors import LivewsError
from livews.redactor import Pieces, pseudonym
from livews.terminal_text import one_line

if TYPE_CHECKING:
    from livews.cli.latency import ReplyLatency
    from livews.session.session import Session
    from livews.tools import ToolRun

PROMPT = "message > "
_NAMED = 3
"""Things of a kind that are named; the rest is counted."""


class Unsent(NamedTuple):
    """What never reached the service, or was never answered, when a session failed.

    turns: texts and files that were not sent.
    of: number of turns, with those that were.
    speech_seconds: of the last speech, to which no reply came.
    results: functions whose results were not sent.
    """

    turns: Sequence[str] = ()
    of: int = 0
    speech_seconds: float = 0.0
    results: Sequence[str] = ()

    def sentences(self) -> list[str]:
        """A sentence for each."""
        lines = []
        if self.turns:
            shown = ", ".join(f'"{one_line(turn, 40)}"' for turn in self.turns[:_NAMED])
            more = f" and {len(self.turns) - _NAMED:,} more" if len(self.turns) > _NAMED else ""
            were = "was" if len(self.turns) == 1 else "were"
            count = "your turn" if self.of == 1 else f"{len(self.turns):,} of your {self.of:,} turns"
            lines.append(f"{count} {were} not sent: {shown}{more}")
        if self.speech_seconds:
            lines.append(f"your last speech ({self.speech_seconds:.1f} s) was not answered")
        if self.results:
            names = ", ".join(f"{one_line(name, 60)}()" for name in self.results[:_NAMED])
            lines.append(f"the result of {names} was not sent")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """As the member `unsent` of a JSON line; {} if there is nothing."""
        seconds = round(self.speech_seconds, 3)
        row = {"turns": self.turns, "speechSeconds": seconds, "results": self.results}
        return {"unsent": row} if self.sentences() else {}


class Output:
    """Plain lines: the model's words on stdout as they come, the user's on stderr when they are complete.

    Times are in seconds since the connection was opened.
    """

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._console = console
        self._holds = options.trace_view or (bool(options.wav) and console.live)
        """Trace lines or dots are drawn: the words follow in one piece."""
        self._dots = bool(options.wav) and not options.json
        self._session: Session | None = None
        self._limit: tuple[str, list[str]] = "", []
        """The limit that ended the session, and what was not sent."""
        self._model = ""
        """Words that are held back."""
        self._user = ""

    def ready(self, session: Session) -> None:
        """The session has begun."""
        self._session = session

    def event(self, event: Event, t: float) -> None:
        """Any event of the session, before it is handled."""

    def model(self, text: str) -> None:
        """A piece of the model's words."""
        self.user_done()
        if self._holds:
            self._model += text
            return
        if not self._console.mid_line:
            text = text.lstrip()
        if text:
            self._console.say(text, end="")

    def model_done(self, note: str = "") -> None:
        """The model's line is complete; `note` is what is special about it."""
        if self._model:
            if self._dots:
                self._console.progress("\n")
            self._console.say(self._model.strip())
            self._model = ""
        self._console.end_line()
        if note:
            self._console.note(note)

    def user(self, text: str, *, interim: bool) -> None:
        """A piece of the user's spoken words; an interim one is the whole so far, and will be replaced."""
        if not interim:
            self._user += text

    def user_done(self) -> None:
        """The user's words of this turn are complete."""
        words, self._user = self._user.strip(), ""
        if words:
            self._console.note(f"you: {words}")

    def status(self, state: str, detail: str = "") -> None:
        """What goes on: listening, you, thinking, tool, model, or "" for nothing."""
        if not state:
            self._console.clear()
        elif not self._console.mid_line:
            self._console.status({"thinking": "…", "model": "playing …"}.get(state, f"{state} {detail}".strip()))

    def hint(self, text: str) -> None:
        """What the next key would do, or why this one does nothing."""
        self._console.note(f"livews: {text}")

    def typed(self, text: str) -> None:
        """A line was typed in the live view and is sent now."""

    def audio_received(self, mime_type: str, is_new: bool) -> None:
        """A piece of audio was written to a file; `is_new`: its type is another than before."""
        if self._dots:
            self._console.progress(f"{mime_type} ." if is_new else ".")

    def reply_played(self, reply: ReplyLatency, t: float) -> None:
        """A reply was played to its end, or interrupted."""

    def tool(self, run: ToolRun, t: float) -> None:
        """A function call is complete."""
        self._console.note(tool_line(run), "tool")

    def summary(self, latencies: dict[str, dict[str, float]], t: float, *, was_spoken: bool) -> None:
        """The latencies of the session, at its end; for people only if it was spoken or at a prompt."""
        if not was_spoken or not latencies:
            return
        names = {"firstByte": "first byte", "firstSound": "first sound", "firstPlayed": "heard"}
        figures = ", ".join(f"{names[name]} {row['p50']:.2f} / {row['p95']:.2f} s" for name, row in latencies.items())
        count = max(int(row["replies"]) for row in latencies.values())
        replies = f"{count} {'reply' if count == 1 else 'replies'}"
        self._console.note(f"livews: {replies}, from the end of your words (p50 / p95): {figures}")

    def failure(self, problem: LivewsError, t: float, unsent: Unsent) -> None:
        """The session failed; the command reports that on stderr itself."""

    def limit(self, option: str, reached: str, unsent: Unsent) -> None:
        """The session ends by this option; said when it is over."""
        self._limit = reached, unsent.sentences()

    def spent(self) -> None:
        """The session is over: the limit that ended it, and what it cost, unless the service is on this machine."""
        reached, unsent = self._limit
        if reached:
            self._console.note(f"livews: {reached}")
        for line in unsent:
            self._console.warn(line)
        usage = self._session.usage if self._session is not None else None
        if usage is not None and not usage.is_free and (usage.tokens or usage.uncounted):
            self._console.note(f"livews: {usage}")


class JsonOutput(Output):
    """An object per event on stdout; notes and progress as in plain output."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        super().__init__(options, console)
        self._pieces = Pieces()

    def _row(self, name: str, t: float, members: dict[str, Any]) -> None:
        self._console.data(_json(name, t, members))

    def ready(self, session: Session) -> None:
        super().ready(session)
        about = {"sessionId": session.session_id, "model": session.endpoint.model}
        self._row("ready", session.clock(), about)

    def event(self, event: Event, t: float) -> None:
        match event:
            case Transcript(interim=True, text=text):  # all so far
                event = replace(event, text=Pieces().hide(text))
            case Transcript(of=member, text=text):
                event = replace(event, text=self._pieces.hide(text, member))
            case Text(text=text, thought=is_thought):
                event = replace(event, text=self._pieces.hide(text, f"text {is_thought}"))
        self._console.data(as_json(event, t))

    def model(self, text: str) -> None:
        self.user_done()

    def user(self, text: str, *, interim: bool) -> None:
        pass

    def reply_played(self, reply: ReplyLatency, t: float) -> None:
        self._row("latency", t, reply.latency())
        if playback := reply.playback():
            self._row("heard", t, playback)

    def tool(self, run: ToolRun, t: float) -> None:
        row = {"id": run.call_id, "name": run.name, "seconds": round(run.seconds, 3)}
        self._row("tool", t, {**row, "cancelled": run.cancelled, "error": run.error})
        super().tool(run, t)

    def summary(self, latencies: dict[str, dict[str, float]], t: float, *, was_spoken: bool) -> None:
        self._row("summary", t, {**latencies, **self._usage()})

    def limit(self, option: str, reached: str, unsent: Unsent) -> None:
        t = self._session.clock() if self._session is not None else 0.0
        self._row("limit", t, {"option": option, "what": reached, **unsent.to_dict()})
        super().limit(option, reached, unsent)

    def _usage(self) -> dict[str, Any]:
        return {"usage": self._session.usage.to_dict()} if self._session is not None else {}

    def failure(self, problem: LivewsError, t: float, unsent: Unsent) -> None:
        row: dict[str, Any] = {"what": problem.what, **{name: text for name, text in problem.details() if text}}
        if hasattr(problem, "code"):
            row |= {"code": problem.code, "reason": getattr(problem, "reason", "")}
        if cause := getattr(problem, "cause", None):
            row["cause"] = cause.to_dict()
        self._row("error", t, {**row, **unsent.to_dict(), **self._usage()})


def as_json(event: Event, t: float) -> str:
    """An event as a line of JSON. Of audio and media it has the size; the bytes are in --wav and in the trace."""
    members: dict[str, Any] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, bytes):
            members["bytes"] = len(value)
        elif field.name == "handle":
            members["handle"] = pseudonym(value)
        elif field.name != "step" and not (isinstance(event, Transcript) and value is False):
            first, *more = field.name.split("_")
            members[first + "".join(map(str.title, more))] = value
    if isinstance(event, Usage):
        members["thoughts"] = members.pop("thoughts")  # after the counts by modality
    name = type(event).__name__
    return _json(name[0].lower() + name[1:], t, members)


def _json(name: str, t: float, members: dict[str, Any]) -> str:
    return orjson.dumps({"event": name, "t": round(t, 6), **members}).decode()


def tool_line(run: ToolRun) -> str:
    """A function call and its result on one line."""
    args = ", ".join(f"{name}={_brief(value)}" for name, value in run.args.items())
    outcome = f"failed: {run.error}" if run.error else "cancelled" if run.cancelled else _brief(run.result)
    return one_line(f"{run.name}({args}) → {outcome}  ({run.seconds:.1f} s)", 300)


def _brief(value: Any) -> str:
    text = codec.dump(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"
