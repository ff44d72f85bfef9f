"""The conversation that livews follows: the core's, with advice in its findings and a fast path for audio.

- What it says of a frame beside the advice is what the core says: states, signals, effects, and the rules that are broken.
- An audio frame like one before is not parsed again (`livews.fastpath`).
- A client's message that changed nothing, come again before anything has changed, is not judged again.
"""

from typing import Any

from livews import fastpath
from livews.advice import judge
from livews.advice.input_format import is_plain
from livews.core.conversation import CoreConversation, Step
from livews.core.findings import ApiTarget
from livews.core.schema import Sender

_MOST_KEPT, _LONGEST_KEPT = 16, 4_096
"""Messages that changed nothing and whose steps are kept, and the bytes of one at most."""


class Conversation(CoreConversation):
    """Both directions of one connection.

    Args:
        surface: "gemini" or "vertex"; "" for the one that the model's name is for. Members that a known surface does not
            take are findings.
        version: the API version, such as "v1beta"; "" if it is not known.
        as_of: a day or month such as "2026-03", to judge by what the models refused then; "" is the revision of protocol/.
        inspect: deprecated and without effect.
    """

    _read = staticmethod(judge.read_with_remarks)
    _judge = staticmethod(judge.findings)
    _unreadable = staticmethod(judge.unreadable)

    def __init__(self, *, inspect: bool = False, surface: str = "", version: str = "", as_of: str = "") -> None:
        self._templates: dict[Sender, list[fastpath.Template]] = {"client": [], "server": []}
        self._kept: dict[bytes, tuple[tuple[Any, ...], Step]] = {}
        """Messages of the client that changed nothing: what they were judged by, and their step."""
        super().__init__(surface=surface, version=version, as_of=as_of)

    @property
    def inspect(self) -> bool:
        """Deprecated: every frame is judged by every rule."""
        return True

    @property
    def place(self) -> ApiTarget:
        """Deprecated name of `target`."""
        return self.target

    def step(self, sender: Sender, raw: bytes | str, *, composed: bool = False) -> Step:
        """Take one frame.

        Args:
            sender: who sent it, "client" or "server".
            raw: the payload of the frame: bytes, or the str of a text frame.
            composed: whether livews made it from plain strings and bytes, so that it fits the schemas.
        """
        if isinstance(raw, str):
            raw = raw.encode(errors="surrogatepass")
        before = self._state
        for template in self._templates[sender]:
            known = template.meaning.get(before)
            if known and (pcm := template.pcm(raw)) is not None and (sender == "server" or is_plain(pcm)):
                kind, signals, effects, self._state = known
                return Step(
                    sender, kind, raw, signals, effects, self._state, ((template.mime_type, pcm),),
                    self._interrupted, (), None, template,
                )  # fmt: skip
        if sender == "client" and not composed and len(raw) <= _LONGEST_KEPT:
            return self._take_or_keep(raw, before)
        return self._take_and_learn(sender, raw, composed, before)

    def _take_and_learn(self, sender: Sender, raw: bytes, composed: bool, before: tuple[str, ...]) -> Step:
        step = self._take(sender, raw, composed)
        if len(step.audio) == 1:
            fastpath.learn(self._templates[sender], step, before)
        return step

    def _take_or_keep(self, raw: bytes, before: tuple[str, ...]) -> Step:
        judged_by = self._judged_by()
        known, step = self._kept.get(raw, ((), None))
        if step is not None and known == judged_by:
            return _copy(step)
        step = self._take_and_learn("client", raw, False, before)
        if not step.effects and self._judged_by() == judged_by:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[raw] = judged_by, _copy(step)
        return step

    def _judged_by(self) -> tuple[Any, ...]:
        """What the next message of the client is judged by: it stays as it is until another message changes it."""
        return (
            self._state, self.target, self.setup, self.pending, self.answered, self.input_rate, self._behaviors,
            frozenset(self._holding), self._interrupted, self.turns, len(self._remarks),
        )  # fmt: skip

    def resume(self, previous: "Conversation") -> None:
        """Take over, after setupComplete, what a resumed session has from its connection before: open calls, and that the
        turn waits for them."""
        self.pending, self._holding = dict(previous.pending), set(previous._holding)
        if self.pending:
            regions = zip(self._machine.regions, self._state, strict=True)
            self._state = tuple("waitingForTool" if region == "turn" else state for region, state in regions)

    def _read_traits(self) -> None:
        super()._read_traits()
        for templates in self._templates.values():
            templates.clear()


def _copy(step: Step) -> Step:
    """The same step once more; findings of a stream may be added to one of the two."""
    return Step(
        step.sender, step.kind, step.raw, step.signals, step.effects, step.state, step.audio, step.interrupted,
        step.judgement, step.parsed, step.template, step.as_sent, step.undecodable,
    )  # fmt: skip
