"""What the servers of livews share: which web pages may use them, and what happens without free file descriptors.

- A program that is no browser sends neither Origin nor Sec-Fetch-Site, and is let in.
- A server whose process has no file descriptors left accepts again as soon as some are free. Meanwhile it tries once a
  second; clients wait in the backlog of the operating system.
"""

from __future__ import annotations

import asyncio
import errno
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from livews.loopback import is_loopback
from livews.terminal_text import one_line

_BACKLOG = 1024
"""Connections that may wait to be accepted."""
ACCEPTED_AT_ONCE = _BACKLOG if sys.platform == "win32" else 1
"""The `backlog` to start a server of asyncio with, before `deepen_backlog`. asyncio accepts that many connections in one
go, and some versions (cpython issue 151615) do not stop at the first that fails: without free file descriptors each
one is reported and tried again on its own, ever more often."""
_MOST_DESCRIPTORS = 10_240
"""The limit to ask for where the hard limit itself is not allowed, as on macOS (its OPEN_MAX)."""
_ORIGIN = re.compile(r"https?://(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?")
NO_DESCRIPTORS = "no file descriptors are left, so no further connection is accepted for now"
MORE_DESCRIPTORS = "close some clients, or raise the limit before the start: ulimit -n 4096"


@dataclass(frozen=True, slots=True)
class PageAccess:
    """Which web pages may use a server.

    Attributes:
        server: what the server is, in messages.
        host: the address it listens on.
        origins: origins that may connect besides those of this machine; `*` for any.
    """

    server: str
    host: str
    origins: Sequence[str] = ()

    def refusal(self, values: Callable[[str], Sequence[str]], *, is_upgrade: bool) -> tuple[str, str] | None:
        """Why a request is refused and how to fix it; None for a request that is let in.

        Args:
            values: gives all values of a header, by its name in lower case.
            is_upgrade: it asks for a WebSocket.
        """
        origins = values("origin")
        for origin in origins:
            if not (_is_local_page(origin) or origin in self.origins or "*" in self.origins):
                shown = one_line(origin, 120)
                fix = f"if that page is yours, start the {self.server} with --allow-origin {shown}"
                return f"a web page of {shown} may not use this {self.server}", fix
        if not origins and "cross-site" in values("sec-fetch-site") and "*" not in self.origins:
            return f"a web page of another site may not use this {self.server}", ""
        # DNS rebinding: a page whose name resolves to this machine sends no Origin with a GET, but its name in Host.
        # With an upgrade browsers always send an Origin.
        host = re.sub(r":\d+$", "", ", ".join(values("host")))
        if not is_upgrade and is_loopback(self.host) and not is_loopback(host):
            return f"this {self.server} is not {one_line(host, 120)}", "dial it as 127.0.0.1 or localhost"
        return None


def _is_local_page(origin: str) -> bool:
    match = _ORIGIN.fullmatch(origin)
    return bool(match and is_loopback(match[1]))


def url_to_dial(host: str, port: int, *, tls: bool) -> str:
    """The URL of a server that listens on `host`; where that is every address, the one of loopback."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{'wss' if tls else 'ws'}://{f'[{host}]' if ':' in host else host}:{port}"


# File descriptors


def deepen_backlog(sockets: Iterable[Any]) -> None:
    """Let more clients wait than a server accepts at once. `sockets`: those of a server that was just started."""
    for listening in sockets:
        with listening.dup() as same:
            same.listen(_BACKLOG)


def raise_descriptor_limit() -> None:
    """Let this process open as many files as it may: raise the soft limit to the hard one, where there are limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _MOST_DESCRIPTORS):
        try:
            if soft != hard:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
        except (OSError, ValueError):
            continue


def is_out_of_descriptors(problem: BaseException | None) -> bool:
    """Whether this exception, or one that it was raised for, says that no file descriptors are left."""
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in (errno.EMFILE, errno.ENFILE):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def report_descriptors_once(warn: Callable[[str], None]) -> None:
    """Have the running loop report with `warn`, once, that a connection was not accepted without file descriptors."""
    loop, reported = asyncio.get_running_loop(), False

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal reported
        if not is_out_of_descriptors(context.get("exception")):
            loop.default_exception_handler(context)
        elif not reported:
            reported = True
            warn(f"{NO_DESCRIPTORS}: {MORE_DESCRIPTORS}")

    loop.set_exception_handler(handle)
