"""What a recorded session was like, in figures.

- Latencies count from when the user was done: the last loud sample sent, an activityEnd, a text, whichever was last.
- A first sound is the first sample that is not silence; a service that begins with silence is not quick.
- Figures are p50 and p95 by nearest rank, so each is one that was measured. What never happened has no figure.
- A line at a time. What grows with a session is a number or two a reply; sizes and kinds are counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from livews.analysis.percentile import percentile
from livews.analysis.turn_times import SPEAKS, UserSpeech, ends_reply, interrupts
from livews.audio.analysis import levels
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.core import events, rules
from livews.core.conversation import Step
from livews.trace.ending import SessionClose, SessionEnding
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.view import number

_KINDS = 200
"""Different kinds and sizes that are counted apart; a hostile file has as many as it likes."""


@dataclass(slots=True)
class AudioStats:
    """The sound of one direction."""

    seconds: float = 0.0
    chunks: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    """Chunks by their length in whole milliseconds."""
    largest_gap: float = 0.0

    def add(self, seconds: float) -> None:
        self.seconds += seconds
        self.chunks += 1
        size = round(1000 * seconds)
        if size in self.sizes or len(self.sizes) < 5000:
            self.sizes[size] += 1

    def row(self) -> dict[str, Any]:
        told: dict[str, Any] = {"seconds": round(self.seconds, 3), "chunks": self.chunks}
        if self.sizes:
            told["chunkMs"] = {
                "min": min(self.sizes), "p50": _counted(self.sizes, 50), "p95": _counted(self.sizes, 95),
                "max": max(self.sizes),
            }  # fmt: skip
            told["largestGap"] = round(self.largest_gap, 3)
        return told


@dataclass(slots=True)
class _Reply:
    """One answer, while it comes in."""

    asked_at: float | None
    at: float
    sounded: bool = False
    first_chunk: float | None = None
    last_chunk: float = 0.0
    first_seconds: float = 0.0
    seconds: float = 0.0
    plays_to: float = 0.0


class SessionStats:
    """The figures of one session."""

    def __init__(self, session: RecordedSession) -> None:
        self._session = session
        self._user = UserSpeech()
        self.sounds = {"client": AudioStats(), "server": AudioStats()}
        self._kinds: dict[str, Counter[str]] = {"client": Counter(), "server": Counter()}
        self._bytes: dict[str, Counter[str]] = {"client": Counter(), "server": Counter()}
        self._faults: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._latency: dict[str, list[float]] = {"firstByte": [], "firstSound": []}
        self._barge_in: list[float] = []
        self._speed: list[float] = []
        self._heard = Counter[str]()
        self._dry: list[float] = []
        self._tokens: dict[str, Counter[str]] = {"prompt": Counter(), "response": Counter()}
        self._total = 0
        self._ending = SessionEnding()
        self._closes: list[dict[str, Any]] = []
        self._reply: _Reply | None = None
        self._asked: float | None = None
        """The end of speech that the last reply answered."""
        self._cause: float | None = None
        """What may interrupt the reply: when the user began to speak, or sent a text."""
        self._last_sent: float | None = None
        self._user_turns = self._replies = self._interrupted = 0
        self._first: float | None = None
        self._last = 0.0
        self._elided = False
        self._ready: float | None = None
        self._setup: float | None = None

    def run(self) -> dict[str, Any]:
        """Read the session to its end; its figures, times in seconds."""
        for line, step in self._session:
            self.add(line, step)
        return self.row()

    def add(self, line: TraceRecord, step: Step | None) -> None:
        self._first = line.t if self._first is None else self._first
        self._last = max(self._last, line.t)
        if line.control == "heard":
            self._take_heard(line)
        if step is None:
            return
        close = self._ending.take(line, step)
        if close is not None:
            self._close(line.t, close)
        elif line.control != "close":
            self._count(line, step)
        sounds = [(rate_of(mime_type, line.sender), pcm) for mime_type, pcm in step.audio]
        self._elided = self._elided or (line.elided and bool(sounds))
        for rate, pcm in sounds:
            self.sounds[line.sender].add(seconds_of(len(pcm), rate))
        if line.sender == "client":
            self._from_client(line, step, sounds)
        else:
            self._from_server(line, step, sounds)

    def _count(self, line: TraceRecord, step: Step) -> None:
        kinds = self._kinds[line.sender]
        kind = step.kind if step.kind in kinds or len(kinds) < _KINDS else "other"
        kinds[kind] += 1
        self._bytes[line.sender][kind] += line.size
        for fault in step.faults:
            self._faults[fault.rule] += 1
        for note in step.notes:
            self._notes[note.rule] += 1

    def _from_client(self, line: TraceRecord, step: Step, sounds: list[tuple[int, bytes]]) -> None:
        if sounds:
            side = self.sounds["client"]
            if self._last_sent is not None:
                side.largest_gap = max(side.largest_gap, line.t - self._last_sent)
            self._last_sent = line.t
        if "setup" in step.signals and self._setup is None:
            self._setup = line.t
        if self._user.see(line, step, sounds):
            spoke = bool(sounds)
            self._cause = self._user.began_at if spoke else line.t

    def _from_server(self, line: TraceRecord, step: Step, sounds: list[tuple[int, bytes]]) -> None:
        if "setupComplete" in step.signals and self._ready is None:
            self._ready = line.t
        if "usageMetadata" in step.signals:
            for event in events.events(step):
                if isinstance(event, events.Usage):
                    self._usage(event)
        begins = bool(sounds) or any(signal in SPEAKS for signal in step.signals)
        if begins and "ignoreAudio" not in step.effects:
            if self._reply is None:
                self._begin(line)
            if sounds and self._reply is not None:
                self._hear(self._reply, line, sounds)
        if interrupts(step):
            self._interrupted += 1
            if self._cause is not None and self._cause <= line.t:
                self._barge_in.append(line.t - self._cause)
            self._cause = None
        if ends_reply(step):
            self._end()

    def _begin(self, line: TraceRecord) -> None:
        asked = self._user.asked_at(self._asked)
        if asked is not None:
            asked = min(asked, line.t)
            self._asked = asked
            self._user_turns += 1
            self._latency["firstByte"].append(line.t - asked)
        self._replies += 1
        if self._cause is not None and asked is not None and self._cause <= asked:
            self._cause = None  # it is what was answered
        self._reply = _Reply(asked, line.t)

    def _hear(self, reply: _Reply, line: TraceRecord, sounds: list[tuple[int, bytes]]) -> None:
        seconds = sum(seconds_of(len(pcm), rate) for rate, pcm in sounds)
        if not reply.sounded and not line.elided and any(levels.first_sound(pcm) is not None for _, pcm in sounds):
            reply.sounded = True
            if reply.asked_at is not None:
                self._latency["firstSound"].append(line.t - reply.asked_at)
        if reply.first_chunk is None:
            reply.first_chunk, reply.first_seconds = line.t, seconds
        else:
            gap = line.t - reply.last_chunk
            self.sounds["server"].largest_gap = max(self.sounds["server"].largest_gap, gap)
            if line.t > reply.plays_to:
                self._dry.append(line.t - reply.plays_to)
        reply.plays_to = max(reply.plays_to, line.t) + seconds
        reply.last_chunk = line.t
        reply.seconds += seconds

    def _end(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None and reply.first_chunk is not None and reply.last_chunk > reply.first_chunk:
            # what came behind the first chunk, by the time it took to come
            self._speed.append((reply.seconds - reply.first_seconds) / (reply.last_chunk - reply.first_chunk))

    def _take_heard(self, line: TraceRecord) -> None:
        self._heard["replies"] += 1
        for name in ("underruns", "underrunMs", "late", "heardMs", "receivedMs"):
            self._heard[name] += int(number(line.about, name))

    def _usage(self, usage: events.Usage) -> None:
        self._total += usage.total
        for name, count, by in (
            ("prompt", usage.prompt, usage.prompt_by),
            ("response", usage.response, usage.response_by),
        ):
            tokens = self._tokens[name]
            tokens["total"] += count
            for modality, part in by.items():
                if modality in tokens or len(tokens) < 50:
                    tokens[modality or "UNSPECIFIED"] += part
        if usage.thoughts:
            self._tokens["response"]["thoughts"] += usage.thoughts

    def _close(self, t: float, close: SessionClose) -> None:
        told: dict[str, Any] = {"t": round(t, 3), "side": close.by, "code": close.code, "reason": close.reason}
        if not close.is_fine:
            advice = close.advice
            told |= {"id": advice.id, "meaning": advice.meaning, "do": advice.do, "retry": advice.retry}
        if len(self._closes) < 10:
            self._closes.append(told)

    def row(self) -> dict[str, Any]:
        """The figures so far, as JSON has them."""
        self._end()
        session = self._session
        row: dict[str, Any] = {
            "session": session.number,
            "started": str(session.header.get("started", "")),
            "url": str(session.header.get("url", "")),
            "model": session.model,
            "seconds": round(self._last - (self._first or 0.0), 3),
        }
        if self._setup is not None and self._ready is not None:
            row["setup"] = round(self._ready - self._setup, 3)
        row["messages"] = {
            side: {
                "count": sum(kinds.values()),
                "bytes": sum(self._bytes[side].values()),
                "kinds": {kind: {"count": n, "bytes": self._bytes[side][kind]} for kind, n in kinds.most_common()},
            }
            for side, kinds in self._kinds.items()
        }
        unanswered = self._user.asked_at(self._asked) is not None and self._last > 0
        row["turns"] = {
            "user": self._user_turns + unanswered, "model": self._replies, "interrupted": self._interrupted
        }  # fmt: skip
        row["latency"] = {name: _row(values) for name, values in self._latency.items() if values}
        row["bargeIn"] = _row(self._barge_in) if self._barge_in else None
        row["audio"] = {side: told.row() for side, told in self.sounds.items()}
        row["speed"] = (_row(self._speed) | {"min": round(min(self._speed), 3)}) if self._speed else None
        row["ranDry"] = {"times": len(self._dry), "seconds": round(sum(self._dry), 3)}
        row["heard"] = dict(self._heard) if self._heard else None
        row["tokens"] = {name: dict(counts) for name, counts in self._tokens.items() if counts["total"]}
        if self._total:
            row["tokens"]["total"] = self._total
        row["unanswered"] = self._ending.unanswered is not None
        row["closes"] = self._closes
        row["faults"], row["notes"] = dict(self._faults.most_common()), dict(self._notes.most_common())
        row["elided"] = self._elided
        row["cutAt"] = session.cut_at
        return row


def _row(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(percentile(values, 50), 3), "p95": round(percentile(values, 95), 3), "count": len(values)
    }  # fmt: skip


def _counted(sizes: Counter[int], percent: float) -> int:
    """The percentile of values that are given by how often each is there."""
    wanted = sum(sizes.values()) * percent / 100
    for size in sorted(sizes):
        wanted -= sizes[size]
        if wanted <= 0:
            return size
    return max(sizes)


def words(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures for a person, as (name, text)."""
    out = [("session", f"{row['session']}  {row['started']}  {row['seconds']:,.1f} s  {row['model']}")]
    for side, name in (("client", "sent"), ("server", "received")):
        told = row["messages"][side]
        kinds = ", ".join(f"{kind} {one['count']:,} ({one['bytes']:,} B)" for kind, one in told["kinds"].items())
        out.append((name, f"{told['count']:,} messages, {told['bytes']:,} B: {kinds}"))
    turns = row["turns"]
    out.append(("turns", f"user {turns['user']}, model {turns['model']}, interrupted {turns['interrupted']}"))
    for name, key in (("first byte", "firstByte"), ("first sound", "firstSound")):
        if told := row["latency"].get(key):
            out.append((name, f"{_seconds(told)} after the user was done"))
    if row["bargeIn"]:
        out.append(("barge-in", f"{_seconds(row['bargeIn'])} from speech or text to interrupted"))
    for side, name in (("client", "audio out"), ("server", "audio in")):
        if (told := row["audio"][side])["chunks"]:
            sizes = told["chunkMs"]
            out.append((name, f"{told['seconds']:,.1f} s in {told['chunks']:,} chunks of {sizes['min']} to "
                        f"{sizes['max']} ms (p50 {sizes['p50']}), largest gap {told['largestGap']:.3f} s"))  # fmt: skip
    if row["speed"]:
        speed = row["speed"]
        out.append(("speed", f"{speed['p50']:.1f} times real time, at the slowest {speed['min']:.1f}"))
    if row["ranDry"]["times"]:
        dry = row["ranDry"]
        out.append(("ran dry", f"{dry['times']} times, {dry['seconds']:.2f} s, for a player without a reserve"))
    if row["heard"]:
        heard = row["heard"]
        out.append(("heard", f"{heard['heardMs'] / 1000:,.1f} of {heard['receivedMs'] / 1000:,.1f} s, "
                    f"{heard['underruns']} underruns, {heard['underrunMs']} ms of silence"))  # fmt: skip
    for name in ("prompt", "response"):
        if told := row["tokens"].get(name):
            by = ", ".join(f"{kind} {n:,}" for kind, n in told.items() if kind != "total")
            out.append((f"{name} tokens", f"{told['total']:,}" + (f": {by}" if by else "")))
    if row["unanswered"]:
        finding = rules.unanswered_setup()
        out.append(("unanswered", f"{finding}. {finding.fix}"))
    for close in row["closes"]:
        said = f"{close['code']}{' ' + repr_of(close['reason']) if close['reason'] else ''} by the {close['side']}"
        out.append(("closed", said + (f": {close['meaning']} {close['do']}" if "do" in close else "")))
    if row["faults"]:
        out.append(("faults", ", ".join(f"{rule} {n}" for rule, n in row["faults"].items())))
    if row["notes"]:
        out.append(("notes", ", ".join(f"{rule} {n}" for rule, n in row["notes"].items())))
    if row["elided"]:
        out.append(("elided", "sound was left out of this trace: when speech and sound began cannot be told"))
    if row["cutAt"]:
        out.append(("cut off", f"in line {row['cutAt']}: the program that wrote it was stopped there"))
    return out


def repr_of(text: str) -> str:
    return f'"{text}"'


def _seconds(told: dict[str, float]) -> str:
    return f"p50 {told['p50']:.3f} s, p95 {told['p95']:.3f} s ({told['count']})"
