"""State that all sessions of one stand-in share; what a client asks for, and who may open a session.

- A credential is checked as the service does it: not at the upgrade but after setup, by a close (CLOSE-3, AUTH-1).
"""

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qs

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from livews import endpoint_paths
from livews.core import close_rows
from livews.listening import PageAccess
from livews.recorder import Clock
from livews.server.config import StandInConfig
from livews.server.speech import SpeechSynthesizer
from livews.server.store import SessionStore

_LATE_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


class LatenessHistogram:
    """How late audio chunks went out."""

    def __init__(self) -> None:
        self._chunks: Counter[int] = Counter()
        self._max = 0.0

    def add(self, seconds: float) -> None:
        """Count a chunk that went out so many seconds after it was due."""
        self._chunks[next((ms for ms in _LATE_MS if seconds * 1000 <= ms), _LATE_MS[-1])] += 1
        self._max = max(self._max, seconds)

    def to_dict(self) -> dict[str, Any]:
        """In milliseconds: upper bounds that hold for 50 and 99 % of the chunks, and the maximum."""
        total = self._chunks.total()
        within = list(accumulate(self._chunks[ms] for ms in _LATE_MS))
        result: dict[str, Any] = {"chunks": total}
        for percent in (50, 99) if total else ():
            result[f"p{percent}"] = next(
                ms for ms, count in zip(_LATE_MS, within, strict=True) if count >= percent / 100 * total
            )
        return {**result, "max": round(self._max * 1000, 1)}


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """The target of one upgrade request."""

    path: str
    surface: str
    """ "gemini" or "vertex"; "" where the model's name says it."""
    version: str
    constrained: bool
    """The method is BidiGenerateContentConstrained, which takes ephemeral tokens."""
    credential: str
    """The key or token that was sent, "" for none."""


def parse_request_target(request: Request) -> RequestTarget:
    """The target of an upgrade request. Paths that are not the service's count as the Gemini API's v1beta."""
    path, _, query = request.path.partition("?")
    path = path.replace("//", "/")  # the JavaScript SDK sends a double slash, which the service takes as one
    surface, version = endpoint_paths.parse_endpoint_path(path)
    key, authorization = (
        next(iter(request.headers.get_all(name)), "") for name in ("x-goog-api-key", "Authorization")
    )
    constrained = path.endswith("BidiGenerateContentConstrained")
    credential = credential_of(key, authorization, query)
    surface = surface or ("gemini" if not version else "")
    return RequestTarget(path, surface, version or "v1beta", constrained, credential)


def credential_of(key: str, authorization: str, query: str) -> str:
    """The credential of a request: the x-goog-api-key header, the Authorization header, or the query's key or token."""
    parameters = parse_qs(query)
    bearer = authorization.removeprefix("Bearer ").removeprefix("Token ")
    return key or bearer or (parameters.get("key") or parameters.get("access_token") or [""])[0]


class ServerContext:
    """The shared state of one stand-in.

    `config`: its settings; ValueError when the voice they name is not there. `host`: the address it listens on.
    """

    def __init__(self, config: StandInConfig, host: str) -> None:
        self.config = config
        self.access = PageAccess("stand-in", host, config.origins)
        self.url = ""
        self.clock = Clock()
        self.store = SessionStore(self.clock, scale=config.time_scale, seed=config.seed)
        self.speech = SpeechSynthesizer(config.voice, log=config.log)
        self.lateness = LatenessHistogram()
        self.connections: set[ServerConnection] = set()
        """Everything that is connected, also clients that never sent a request."""
        self.set_up: Counter[str] = Counter()
        """Open sessions that are set up, by credential."""

    def check_credential(self, target: RequestTarget, *, resumes: bool) -> tuple[int, str] | None:
        """The close a credential earns, or None. A token made here costs a use, unless a session is resumed (AUTH-2)."""
        credential, required = target.credential, self.config.require_key
        if token := self.store.token(credential):
            if not target.constrained:
                return close_rows.frame_for("no-credentials")
            refusal = self.store.spend(token, counts=not resumes)
            return close_rows.frame_for(refusal) if refusal else None
        if not required or credential == required:
            return None
        return close_rows.frame_for("key-not-valid" if credential else "no-credentials")
