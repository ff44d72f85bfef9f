"""What outlives a connection: resumable sessions by their handles, and ephemeral tokens.

- Pure, except for the clock it is given: seconds on any monotonic scale.
- A handle refers to the live session, not to a copy (RESUME-1); it belongs to one model (RESUME-3).
- Bounded: a session keeps its newest handles, the store the newest handles of all sessions, and the newest tokens.
- Handles are opaque, and the same for the same seed, so that a run can be repeated.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from livews.core import codec
from livews.server.user_input import UserInput

_HANDLES = 8
"""Handles kept per session; some models send one every two seconds."""
_ALL_HANDLES = 80_000
"""Handles kept of all sessions together."""
_TOKENS = 10_000
_URL_SAFE = str.maketrans("+/", "-_")
UNLIMITED = -1
"""Uses of a token that has no limit."""
_INSTRUCTION_TOKENS = 8
"""Tokens of a prompt before the first word."""


@dataclass
class ResumableSession:
    """One session of the service, over any number of connections."""

    model: str
    number: int
    began: float
    """On the store's clock."""
    context: Counter[str] = field(default_factory=lambda: Counter(TEXT=_INSTRUCTION_TOKENS))
    """Tokens so far, by modality."""
    pending: dict[str, str] = field(default_factory=dict)
    """Calls without a response: id to name."""
    spoken_turns: int = 0
    calls: int = 0
    saw_video: bool = False
    held: bool = True
    """A connection has it now."""
    held_until: float = float("-inf")
    """The service does not know before then that its last connection is gone (RESUME-2)."""
    cut: UserInput | None = None
    """The input whose reply was cut off with the connection."""
    handles: list[str] = field(default_factory=list)


@dataclass
class EphemeralToken:
    """An ephemeral token: how many sessions it may open, until when (seconds on the store's clock), and what it fixes of
    their setup (AUTH-2)."""

    uses: int
    until: float
    starts_until: float
    setup: dict[str, Any] | None = None
    """The setup that counts, in canonical form; None if the client's does."""
    mask: Sequence[str] = ()
    """The members of `setup` that count, as paths with dots; none means all of it."""

    def applied(self, setup: dict[str, Any]) -> dict[str, Any]:
        """The setup that counts when a client sends this one. The handle of a session is always the client's."""
        if self.setup is None:
            return setup
        result = dict(setup if self.mask else self.setup)
        for path in self.mask:
            _copy(self.setup, result, path.split("."))
        if "sessionResumption" in setup:
            result["sessionResumption"] = setup["sessionResumption"]
        return result


class SessionStore:
    """Sessions and tokens of one stand-in. `scale` divides the service's long times."""

    def __init__(self, clock: Callable[[], float], *, scale: float = 1.0, seed: str = "") -> None:
        self.clock = clock
        self._scale = scale
        self._seed = seed
        self._ids = 0
        self._begun = 0
        self._handles: OrderedDict[str, tuple[ResumableSession, float]] = OrderedDict()
        self._tokens: OrderedDict[str, EphemeralToken] = OrderedDict()

    def new_id(self, kind: str) -> str:
        """A new UUID."""
        self._ids += 1
        return uuid_of(f"{self._seed}/{kind}/{self._ids}")

    # Sessions

    def begin(self, model: str) -> ResumableSession:
        """A new session."""
        self._begun += 1
        return ResumableSession(model, self._begun, self.clock())

    def new_handle(self, session: ResumableSession, seconds: float, *, uuid: bool = True) -> str:
        """Another handle of this session, valid for so many seconds of the service's time.

        A UUID, or longer and opaque: models differ, and clients should not look into either.
        """
        handle = self.new_id("handle")
        if not uuid:
            handle = codec.encode_base64(hashlib.sha512(handle.encode()).digest()).translate(_URL_SAFE).rstrip("=")
        self._handles[handle] = (session, self.clock() + seconds / self._scale)
        session.handles.append(handle)
        while len(session.handles) > _HANDLES:
            self._handles.pop(session.handles.pop(0), None)
        while len(self._handles) > _ALL_HANDLES:
            self._handles.popitem(last=False)
        return handle

    def find(self, handle: str) -> tuple[ResumableSession | None, str]:
        """The session of a handle and "", or None and the id of the close that refuses it."""
        if handle not in self._handles:
            return None, "session-not-found"
        session, until = self._handles[handle]
        now = self.clock()
        if now > until:
            return None, "invalid-session-handle"
        if session.held or now < session.held_until:
            return None, "internal-error"  # RESUME-2
        return session, ""

    def expire(self, session: ResumableSession) -> None:
        """Make all handles of a session invalid, because its time is over."""
        for handle in session.handles:
            self._handles[handle] = (session, float("-inf"))

    def release(self, session: ResumableSession, held: float) -> None:
        """Note that a session lost its connection, and that it is held for so many seconds of the service's time."""
        session.held = False
        session.held_until = self.clock() + held / self._scale

    # Tokens

    def add_token(self, token: EphemeralToken) -> str:
        """Keep a new token; its name."""
        name = f"auth_tokens/{self.new_id('token').replace('-', '')}"
        self._tokens[name] = token
        while len(self._tokens) > _TOKENS:
            self._tokens.popitem(last=False)
        return name

    def token(self, name: str) -> EphemeralToken | None:
        """The token of this name, None for any other credential."""
        return self._tokens.get(name)

    def spend(self, token: EphemeralToken, *, counts: bool = True) -> str:
        """Use a token; "" or the id of the close that refuses it. Resuming a session is a use that does not count."""
        now = self.clock()
        if now > token.until or (counts and now > token.starts_until):
            return "key-expired"
        if counts and token.uses == 0:
            return "internal-error"  # a token without uses left closes 1011
        if counts and token.uses != UNLIMITED:
            token.uses -= 1
        return ""


def uuid_of(text: str) -> str:
    """A UUID (version 4) that is the same for the same text."""
    digits = hashlib.sha256(text.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def _copy(source: Any, target: dict[str, Any], path: list[str]) -> None:
    """Copy one member from the token's setup into the client's; a member that is absent there is removed here."""
    name, *rest = path
    if not rest or not isinstance(source, dict) or not isinstance(source.get(name), dict):
        target.pop(name, None)
        if isinstance(source, dict) and name in source:
            target[name] = source[name]
        return
    inner = target.get(name)
    target[name] = dict(inner) if isinstance(inner, dict) else {}
    _copy(source[name], target[name], rest)
