"""Statistics of a recorded session: messages, turns, latencies, audio, tokens, closes.

- Latencies count from when the user was done (analysis/timeline.py). What never happened has no figure.
- Figures are p50 and p95 by nearest rank, so each is a value that was measured.
- One line at a time: what grows with a session is its turns; sizes and kinds are counted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from livews.advice import judge
from livews.analysis.percentile import percentile
from livews.analysis.timeline import Timeline
from livews.analysis.turn import Turn
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.core import events, models
from livews.core.conversation import Step
from livews.loopback import is_local_url
from livews.terminal_text import plural
from livews.trace import outcome
from livews.trace.ending import SessionClose, SessionEnding
from livews.trace.outcome import TurnOutcomes
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.view import number
from livews.trace.waiting import Stall, Waiting
from livews.usage import UsageMeter

_MAX_KINDS = 200
"""Different kinds of messages that are counted separately: a hostile file has any number of them."""
_MAX_SIZES = 5_000
_MAX_CLOSES = 10
_MAX_STALLS = 10


class _SideStats:
    """The messages and the audio of one side."""

    def __init__(self) -> None:
        self.kinds = Counter[str]()
        self.bytes = Counter[str]()
        self.seconds = 0.0
        self.chunks = 0
        self.sizes = Counter[int]()
        """Chunks of audio by their length in whole milliseconds."""
        self.audio_at: float | None = None
        """When audio came last."""
        self.largest_gap = 0.0

    def add(self, record: TraceRecord, step: Step) -> None:
        kind = step.kind if step.kind in self.kinds or len(self.kinds) < _MAX_KINDS else "other"
        self.kinds[kind] += 1
        self.bytes[kind] += record.size
        for mime_type, pcm in step.audio:
            seconds = seconds_of(len(pcm), rate_of(mime_type, step.sender))
            self.seconds += seconds
            self.chunks += 1
            _count(self.sizes, round(1000 * seconds), _MAX_SIZES)

    def messages(self) -> dict[str, Any]:
        kinds = {kind: {"count": n, "bytes": self.bytes[kind]} for kind, n in self.kinds.most_common()}
        return {"count": self.kinds.total(), "bytes": self.bytes.total(), "kinds": kinds}

    def audio(self, largest_gap: float) -> dict[str, Any]:
        row: dict[str, Any] = {"seconds": round(self.seconds, 3), "chunks": self.chunks}
        if self.sizes:
            sizes = [*self.sizes.elements()]
            row["chunkMs"] = {"min": min(sizes), **_percentiles(sizes), "max": max(sizes)}
            row["largestGap"] = round(largest_gap, 3)
        return row


class SessionStats:
    """The statistics of one session."""

    def __init__(self, session: RecordedSession) -> None:
        self._session = session
        self._timeline = Timeline()
        self._ending = SessionEnding()
        self._waiting = Waiting(session.conversation)
        self._stalls: list[Stall] = []
        self._outcomes = TurnOutcomes(session.conversation)
        self._sides = {"client": _SideStats(), "server": _SideStats()}
        self._findings = {"faults": Counter[str](), "notes": Counter[str]()}
        self._turns: list[Turn] = []
        """The replies of the model."""
        self._interrupted = 0
        self._barge_in: list[float] = []
        self._heard = Counter[str]()
        self._meter: UsageMeter | None = None
        """There is one from the setup on."""
        self._closes: list[dict[str, Any]] = []
        self._times: dict[str, float] = {}
        """When the first line, the setup and its answer came."""
        self._last = 0.0
        self._elided = False

    def run(self) -> dict[str, Any]:
        """Read the session to its end; its statistics, times in seconds."""
        for record, step in self._session:
            self.add(record, step)
        self._add_stall(self._waiting.at_end())
        return self.row()

    def add(self, record: TraceRecord, step: Step | None) -> None:
        """Take the next line of the trace."""
        t = record.t
        self._times.setdefault("first", t)
        self._last = max(self._last, t)
        if record.control == "heard":
            self._heard["replies"] += 1
            for name in ("underruns", "underrunMs", "late", "heardMs", "receivedMs"):
                self._heard[name] += int(number(record.about, name))
        self._add_stall(self._waiting.follow(record, step))
        if step is None:
            return
        close = self._ending.take(record, step)
        if close is not None and len(self._closes) < _MAX_CLOSES:
            self._closes.append(_close_row(t, close))
        if record.control != "close":
            self._add_message(record, step)
        change = self._timeline.take(t, step)
        if change.began and change.turn is not None:
            self._turns.append(change.turn)
        self._interrupted += change.interrupted
        if change.barge_in is not None:
            self._barge_in.append(change.barge_in)

    def _add_stall(self, stall: Stall | None) -> None:
        if stall is not None:
            self._findings["notes"][stall.finding.rule] += 1
            if len(self._stalls) < _MAX_STALLS:
                self._stalls.append(stall)

    def _add_message(self, record: TraceRecord, step: Step) -> None:
        side = self._sides[step.sender]
        side.add(record, step)
        if step.audio:
            self._elided = self._elided or record.elided
            if side.audio_at is not None:
                side.largest_gap = max(side.largest_gap, record.t - side.audio_at)
            side.audio_at = record.t
        for finding in (*step.findings, *self._outcomes.take(step, elided=record.elided)):
            self._findings["notes" if finding.level == "note" else "faults"][finding.rule] += 1
        for signal in ("setup", "setupComplete"):
            if signal in step.signals:
                self._times.setdefault(signal, record.t)
        if step.sender == "client":
            if self._meter is None and self._session.conversation.setup:
                self._meter = UsageMeter(self._session.conversation.profile, free=is_local_url(self._session.url))
            if self._meter is not None:
                self._meter.sent(step)
        elif self._meter is not None:
            for event in events.events(step):
                self._meter.take(event)

    def row(self) -> dict[str, Any]:
        """The statistics so far, as JSON values."""
        session, times, turns = self._session, self._times, self._turns
        requested = [(turn.requested_at, turn) for turn in turns if turn.requested_at is not None]
        latency = {
            "firstByte": [turn.first_byte_at - at for at, turn in requested],
            "firstSound": [turn.first_sound_at - at for at, turn in requested if turn.first_sound_at is not None],
        }
        speeds = [turn.speed for turn in turns if turn.speed is not None]
        unanswered = self._timeline.unanswered_since is not None and self._last > 0
        gaps = {
            "client": self._sides["client"].largest_gap,
            "server": max((turn.largest_gap for turn in turns), default=0.0),
        }
        setup = (
            {"setup": round(times["setupComplete"] - times["setup"], 3)}
            if {"setup", "setupComplete"} <= times.keys()
            else {}
        )
        usage = (self._meter or UsageMeter(models.profile(""))).usage()
        sides = {"prompt": (usage.prompt, 0), "response": (usage.response, usage.thoughts)}
        tokens: dict[str, Any] = {
            name: {"total": sum(counts.values()), **counts, **({"thoughts": thoughts} if thoughts else {})}
            for name, (counts, thoughts) in sides.items()
            if counts
        }
        if tokens:
            tokens["total"] = sum(side["total"] for side in tokens.values())
        return {
            "session": session.number,
            **({"connection": session.connection} if session.connection > 1 else {}),
            "started": str(session.header.get("started", "")),
            "url": session.url,
            "model": session.model,
            "seconds": round(self._last - times.get("first", 0.0), 3),
            **setup,
            "messages": {name: side.messages() for name, side in self._sides.items()},
            "turns": {"user": len(requested) + unanswered, "model": len(turns), "interrupted": self._interrupted},
            "outcomes": self._outcomes.row(),
            "latency": {name: _figures(values) for name, values in latency.items() if values},
            "bargeIn": _figures(self._barge_in) if self._barge_in else None,
            "audio": {name: side.audio(gaps[name]) for name, side in self._sides.items()},
            "speed": _figures(speeds) | {"min": round(min(speeds), 3)} if speeds else None,
            "ranDry": {
                "times": sum(turn.ran_dry for turn in turns),
                "seconds": round(sum(turn.dry_seconds for turn in turns), 3),
            },
            "heard": dict(self._heard) if self._heard else None,
            "tokens": tokens,
            "usage": usage.to_dict(),
            "cost": usage.cost if usage.tokens or usage.uncounted else "",
            "stalls": [
                {"line": number, "rule": f.rule, "complaint": f.complaint, "do": f.fix}
                for number, f, _ in self._stalls
            ],
            "unanswered": self._ending.unanswered is not None,
            "closes": self._closes,
            **{name: dict(counts.most_common()) for name, counts in self._findings.items()},
            "elided": self._elided,
            "cutAt": session.cut_at,
        }


def _count(counter: Counter[Any], key: Any, most: int, times: int = 1) -> None:
    """Count a key, unless `most` others are counted already."""
    if key in counter or len(counter) < most:
        counter[key] += times


def _close_row(t: float, close: SessionClose) -> dict[str, Any]:
    row: dict[str, Any] = {"t": round(t, 3), "side": close.by, "code": close.code, "reason": close.reason}
    advice = close.advice
    about = {"id": advice.id, "meaning": advice.meaning, "do": advice.do, "retry": advice.retry}
    if close.is_fine:
        return row
    about |= {"because": close.because, "about": close.about}
    return row | about | ({"cause": close.cause.to_dict()} if close.cause else {})


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    values = sorted(values)
    return {"p50": percentile(values, 50), "p95": percentile(values, 95)}


def _figures(values: list[float]) -> dict[str, float]:
    return {**{name: round(value, 3) for name, value in _percentiles(values).items()}, "count": len(values)}


def words(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The statistics as text: (name, text) rows."""
    yield "session", f"{row['session']}  {row['started']}  {row['seconds']:,.1f} s  {row['model']}"
    if "connection" in row:
        yield "continues", f"the conversation of the session before, on connection {row['connection']}"
    for side, name in (("client", "sent"), ("server", "received")):
        messages = row["messages"][side]
        kinds = ", ".join(f"{kind} {n['count']:,} ({n['bytes']:,} B)" for kind, n in messages["kinds"].items())
        yield name, f"{plural(messages['count'], 'message')}, {messages['bytes']:,} B: {kinds}"
    yield "turns", ", ".join(f"{name} {count}" for name, count in row["turns"].items())
    if text := outcome.words(row["outcomes"]):
        yield "ended badly", text
    latencies = {
        "first byte": (row["latency"].get("firstByte"), "after the user was done"),
        "first sound": (row["latency"].get("firstSound"), "after the user was done"),
        "barge-in": (row["bargeIn"], "from speech or text to interrupted"),
    }
    for name, (figures, since) in latencies.items():
        if figures:
            yield name, f"p50 {figures['p50']:.3f} s, p95 {figures['p95']:.3f} s ({figures['count']}) {since}"
    for side, name in (("client", "audio out"), ("server", "audio in")):
        if sizes := (audio := row["audio"][side]).get("chunkMs"):
            chunks = f"{plural(audio['chunks'], 'chunk')} of {sizes['min']} to {sizes['max']} ms (p50 {sizes['p50']})"
            yield name, f"{audio['seconds']:,.1f} s in {chunks}, largest gap {audio['largestGap']:.3f} s"
    if speed := row["speed"]:
        yield "speed", f"{speed['p50']:.1f} times real time, at the slowest {speed['min']:.1f}"
    if (dry := row["ranDry"])["times"]:
        yield "ran dry", f"{plural(dry['times'], 'time')}, {dry['seconds']:.2f} s, for a player without a reserve"
    if heard := row["heard"]:
        played = f"{heard['heardMs'] / 1000:,.1f} of {heard['receivedMs'] / 1000:,.1f} s"
        yield "heard", f"{played}, {plural(heard['underruns'], 'underrun')}, {heard['underrunMs']} ms of silence"
    for name in ("prompt", "response"):
        if tokens := row["tokens"].get(name):
            by = ", ".join(f"{kind} {n:,}" for kind, n in tokens.items() if kind != "total")
            yield f"{name} tokens", f"{tokens['total']:,}" + (f": {by}" if by else "")
    if row["cost"]:
        yield "cost", row["cost"]
    for stall in row["stalls"]:
        yield "waited", f"{stall['complaint']} ({stall['rule']}). {stall['do']}"
    if row["unanswered"]:
        finding = judge.unanswered_setup()
        yield "unanswered", f"{finding}. {finding.fix}"
    for close in row["closes"]:
        reason = f' "{close["reason"]}"' if close["reason"] else ""
        advice = f": {close['about']} {close.get('cause', close)['do']}" if "about" in close else ""
        yield "closed", f"{close['code']}{reason} by the {close['side']}{advice}"
    for name in ("faults", "notes"):
        if row[name]:
            yield name, ", ".join(f"{rule} {n}" for rule, n in row[name].items())
    if row["elided"]:
        yield "elided", "audio was left out of this trace: when speech and sound began is unknown"
    if row["cutAt"]:
        yield "cut off", f"in line {row['cutAt']}: the program that wrote it was stopped"
