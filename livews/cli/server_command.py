"""The scaffold of the commands that listen: serve, proxy and inspect.

- The first line of stdout is the URL; everything else is on stderr.
- A signal of `livews.cli.signals` stops the command, which is no failure; a further signal changes nothing.
- As many files may be open as the system allows; when none is left, that is reported once (`livews.listening`).
- With --tls the certificate of the authority is a file while the command runs; one named with --ca stays.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import re
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from livews.cli import signals
from livews.cli.console import Console
from livews.errors import BadRequest, Unreachable
from livews.listening import raise_descriptor_limit, report_descriptors_once
from livews.loopback import is_loopback

T = TypeVar("T")


@contextlib.asynccontextmanager
async def server_run(options: argparse.Namespace, console: Console, name: str) -> AsyncIterator[ServerRun]:
    """One run of a command that listens. At the end of the block it waits until a signal, `stop` or `fail` stops it;
    then it raises the failure, if there was one."""
    raise_descriptor_limit()
    report_descriptors_once(console.warn)
    run = ServerRun(options, console, name)
    async with run.stack:
        run.stack.enter_context(signals.stop_at_signals(run.stop))
        yield run
        await run.stop.wait()
    if run.failure is not None:
        raise run.failure


class ServerRun:
    """Listens on --host; `name` is what the certificate authority of --tls calls the server."""

    def __init__(self, options: argparse.Namespace, console: Console, name: str) -> None:
        self.options = options
        self.console = console
        self.stop = asyncio.Event()
        self.stack = AsyncExitStack()
        """Ends what was started, when the run is stopped."""
        self.failure: BaseException | None = None
        self.ca: Path | None = None
        """The certificate of the authority, with --tls."""
        self._name = name

    def fail(self, problem: BaseException) -> None:
        """Stop, and raise `problem` then."""
        self.failure = self.failure or problem
        self.stop.set()

    async def listen(self, server: AbstractAsyncContextManager[T], port: int, flag: str = "--port") -> T:
        """Start a server on `port`, which was given with `flag`. Unreachable when that fails."""
        try:
            return await self.stack.enter_async_context(server)
        except OSError as problem:
            taken = problem.errno in (errno.EADDRINUSE, errno.EACCES)
            fix = f"{flag} 0 picks a free port" if taken else "--host names an address of this machine"
            why = problem.strerror or str(problem)
            raise Unreachable(f"cannot listen on {self.options.host}:{port}", why=why, fix=fix) from None

    def tls(self) -> ssl.SSLContext | None:
        """The TLS of the server, None without --tls. BadRequest."""
        options = self.options
        if not options.tls:
            return None
        from livews.server import certificate

        folder = "" if options.ca else self.stack.enter_context(tempfile.TemporaryDirectory(prefix="livews-"))
        self.ca = Path(options.ca) if options.ca else Path(folder) / "ca.pem"
        try:
            return certificate.context(self.ca, options.host, self._name)
        except OSError as problem:
            fix = "name a file in a folder that exists"
            raise BadRequest(f"cannot write {self.ca}: {problem.strerror}", where="--ca", fix=fix) from None

    def say_how_to_trust(self, url: str) -> None:
        """With --tls, say how clients dial the wss:// `url` and trust it."""
        if self.ca is None:
            return
        https = re.sub(r"^wss://(127\.0\.0\.1|\[::1\])", "https://localhost", url)
        self.console.note(f"certificate authority, valid while this command runs: {self.ca}")
        self.console.note(f"  google-genai (Python)    GOOGLE_GEMINI_BASE_URL={https} SSL_CERT_FILE={self.ca}")
        self.console.note(f"  @google/genai (Node)     GOOGLE_GEMINI_BASE_URL={https} NODE_EXTRA_CA_CERTS={self.ca}")
        self.console.note(f"  livews                   SSL_CERT_FILE={self.ca} livews --url {url}")


def who_can_connect(host: str) -> str:
    """Who can use a server that listens on `host`; "" if that is only this machine."""
    if is_loopback(host):
        return ""
    return f"everyone who reaches {'this machine' if host in ('', '0.0.0.0', '::') else host}"


# Traces


class SessionFiles:
    """The files of --trace. A path that is a folder, or ends in a slash, is a folder.

    - In a folder each session has a file of its own, numbered after those that are there already.
    - One file holds sessions one after the other; a session that runs at the same time gets a file beside it.
    """

    def __init__(self, path: str, *, folder: bool = False) -> None:
        self._path = Path(path)
        self._is_folder = folder or self._path.is_dir() or path.endswith(("/", os.sep))
        self._open: set[Path] = set()
        matches = [re.fullmatch(r"session-(\d+)\.jsonl", file.name) for file in self._path.glob("session-*.jsonl")]
        self._before = max((int(match[1]) for match in matches if match), default=0)

    @property
    def first(self) -> Path:
        """The file of the first session."""
        return self._in_folder(1) if self._is_folder else self._path

    def take(self, number: int) -> Path:
        """The file of session `number`, which is in use until `free`."""
        if self._is_folder:
            return self._in_folder(number)
        path, n = self._path, 1
        while path in self._open:
            n += 1
            path = self._path.with_name(f"{self._path.stem}-{n}{self._path.suffix}")
        self._open.add(path)
        return path

    def free(self, path: Path) -> None:
        self._open.discard(path)

    def is_beside(self, path: Path) -> bool:
        """Whether `path` is another file than the one that was named."""
        return not self._is_folder and path != self._path

    def _in_folder(self, number: int) -> Path:
        return self._path / f"session-{self._before + number}.jsonl"
