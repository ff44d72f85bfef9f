"""Everything livews raises.

    LivewsError                 what, where, why, and how to fix it
     ├─ BadRequest              an option, a file or an argument that cannot work; nothing was sent
     │   ├─ NoCredentials       ... no API key or token, or an invalid one
     │   └─ MissingDependency   ... an optional package is not installed
     ├─ LocalProtocolError      a message that the service would refuse; it was not sent
     ├─ RemoteProtocolError     the peer violates the protocol, or speaks another one
     │   └─ HeadRefused         ... an HTTP head that the proxy does not forward (livews.proxy.http_head)
     ├─ Unreachable             the connection failed: name, network, TLS, proxy or timeout
     ├─ Closed                  the service closed the connection; `advice` says why
     │   ├─ Refused             ... instead of setupComplete, or refused the upgrade
     │   └─ Lost                ... or the connection broke without a close frame
     ├─ TraceFailed             the trace cannot be written any more
     └─ DeviceUnavailable       a device cannot be used, or was lost
         ├─ AudioUnavailable    ... a loudspeaker or a microphone (livews.audio.portaudio)
         └─ ImageUnavailable    ... the screen or a camera (livews.media.picture)

- No exception of websockets, h11, orjson or sounddevice leaves livews.
- Every text is safe to print: credentials are hidden, and control characters of a peer are escaped, when it is made.
- `exit_code` is the exit code of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from livews.exit_codes import Exit
from livews.redactor import hide
from livews.terminal_text import escape_unsafe, one_line

if TYPE_CHECKING:
    from livews.advice.closes import Advice
    from livews.advice.suspects import Suspect
    from livews.core.rules import Finding


class LivewsError(Exception):
    """What happened, and if known where, why and how to fix it.

    Args:
        what: one line that names what failed.
        where: the option, file, URL or JSON pointer it is about.
        why: the reason.
        fix: how to fix it.
    """

    exit_code = Exit.CLOSED

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what = one_line(hide(what))
        self.where, self.why, self.fix = (escape_unsafe(hide(text)) for text in (where, why, fix))
        super().__init__(self.what)

    @property
    def cure(self) -> str:
        """Deprecated name of `fix`."""
        return self.fix

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"{name}: {text}" for name, text in self.details() if text)])

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
        problem.where = problem.where or escape_unsafe(where)
        raise


class BadRequest(LivewsError):
    """An option, a file or an argument that cannot work. Nothing was sent."""

    exit_code = Exit.USAGE


class DeviceUnavailable(LivewsError):
    """A device cannot be used, or was lost."""

    exit_code = Exit.NO_SOUND

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(what, why=why, fix=fix)


class NoCredentials(BadRequest):
    """No API key or token, or an invalid one."""

    exit_code = Exit.CREDENTIALS


class MissingDependency(BadRequest):
    """An optional package is not installed."""


class LocalProtocolError(LivewsError):
    """A message that the service would refuse; it was not sent.

    Args:
        findings: what is wrong with it, by path and rule; at least one.
        where: overrides the path of the first finding.
    """

    exit_code = Exit.USAGE

    def __init__(self, findings: list[Finding], *, where: str = "") -> None:
        self.findings = findings
        first = findings[0]
        super().__init__(
            f"not sent: {first.complaint}" + (f" ({first.rule})" if first.rule else ""),
            where=where or first.path,
            why="; ".join(finding.complaint for finding in findings[1:]),
            fix=first.fix,
        )


class RemoteProtocolError(LivewsError):
    """The peer violates the protocol, or speaks another one."""


class Unreachable(LivewsError):
    """The connection failed: name, network, TLS, proxy or timeout."""

    exit_code = Exit.UNREACHABLE


class Closed(LivewsError):
    """The service closed the connection.

    Args:
        advice: close code, reason, what it means and what to do.
        where: the URL without credentials.
        during: when it happened, as in "in the middle of a turn".
        announced: seconds since the service had announced it with goAway; None if it had not.

    `cause` is the finding about an earlier message that led to it, None if none did.
    """

    verb = "closed:"

    def __init__(self, advice: Advice, *, where: str = "", during: str = "", announced: float | None = None) -> None:
        self.advice = advice
        self.code = advice.code
        self.reason = advice.reason
        self.during = during
        self.announced = announced
        self.cause: Suspect | None = None
        close = f'{advice.code} "{advice.reason}"' if advice.reason else f"{advice.code}, no reason given"
        close = close if advice.code else advice.reason
        close = f"{close} {during}".strip()
        close += "" if announced is None else f", as announced {announced:.0f} s before"
        what, why = f"{self.verb} {close}", f"{advice.meaning} {advice.cause}".strip()
        super().__init__(what, where=where, why=why, fix=advice.do)
        # what a code of an application means is for that application to say
        self.exit_code = Exit.CLOSED if advice.code >= 3000 else _EXITS.get(advice.kind, Exit.CLOSED)

    def blame(self, cause: Suspect, redact: Callable[[str], str]) -> None:
        """Name the finding that is the cause ahead of what is known of such a close."""
        self.cause = cause
        because = str(cause)
        self.why = escape_unsafe(hide(redact(f"{because[0].upper()}{because[1:]}. {self.advice.meaning}")))
        self.fix = escape_unsafe(hide(redact(cause.finding.fix)))


class Refused(Closed):
    """The service closed instead of sending setupComplete, or refused the upgrade.

    `body` is what the server wrote in its HTTP answer, "" if nothing.
    """

    verb = "refused:"
    body = ""


class Lost(Closed):
    """The connection broke without a close frame."""

    verb = "lost:"


class TraceFailed(LivewsError):
    """The trace cannot be written any more."""

    exit_code = Exit.USAGE


# any other kind is Exit.CLOSED, also a normal close in the middle of a turn
_EXITS = {"credentials": Exit.CREDENTIALS, "quota": Exit.CREDENTIALS, "network": Exit.UNREACHABLE}
