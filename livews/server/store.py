"""What outlives a socket: conversations by their handles, ephemeral tokens, and who is connected.

- Pure but for the clock it is given: seconds on any monotonic scale.
- A handle points at the live conversation, not at a copy (RESUME-1); it belongs to one model (RESUME-3).
- Bounded: a conversation keeps its newest handles, the house its newest conversations and tokens.
- Handles are opaque and the same for the same seed, so that a run can be repeated.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from livews.core import codec
from livews.server import replies

_HANDLES = 8
"""Handles a conversation keeps; models that send one every two seconds let the older ones go."""
_CONVERSATIONS = 10_000
_TOKENS = 10_000
_URL_SAFE = str.maketrans("+/", "-_")
UNLIMITED = -1
"""Uses of a token that never runs out."""
_SETTLE_SECONDS = 1.5
"""After a drop without a close frame the service holds the session for about this long (RESUME-2)."""


@dataclass
class ResumableSession:
    """One conversation, over as many sockets as it takes."""

    model: str
    number: int
    began: float
    context: Counter[str] = field(default_factory=replies.fresh_context)
    """Tokens said so far, by modality."""
    pending: dict[str, str] = field(default_factory=dict)
    """Calls that are not answered: id to name."""
    spoken_turns: int = 0
    calls: int = 0
    saw_video: bool = False
    held: bool = True
    """A socket has it now."""
    dropped: float = float("-inf")
    """When its last socket was lost without a close frame."""
    handles: list[str] = field(default_factory=list)


@dataclass
class EphemeralToken:
    """An ephemeral token: sessions it may still open, and until when (seconds on the clock)."""

    uses: int
    until: float
    starts_until: float
    lock: Any = None
    """What it fixes of the setup (`tokens.Lock`), or None."""


class SessionStore:
    """Conversations and tokens of one stand-in. `scale` divides the service's long times."""

    def __init__(self, clock: Callable[[], float], *, scale: float = 1.0, seed: str = "") -> None:
        self.clock = clock
        self._scale = scale
        self._seed = seed
        self._count = 0
        self._begun = 0
        self._handles: dict[str, tuple[ResumableSession, float]] = {}
        self._newest: OrderedDict[int, ResumableSession] = OrderedDict()
        self._tokens: OrderedDict[str, EphemeralToken] = OrderedDict()

    def new_id(self, kind: str) -> str:
        """A UUID that nobody has had yet."""
        self._count += 1
        digits = hashlib.sha256(f"{self._seed}/{kind}/{self._count}".encode()).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    # Conversations

    def begin(self, model: str) -> ResumableSession:
        self._begun += 1
        return ResumableSession(model, self._begun, self.clock())

    def new_handle(self, conversation: ResumableSession, lives: float, *, uuid: bool = True) -> str:
        """Another handle for this conversation, good for `lives` seconds of the service's time.

        A UUID, or longer and opaque, as models differ; clients should look into neither.
        """
        handle = self.new_id("handle")
        if not uuid:
            handle = codec.encode_base64(hashlib.sha512(handle.encode()).digest()).translate(_URL_SAFE).rstrip("=")
        self._handles[handle] = (conversation, self.clock() + lives / self._scale)
        conversation.handles.append(handle)
        for old in conversation.handles[:-_HANDLES]:
            self._handles.pop(old, None)
        del conversation.handles[:-_HANDLES]
        self._newest[id(conversation)] = conversation
        self._newest.move_to_end(id(conversation))
        while len(self._newest) > _CONVERSATIONS:
            _, oldest = self._newest.popitem(last=False)
            for old in oldest.handles:
                self._handles.pop(old, None)
        return handle

    def find(self, handle: str) -> tuple[ResumableSession | None, str]:
        """The conversation of a handle, or the id of the close that refuses it."""
        if handle not in self._handles:
            return None, "session-not-found"
        conversation, until = self._handles[handle]
        now = self.clock()
        if now > until:
            return None, "invalid-session-handle"
        if conversation.held or now - conversation.dropped < _SETTLE_SECONDS / self._scale:
            return None, "internal-error"  # RESUME-2
        return conversation, ""

    def expire(self, conversation: ResumableSession) -> None:
        """Its time is over: none of its handles is good any more."""
        for handle in conversation.handles:
            self._handles[handle] = (conversation, float("-inf"))

    def release(self, conversation: ResumableSession, *, clean: bool) -> None:
        """Its socket is gone; `clean` when a close frame was seen."""
        conversation.held = False
        if not clean:
            conversation.dropped = self.clock()

    # Tokens

    def new_token(self, uses: int, lives: float, starts: float, lock: Any = None) -> str:
        """The name of a new ephemeral token; `lives` and `starts` are seconds."""
        name = f"auth_tokens/{self.new_id('token').replace('-', '')}"
        now = self.clock()
        self._tokens[name] = EphemeralToken(uses, now + lives, now + starts, lock)
        while len(self._tokens) > _TOKENS:
            self._tokens.popitem(last=False)
        return name

    def token(self, name: str) -> EphemeralToken | None:
        return self._tokens.get(name)

    def spend(self, name: str, *, counts: bool = True) -> tuple[EphemeralToken | None, str]:
        """One use of a token made here (none, when it does not count), or the id of the close that refuses it.

        (None, "") for a token that was not made here.
        """
        token = self._tokens.get(name)
        if token is None:
            return None, ""
        now = self.clock()
        if now > token.until or (counts and now > token.starts_until):
            return None, "key-expired"
        if not counts:
            return token, ""
        if token.uses == 0:
            return None, "internal-error"  # a token used up closes 1011
        if token.uses != UNLIMITED:
            token.uses -= 1
        return token, ""
