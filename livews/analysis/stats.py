"""Statistics of a recorded session: messages, turns, latencies, audio, tokens, closes.

- Latencies count from when the user was done (analysis/timeline.py). What never happened has no figure.
- Figures are p50 and p95 by nearest rank, so each is a value that was measured.
- One line at a time: what grows with a session is a number or two per reply; sizes and kinds are counted.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from livews.analysis.percentile import percentile
from livews.analysis.timeline import Timeline, TurnChange
from livews.analysis.turn import Turn
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.core import events, rules
from livews.core.conversation import Step
from livews.trace.ending import SessionClose, SessionEnding
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.view import number

_MAX_KINDS = 200
"""Different kinds of messages that are counted separately: a hostile file has any number of them."""
_MAX_SIZES = 5_000
_MAX_CLOSES = 10
_MAX_MODALITIES = 50


@dataclass(slots=True)
class AudioStats:
    """The audio of one direction."""

    seconds: float = 0.0
    chunks: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    """Chunks by their length in whole milliseconds."""
    largest_gap: float = 0.0

    def add(self, seconds: float) -> None:
        self.seconds += seconds
        self.chunks += 1
        size = round(1000 * seconds)
        if size in self.sizes or len(self.sizes) < _MAX_SIZES:
            self.sizes[size] += 1

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"seconds": round(self.seconds, 3), "chunks": self.chunks}
        if self.sizes:
            sizes = [*self.sizes.elements()]
            row["chunkMs"] = {"min": min(sizes), **_percentiles(sizes), "max": max(sizes)}
            row["largestGap"] = round(self.largest_gap, 3)
        return row


@dataclass(slots=True)
class _Arrival:
    """How the audio of one reply arrives."""

    first_at: float
    first_seconds: float
    last_at: float
    seconds: float = 0.0
    plays_until: float = 0.0
    """When a player without a reserve would have played it."""


class SessionStats:
    """The statistics of one session."""

    def __init__(self, session: RecordedSession) -> None:
        self._session = session
        self._timeline = Timeline()
        self._audio = {"client": AudioStats(), "server": AudioStats()}
        self._kinds: dict[str, Counter[str]] = {"client": Counter(), "server": Counter()}
        self._bytes: dict[str, Counter[str]] = {"client": Counter(), "server": Counter()}
        self._findings: dict[str, Counter[str]] = {"faults": Counter(), "notes": Counter()}
        self._latency: dict[str, list[float]] = {"firstByte": [], "firstSound": []}
        self._barge_in: list[float] = []
        self._speed: list[float] = []
        self._heard = Counter[str]()
        self._dry: list[float] = []
        self._tokens: dict[str, Counter[str]] = {"prompt": Counter(), "response": Counter()}
        self._total_tokens = 0
        self._ending = SessionEnding()
        self._closes: list[dict[str, Any]] = []
        self._arrival: _Arrival | None = None
        self._last_sent: float | None = None
        self._user_turns = self._replies = self._interrupted = 0
        self._first: float | None = None
        self._last = 0.0
        self._elided = False
        self._ready: float | None = None
        self._setup: float | None = None

    def run(self) -> dict[str, Any]:
        """Read the session to its end; its statistics, times in seconds."""
        for record, step in self._session:
            self.add(record, step)
        return self.row()

    def add(self, record: TraceRecord, step: Step | None) -> None:
        """Take the next line of the trace."""
        t = record.t
        self._first = t if self._first is None else self._first
        self._last = max(self._last, t)
        if record.control == "heard":
            self._heard["replies"] += 1
            for name in ("underruns", "underrunMs", "late", "heardMs", "receivedMs"):
                self._heard[name] += int(number(record.about, name))
        if step is None:
            return
        close = self._ending.take(record, step)
        if close is not None:
            self._add_close(t, close)
        elif record.control != "close":
            self._count(record, step)
        self._elided = self._elided or (record.elided and bool(step.audio))
        seconds = 0.0
        for mime_type, pcm in step.audio:
            chunk = seconds_of(len(pcm), rate_of(mime_type, step.sender))
            self._audio[step.sender].add(chunk)
            seconds += chunk
        change = self._timeline.take(t, step)
        if step.sender == "client":
            if step.audio:
                self._gap("client", t, self._last_sent)
                self._last_sent = t
            if "setup" in step.signals and self._setup is None:
                self._setup = t
        else:
            if "setupComplete" in step.signals and self._ready is None:
                self._ready = t
            for event in events.events(step) if "usageMetadata" in step.signals else ():
                if isinstance(event, events.Usage):
                    self._add_usage(event)
            self._add_turn(t, step, change, seconds)

    def _add_turn(self, t: float, step: Step, change: TurnChange, seconds: float) -> None:
        turn = change.turn
        if change.began and turn is not None:
            self._replies += 1
            self._user_turns += turn.requested_at is not None
            self._add_latency("firstByte", turn, t)
        if turn is not None and step.audio and "ignoreAudio" not in step.effects:
            self._add_arrival(t, seconds)
            if change.sounded:
                self._add_latency("firstSound", turn, t)
        if change.interrupted:
            self._interrupted += 1
            if change.barge_in is not None:
                self._barge_in.append(change.barge_in)
        if change.ended:
            self._end_arrival()

    def _add_latency(self, name: str, turn: Turn, t: float) -> None:
        if turn.requested_at is not None:
            self._latency[name].append(t - turn.requested_at)

    def _gap(self, side: str, t: float, before: float | None) -> None:
        if before is not None:
            self._audio[side].largest_gap = max(self._audio[side].largest_gap, t - before)

    def _add_arrival(self, t: float, seconds: float) -> None:
        arrival = self._arrival
        if arrival is None:
            arrival = self._arrival = _Arrival(t, seconds, t)
        else:
            self._gap("server", t, arrival.last_at)
            if t > arrival.plays_until:
                self._dry.append(t - arrival.plays_until)
        arrival.plays_until = max(arrival.plays_until, t) + seconds
        arrival.last_at = t
        arrival.seconds += seconds

    def _end_arrival(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and arrival.last_at > arrival.first_at:
            # what followed the first chunk, by the time it took to come
            self._speed.append((arrival.seconds - arrival.first_seconds) / (arrival.last_at - arrival.first_at))

    def _count(self, record: TraceRecord, step: Step) -> None:
        kinds = self._kinds[step.sender]
        kind = step.kind if step.kind in kinds or len(kinds) < _MAX_KINDS else "other"
        kinds[kind] += 1
        self._bytes[step.sender][kind] += record.size
        for finding in step.findings:
            self._findings["notes" if finding.level == "note" else "faults"][finding.rule] += 1

    def _add_usage(self, usage: events.Usage) -> None:
        self._total_tokens += usage.total
        sides = (("prompt", usage.prompt, usage.prompt_by), ("response", usage.response, usage.response_by))
        for name, count, by_modality in sides:
            tokens = self._tokens[name]
            tokens["total"] += count
            for modality, part in by_modality.items():
                if modality in tokens or len(tokens) < _MAX_MODALITIES:
                    tokens[modality or "UNSPECIFIED"] += part
        if usage.thoughts:
            self._tokens["response"]["thoughts"] += usage.thoughts

    def _add_close(self, t: float, close: SessionClose) -> None:
        row: dict[str, Any] = {"t": round(t, 3), "side": close.by, "code": close.code, "reason": close.reason}
        if not close.is_fine:
            advice = close.advice
            row |= {"id": advice.id, "meaning": advice.meaning, "do": advice.do, "retry": advice.retry}
        if len(self._closes) < _MAX_CLOSES:
            self._closes.append(row)

    def row(self) -> dict[str, Any]:
        """The statistics so far, as JSON values."""
        self._end_arrival()
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
        unanswered = self._timeline.unanswered_since is not None and self._last > 0
        row["turns"] = {
            "user": self._user_turns + unanswered, "model": self._replies, "interrupted": self._interrupted
        }  # fmt: skip
        row["latency"] = {name: _row(values) for name, values in self._latency.items() if values}
        row["bargeIn"] = _row(self._barge_in) if self._barge_in else None
        row["audio"] = {side: audio.row() for side, audio in self._audio.items()}
        row["speed"] = (_row(self._speed) | {"min": round(min(self._speed), 3)}) if self._speed else None
        row["ranDry"] = {"times": len(self._dry), "seconds": round(sum(self._dry), 3)}
        row["heard"] = dict(self._heard) if self._heard else None
        row["tokens"] = {name: dict(counts) for name, counts in self._tokens.items() if counts["total"]}
        if self._total_tokens:
            row["tokens"]["total"] = self._total_tokens
        row["unanswered"] = self._ending.unanswered is not None
        row["closes"] = self._closes
        row |= {name: dict(counts.most_common()) for name, counts in self._findings.items()}
        row["elided"] = self._elided
        row["cutAt"] = session.cut_at
        return row


def _percentiles(values: list[Any]) -> dict[str, Any]:
    return {"p50": percentile(values, 50), "p95": percentile(values, 95)}


def _row(values: list[float]) -> dict[str, float]:
    return {**{name: round(value, 3) for name, value in _percentiles(values).items()}, "count": len(values)}


def words(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The statistics as text: (name, text) rows."""
    out = [("session", f"{row['session']}  {row['started']}  {row['seconds']:,.1f} s  {row['model']}")]
    for side, name in (("client", "sent"), ("server", "received")):
        messages = row["messages"][side]
        kinds = ", ".join(f"{kind} {n['count']:,} ({n['bytes']:,} B)" for kind, n in messages["kinds"].items())
        out.append((name, f"{messages['count']:,} messages, {messages['bytes']:,} B: {kinds}"))
    turns = row["turns"]
    out.append(("turns", f"user {turns['user']}, model {turns['model']}, interrupted {turns['interrupted']}"))
    for name, key in (("first byte", "firstByte"), ("first sound", "firstSound")):
        if latency := row["latency"].get(key):
            out.append((name, f"{_seconds(latency)} after the user was done"))
    if row["bargeIn"]:
        out.append(("barge-in", f"{_seconds(row['bargeIn'])} from speech or text to interrupted"))
    for side, name in (("client", "audio out"), ("server", "audio in")):
        if (audio := row["audio"][side])["chunks"]:
            sizes = audio["chunkMs"]
            out.append((name, f"{audio['seconds']:,.1f} s in {audio['chunks']:,} chunks of {sizes['min']} to "
                        f"{sizes['max']} ms (p50 {sizes['p50']}), largest gap {audio['largestGap']:.3f} s"))  # fmt: skip
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
        if tokens := row["tokens"].get(name):
            by = ", ".join(f"{kind} {n:,}" for kind, n in tokens.items() if kind != "total")
            out.append((f"{name} tokens", f"{tokens['total']:,}" + (f": {by}" if by else "")))
    if row["unanswered"]:
        finding = rules.unanswered_setup()
        out.append(("unanswered", f"{finding}. {finding.fix}"))
    for close in row["closes"]:
        reason = f' "{close["reason"]}"' if close["reason"] else ""
        advice = f": {close['meaning']} {close['do']}" if "do" in close else ""
        out.append(("closed", f"{close['code']}{reason} by the {close['side']}{advice}"))
    for name in ("faults", "notes"):
        if row[name]:
            out.append((name, ", ".join(f"{rule} {n}" for rule, n in row[name].items())))
    if row["elided"]:
        out.append(("elided", "audio was left out of this trace: when speech and sound began is unknown"))
    if row["cutAt"]:
        out.append(("cut off", f"in line {row['cutAt']}: the program that wrote it was stopped"))
    return out


def _seconds(row: dict[str, float]) -> str:
    return f"p50 {row['p50']:.3f} s, p95 {row['p95']:.3f} s ({row['count']})"
