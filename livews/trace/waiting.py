"""Explain why nothing happens: what a client has sent since the last reply, and what the session waits for.

- Pure: frames and their times go in, and the caller's clock asks. What holds, and its words, are the rows `stalls` of
  protocol/rules.json.
- A frame of audio only moves counters and is kept for some seconds; it is listened to when there is something to explain.
- Each cause is reported once until the next reply. A reply that comes is no stall, and neither is a client that idles.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from livews.advice import closes
from livews.advice.input_format import is_sound
from livews.audio.analysis.levels import FIRST_SOUND_DB, peak_db
from livews.audio.analysis.pcm import likely_rate, rate_of, seconds_of
from livews.audio.analysis.vad import turn_detector
from livews.conversation import Conversation
from livews.core import codec, machine, protocol, rules
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.trace.reader import TraceRecord

SECONDS = 5.0
"""How long nothing has to happen."""
_PAUSE = 1.0
"""Seconds between two chunks of audio from which the stream has paused."""
_KEPT_SECONDS = 4.0
"""Seconds of audio kept to look for speech and silence; more where a longer silence ends speech."""
_REPLY = frozenset(("modelTurn", "outputTranscription", "toolCall"))
_HEARD = frozenset(("inputTranscription", "interimInputTranscription", "generationComplete"))


class Stall(NamedTuple):
    """Why nothing happens; `number` is that of the last message it is about. `is_known`: a finding about a message has
    said so before."""

    number: int
    finding: Finding
    is_known: bool = False


@dataclass(slots=True)
class _Sent:
    """What the client has sent since the last reply."""

    at: float | None = None
    """When the last message came that is neither audio nor a picture."""
    contents: int = 0
    """clientContent with words of the user that asks for nothing."""
    typed: int = 0
    """clientContent that asks."""
    texts: int = 0
    prompts: int = 0
    early: bool = False
    seeded: bool = False
    pictures: int = 0
    pictured_at: float = 0.0
    """When the first picture came."""
    sound: float = 0.0
    """Seconds of audio, by the rate that it declares."""
    sounded_from: float = 0.0
    sounded_at: float | None = None
    streamed: float = 0.0
    """Seconds of the chunks that came right after another, and the time in which they came."""
    took: float = 0.0
    stream_ended: bool = False
    heard_at: float | None = None
    """When the service said that it had heard all of a speech."""
    kept: deque[tuple[bytes, int]] = field(default_factory=deque)
    """The last audio: samples and their rate."""
    kept_seconds: float = 0.0


class Waiting:
    """Follows one session. `conversation` is the one that its frames pass first."""

    def __init__(self, conversation: Conversation, *, is_timed: bool = True) -> None:
        self._conversation = conversation
        self._is_timed = is_timed
        self._sent = _Sent()
        self._state = tuple(conversation.states.values())
        self._number = 0
        self._replying = False
        self._replied = False
        """There was a reply in this session."""
        self._marked_at: float | None = None
        """When the last activityStart came."""
        self._interim: set[str] = set()
        """The open calls that are answered with willContinue."""
        self._worked_at: float | None = None
        """When a call or an answer to one came last."""
        self._first_content = True
        self._kept_limit = 0.0
        """Seconds of audio that are kept; known with the first audio."""
        self._reported: set[str] = set()
        """Rules that were reported since the last reply; those with "=" are for good."""
        self._explained: tuple[Any, ...] = ()
        """What had been sent when a cause was reported: as long as no more is, there is no other."""
        self._known: set[str] = set()
        """Rules of findings that were made."""
        self._audible = False
        """Something could be heard in the audio of the client."""
        self._until = 0.0
        self._failed = False
        """The service closed with an error, or the connection was lost."""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to explain, however long nothing happens."""
        sent = self._sent
        quiet = sent.at is None and not sent.pictures and not sent.sound and sent.heard_at is None
        return quiet and not self._conversation.pending and self._marked_at is None

    def take(self, t: float, step: Step, number: int = 0) -> None:
        """Take the next frame, which came at `t`, by its number."""
        self._until = t
        if step.judgement and (step.sender == "client" or step.kind == "close"):
            self._known.update(_cause(finding, step) for finding in step.findings)
        if step.template is not None and step.sender == "client":  # audio like a frame before, and nothing else
            self._number = number
            self._hear(t, step)
            return
        if step.kind == "close" and not step.raw:  # the end, and not a message with such a member
            self._failed = self._failed or not closes.is_fine(step.body["close"]["code"], step.sender)
            return
        self._state = step.state
        if step.sender == "client":
            if not step.faults:
                self._from_client(t, step)
                self._number = number if step.signals else self._number
        elif not _REPLY.isdisjoint(step.signals):
            self._reply_comes(t, step, number)
        elif step.signals:
            self._from_server(t, step)

    def _from_client(self, t: float, step: Step) -> None:
        sent, signals = self._sent, step.signals
        if step.audio:
            self._hear(t, step)
        sent.stream_ended = sent.stream_ended or "audioStreamEnd" in signals
        if "videoIn" in signals or ("mediaChunks" in signals and not step.audio):
            sent.pictured_at = sent.pictured_at if sent.pictures else t
            sent.pictures += 1
        if "activityStart" in signals:
            self._marked_at = t
        if "toolResponse" in signals:
            self._worked_at = t
            answers = machine.values(step.body, ("toolResponse", "functionResponses", "*"))
            self._interim |= {str(one.get("id") or one.get("name")) for one in answers if isinstance(one, dict)}
            self._interim &= self._conversation.pending.keys()
        if "clientContent" in signals:
            self._read_content(step)
        if "activityEnd" in signals:
            self._marked_at, self._sent = None, _Sent()
            sent = self._sent
        if "prompt" in signals:
            sent.prompts += 1
            sent.texts += "textIn" in signals
            sent.early = sent.early or self._conversation.state("session") == "opening"
        if signals and not {"prompt", "clientContent", "activityStart", "toolResponse"}.isdisjoint(signals):
            sent.at = t

    def _read_content(self, step: Step) -> None:
        sent, content = self._sent, step.body["clientContent"]
        turns = [turn for turn in machine.values(content, ("turns", "*")) if isinstance(turn, dict)]
        if "prompt" in step.signals:
            sent.typed += 1
            sent.seeded = self._first_content and bool(self._conversation.traits["historySeed"])
            self._first_content = False
        elif turns and turns[-1].get("role") != "model":  # a history that the model ends asks for nothing
            sent.contents += 1

    def _hear(self, t: float, step: Step) -> None:
        sent = self._sent
        for mime_type, pcm in step.audio:
            rate = rate_of(mime_type, "client")
            seconds = seconds_of(len(pcm), rate)
            if sent.sounded_at is None:
                sent.sounded_from = t
            elif t - sent.sounded_at < _PAUSE:
                sent.streamed += seconds
                sent.took += t - sent.sounded_at
            sent.sounded_at = t
            sent.sound += seconds
            sent.stream_ended = False
            sent.kept.append((pcm, rate))
            sent.kept_seconds += seconds
            self._audible = self._audible or peak_db(pcm) >= FIRST_SOUND_DB
        limit = self._kept_limit = self._kept_limit or max(
            _KEPT_SECONDS, min(self._given_silence or 0, 60_000) / 1000 + 2
        )
        while sent.kept_seconds > limit and len(sent.kept) > 1:
            pcm, rate = sent.kept.popleft()
            sent.kept_seconds -= seconds_of(len(pcm), rate)

    @property
    def _given_silence(self) -> int | None:
        """The silenceDurationMs of setup."""
        path = ("realtimeInputConfig", "automaticActivityDetection", "silenceDurationMs")
        return next((codec.whole(given) for given in machine.values(self._conversation.setup, path)), None)

    def know(self, rule: str) -> None:
        """The caller has said what this rule is about, until the next reply comes."""
        self._known.add(rule)

    def _reply_comes(self, t: float, step: Step, number: int) -> None:
        """A reply goes on, or begins and so answers what was sent."""
        if not self._replying or "toolCall" in step.signals:
            self._answered()
        self._replying = self._replied = True
        if "toolCall" in step.signals:
            self._number, self._worked_at = number, t
        if not {"endTurn", "cutTurn"}.isdisjoint(step.effects):
            self._replying = False

    def _from_server(self, t: float, step: Step) -> None:
        profile, signals = self._conversation.profile, step.signals
        if not {"endTurn", "cutTurn"}.isdisjoint(step.effects):
            if not self._replying and (self._sent.prompts or self._sent.sound):  # an empty turn is an answer
                self._answered()
            self._replying = False
        elif not profile["wire"]["speaks"]:
            if not _HEARD.isdisjoint(signals):
                self._replied = True
                self._answered()
        elif "ACTIVITY_END" in machine.values(step.body, ("voiceActivity", "type")) or (
            "inputTranscription" in signals and profile["wire"]["heard"] == "whole"
        ):
            self._sent.sound, self._sent.heard_at = 0.0, t

    def _answered(self) -> None:
        self._sent = _Sent()
        self._known.discard("ACTIVITY-6")
        self._reported = {rule for rule in self._reported if rule.startswith("=")}

    # Asked by a clock, or for a recording

    def stall(self, now: float) -> Stall | None:
        """Why nothing happens, if nothing has happened for `SECONDS`; each cause once. `now`: on the frames' clock."""
        return self._explain(now, lambda row: True)

    def follow(self, record: TraceRecord, step: Step | None, number: int | None = None) -> Stall | None:
        """Take the next record of a recording; why nothing had happened before it, where that is certain by now."""
        stall = None
        if step is None or step.sender == "client":
            stall = self._explain(record.t, lambda row: "certain" in row and "mayChange" not in row)
        self._until = max(self._until, record.t)
        self._audible = self._audible or record.elided
        if step is not None:
            self.take(record.t, step, record.number if number is None else number)
        return stall

    def at_end(self, *, plain: bool = False, one_sided: bool = False) -> Stall | None:
        """What the session still waited for when it ended, or when a recording of it ends.

        Args:
            plain: whether it is plain however short the time was, as it is in a session without any reply.
            one_sided: whether only the client's messages are known.
        """
        stall = None if one_sided else self._explain(self._until, lambda row: True)
        if stall is None and not self._failed:
            stall = self._explain(inf, lambda row: "atEnd" in row)
        if stall is None and not self._failed and (plain or not self._replied):
            stall = self._explain(inf, lambda row: "certain" in row)
        return stall

    def _explain(self, now: float, counts: Callable[[dict[str, Any]], bool]) -> Stall | None:
        if self.is_idle or not self._is_long_ago(now):
            return None
        is_opening = dict(zip(self._conversation.states, self._state, strict=True))["session"] == "opening"
        if is_opening and now < inf:
            return None  # that setupComplete is missing is another finding
        sent = self._sent
        state = (sent.at, sent.sounded_at, sent.heard_at, sent.pictures > 0, self._marked_at, self._worked_at)
        if state == self._explained:
            return None
        facts: dict[str, Any] = {}
        for row in protocol.load("rules.json")["stalls"]:
            reported = f"={row['rule']}" if "once" in row else row["rule"]
            if not counts(row) or reported in self._reported:
                continue
            facts = facts or self._facts(now)
            if all(_fits(facts[name], value) for name, value in row["if"].items()):
                self._reported.add(reported)
                self._explained = state
                words, fix = (row.get(name, "").format_map(facts) for name in ("says", "do"))
                finding = rules.finding(row["rule"], row.get("at", ""), words, level="note", fix=fix)
                return Stall(self._number, finding, row["rule"] in self._known)
        return None

    def _is_long_ago(self, now: float) -> bool:
        """Whether anything that a row is about was `SECONDS` ago: until then none can apply."""
        sent = self._sent
        times = (
            sent.at, sent.sounded_at, sent.sounded_from if sent.sounded_at is not None else None, sent.heard_at,
            sent.pictured_at if sent.pictures else None, self._marked_at, self._worked_at,
        )  # fmt: skip
        return any(at is not None and now - at >= SECONDS for at in times)

    def _facts(self, now: float) -> dict[str, Any]:
        """What the conditions and words of the rows name."""
        conversation, sent = self._conversation, self._sent
        setup, profile, traits = conversation.setup, conversation.profile, conversation.traits
        model = profile["name"] if profile["known"] else "the model"

        def for_long(at: float | None) -> bool:
            return at is not None and now - at >= SECONDS

        calls = [
            f"{name}() {'' if call_id == name else call_id}".strip()
            + (", which has an interim answer only" if call_id in self._interim else "")
            for call_id, name in conversation.pending.items()
        ]
        free = not self._replying
        asked = free and sent.prompts > 0 and for_long(sent.at)
        is_quiet = sent.sounded_at is None or for_long(sent.sounded_at)
        manual = traits["manualActivity"]
        unmarked = (
            free and manual and self._marked_at is None and not self._replied
            and sent.sound > 0 and not sent.prompts and for_long(sent.sounded_from)
        )  # fmt: skip
        listens = sent.sound > 0 and (is_quiet or unmarked or for_long(self._marked_at))
        talking, silence, needed = self._listen() if listens else (False, 0.0, 0.0)
        speaks = free and not manual and is_quiet and talking
        silent = free and sent.sound > 0 and is_quiet and not (self._audible or sent.prompts or self._replied)
        by = "as silenceDurationMs says" if self._given_silence is not None else f"as measured on {model}"
        rate = sent.kept[-1][1] if sent.kept else codec.INPUT_RATE
        actual = likely_rate(rate, sent.streamed, sent.took) if self._is_timed else None
        count = f"{sent.contents} message{'s were sent, none asks' if sent.contents > 1 else ' was sent, and does not ask'}"
        return {
            **dict(zip(conversation.states, self._state, strict=True)),
            **{name: traits[name] for name in ("clientContent", "manualActivity")},
            "audioStreamEnd": profile["wire"]["audioStreamEnd"],
            "beforeStreamEnd": f"{profile['vad']['streamEndMs'] / 1000:g} s",
            "silence": f"only {int(10 * silence + 0.1) / 10:.1f} s of silence" if silence >= 0.1 else "no silence",
            "needed": f"{needed:g} s, {by}" if profile["known"] else f"{needed:g} s",
            "enough": f"{max(1.5, needed + 0.3):.1f} s",
            "silent": silent,
            "unheard": speaks and "AUDIO-10" in self._known,
            "model": model,
            "readsText": "text" in profile["input"],
            "calls": ", ".join(calls[:5]) if for_long(self._worked_at) else "",
            "openActivity": for_long(self._marked_at) and (is_quiet or not talking),
            "speech": "open" if speaks else "",
            "streamEnded": sent.stream_ended,
            "sound": f"{sent.sound - (silence if speaks else 0.0):.1f} s" if sent.sound else "",
            "pace": f"{sent.streamed:.1f} s of audio came in {sent.took:.1f} s: the samples seem to have {actual:,} Hz, and {rate:,} is stated" if actual else "",
            "unmarked": unmarked and talking,
            "words": free and sent.typed + sent.texts > 0 and for_long(sent.at),
            "early": asked and sent.early,
            "seeded": asked and sent.seeded and sent.prompts == 1,
            "typed": asked and sent.typed == sent.prompts,
            "answered": free and for_long(self._worked_at),
            "asked": asked,
            "addressed": asked or (free and for_long(sent.heard_at)),
            "proactive": machine.values(setup, ("proactivity", "proactiveAudio")) == [True],
            "contents": count if free and sent.contents and for_long(sent.at) else "",
            "onlyPictures": free and not self._replied and sent.pictures > 0 and for_long(sent.pictured_at)
            and sent.at is None and not sent.sound and self._marked_at is None,
            "pictures": f"{sent.pictures} frame{'s' if sent.pictures > 1 else ''}",
        }  # fmt: skip

    def _listen(self) -> tuple[bool, float, float]:
        """Whether the audio that came last is speech which no silence has ended; the seconds of silence after it, and how
        many end it."""
        detector = turn_detector(self._conversation.setup, self._conversation.profile["vad"])
        for pcm, rate in self._sent.kept:
            detector.push(pcm, rate)
        return detector.talking, detector.offset - (detector.ended_at or 0.0), detector.silence_ms / 1000


def _cause(finding: Finding, step: Step) -> str:
    """The rule of the row that says the same as a finding about a message; "" for none."""
    if finding.rule == "AUDIO-7" and not all(is_sound(*audio) for audio in step.audio):
        return "AUDIO-10"
    return finding.rule if finding.rule in ("AUDIO-10", "AUDIO-11", "AUDIO-12") else ""


def _fits(fact: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return bool(fact) is wanted
    return fact in wanted if isinstance(wanted, list) else bool(fact == wanted)
