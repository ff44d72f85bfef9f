"""Everything livews raises.

    LivewsError                 what, where, why, and what to do
     ├─ BadRequest              a flag, a file or an argument that cannot work; nothing was sent
     │   └─ NoCredentials       ... no key, or one that cannot be one
     ├─ LocalProtocolError      a frame of ours that the service would refuse; it was not sent
     ├─ RemoteProtocolError     the other side does not speak this protocol
     ├─ Unreachable             no connection: name, network, TLS, proxy, time
     ├─ Closed                  the service closed the socket; `advice` says why
     │   ├─ Refused             ... instead of setupComplete
     │   └─ Lost                ... or the socket died without a close frame
     ├─ TraceFailed             the trace cannot be written any more
     ├─ AudioUnavailable        no loudspeaker or microphone, or it was lost (livews.audio.portaudio)
     └─ ImageUnavailable        no screen or camera, or it was lost (livews.media.picture)

- No exception of websockets, orjson or sounddevice leaves livews.
- Texts never hold a key or a token: what could is passed through `endpoint.Secrets` before it gets here.
- `exit_code` is what the command line leaves with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from livews.exit_codes import Exit

if TYPE_CHECKING:
    from livews.core.closes import Advice
    from livews.core.rules import Finding


class LivewsError(Exception):
    """What happened, and if known where, why and how to fix it.

    what: one line that names the thing that failed.
    where: the flag, file, URL or JSON pointer it is about.
    why: the reason.
    fix: what to do about it.
    """

    exit_code = Exit.CLOSED

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix
        super().__init__(what)

    @property
    def cure(self) -> str:
        """Deprecated name of `fix`."""
        return self.fix

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"{name}: {text}" for name, text in self.details() if text]
        return "\n".join(lines)

    def sentence(self) -> str:
        """What, why and what to do on one line, for a notice."""
        parts = (": ".join(filter(None, (self.what, self.why))), self.fix)
        return " ".join(f"{part.rstrip('.')}." for part in parts if part)

    def details(self) -> list[tuple[str, str]]:
        """The lines that follow the first, as (name, text)."""
        return [("where", self.where), ("why", self.why), ("do", self.fix)]


@contextmanager
def located(where: str) -> Iterator[None]:
    """Say of a LivewsError raised inside, unless it says so itself, which flag or file it is about."""
    try:
        yield
    except LivewsError as problem:
        problem.where = problem.where or where
        raise


class BadRequest(LivewsError):
    exit_code = Exit.USAGE


class NoCredentials(BadRequest):
    exit_code = Exit.CREDENTIALS


class LocalProtocolError(LivewsError):
    """`findings` say what is wrong with the frame, by path and rule."""

    exit_code = Exit.USAGE

    def __init__(self, findings: list[Finding], *, where: str = "") -> None:
        self.findings = findings
        first = findings[0]
        super().__init__(
            f"not sent: {first.complaint}" + (f" ({first.rule})" if first.rule else ""),
            where=where or first.path,
            why="; ".join(f.complaint for f in findings[1:]),
            fix=first.fix,
        )


class RemoteProtocolError(LivewsError):
    pass


class Unreachable(LivewsError):
    exit_code = Exit.UNREACHABLE


class Closed(LivewsError):
    """The socket closed. `code`, `reason` and `advice` tell why; `during` is the turn state it closed in."""

    def __init__(self, advice: Advice, *, where: str = "", during: str = "") -> None:
        self.advice = advice
        self.code = advice.code
        self.reason = advice.reason
        self.during = during
        said = f'{advice.code} "{advice.reason}"' if advice.reason else f"{advice.code}, no reason given"
        if not advice.code:
            said = advice.reason
        super().__init__(f"{self.verb} {said}{during and f' {during}'}", where=where, fix=advice.do)
        self.why = f"{advice.meaning} {advice.cause}".strip()
        self.exit_code = _EXITS.get(advice.kind, Exit.CLOSED)

    verb = "closed:"


class Refused(Closed):
    verb = "refused:"


class Lost(Closed):
    verb = "lost:"


class TraceFailed(LivewsError):
    exit_code = Exit.USAGE


_EXITS = {
    "credentials": Exit.CREDENTIALS,
    "quota": Exit.CREDENTIALS,
    "network": Exit.UNREACHABLE,  # any other kind, a normal close in mid-turn too, is Exit.CLOSED
}
