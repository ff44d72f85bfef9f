"""`livews doctor`: check what a conversation needs, in that order, one line a check.

- A failed step of the network makes those that need it "skip": one cause, one failure.
- What is optional never fails. The exit code is that of the first failure, 0 if there is none.
- No credential is shown: every text is redacted.
- Nothing is paid for: a turn is taken only with --turn.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from livews import client, endpoint, google_credentials
from livews.audio.analysis.pcm import seconds_of
from livews.cli import doctor_checks as checks
from livews.cli import network
from livews.cli.console import Console
from livews.cli.doctor_checks import CheckResult, failed, since
from livews.core import events as e
from livews.core import models
from livews.endpoint import Endpoint, Settings
from livews.errors import LivewsError
from livews.exit_codes import Exit
from livews.loopback import proxy_for
from livews.redactor import Redactor
from livews.terminal_text import escape_unsafe, one_line, paragraph

T = TypeVar("T")
SOUND_WITHIN = 8.0
"""Seconds to open an audio device: some hosts ask a sound server that does not answer."""
TURN = "Answer with the one word: ready."


def run(options: argparse.Namespace, console: Console) -> int:
    return asyncio.run(_Doctor(options, console).run())


class _Doctor:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._env = env = console.environment.variables
        secrets = [env.get(name, "").strip() for name in (*checks.KEYS, *checks.TOKENS)] + [options.token]
        urls = [options.url, *(env.get(name, "") for name in checks.URLS)]
        urls += [env.get(spelling, "") for name in checks.PROXIES for spelling in (name, name.lower())]
        self._secrets = [*secrets, *(secret for url in urls for secret in _secrets_of(url))]
        self._redactor = Redactor(*self._secrets)
        self._rows: list[CheckResult] = []

    async def run(self) -> int:
        self._report(checks.python_and_packages())
        async with contextlib.AsyncExitStack() as stack:
            settings = await self._credentials(stack)
            self._report(checks.environment(self._env))
            await self._network(settings)
        if not self._options.mute:
            for name, check in (("sound out", checks.sound_out), ("sound in", checks.sound_in)):
                self._report(await self._bounded(check, SOUND_WITHIN, name))
        self._report(checks.programs())
        self._report(checks.extras())
        failures = [row for row in self._rows if row.verdict == "fail"]
        if failures:
            self._console.warn(f"failed: {', '.join(row.name for row in failures)}")
            return failures[0].exit
        self._console.note("livews: nothing failed")
        return Exit.OK

    def _report(self, row: CheckResult) -> None:
        console = self._console
        self._rows.append(row)
        text, fix = (one_line(self._redactor.redact(words)) for words in (row.text, row.fix))
        if self._options.json:
            line: dict[str, Any] = {"check": row.name, "verdict": row.verdict, "text": text}
            line |= {"do": fix} if fix else {}
            line |= {"ms": round(row.ms, 1)} if row.ms is not None else {}
            console.data(json.dumps(line, ensure_ascii=False))
            return
        style = {"ok": "recv", "warn": "warn", "fail": "error", "skip": "dim"}[row.verdict]
        took = f"{row.ms:.0f} ms" if row.ms is not None else ""
        verdict = console.paint_result(style, f"{row.verdict:<4}")
        console.write(f"{verdict}  {row.name:<9} {took:>8}  {escape_unsafe(text)}\n")
        if fix:
            console.say(paragraph("do", fix))

    async def _bounded(self, check: Callable[[], T], seconds: float, name: str) -> T | CheckResult:
        self._console.status(f"{name} …")
        return await bounded(check, seconds, name)

    async def _credentials(self, stack: contextlib.AsyncExitStack) -> Settings | None:
        """Report the row "key"; where to connect, None if that is impossible."""

        options = self._options
        settings = network.settings_of(options, self._console)
        if options.offline or not settings.has_credentials:
            row = CheckResult("key", "ok", "not checked (--offline): the built-in stand-in is checked")
            if not options.offline:
                fix = "set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey"
                row = CheckResult("key", "warn", "no key is set, so the built-in stand-in is checked instead", fix)
            self._report(row)
            return await network.built_in(stack)
        row = checks.key(self._env, settings, is_option=bool(options.token))
        self._report(row)
        if row.verdict == "fail":
            return None
        if settings.vertex and settings.project and not settings.token:
            start = time.monotonic()
            token = await self._bounded(lambda: asyncio.run(google_credentials.bearer()), options.timeout, "bearer")
            if isinstance(token, CheckResult):
                self._report(token)
                return None
            settings = replace(settings, token=token)
            self._redactor = Redactor(*self._secrets, token)
            self._report(CheckResult("bearer", "ok", "google-auth gave a token", ms=since(start)))
        return settings

    async def _network(self, settings: Settings | None) -> None:
        """DNS, TCP, TLS, upgrade, setup, ping, turn: what follows a failure is skipped."""
        left = ["dns", "tcp", "tls", "upgrade", "setup", "ping", *(["turn"] if self._options.turn else [])]
        if settings is not None:
            try:
                place = endpoint.resolve(settings, self._options.model or models.default_model())
                self._report(CheckResult("where", "ok", f"{place.shown}, {place.model}"))
                async for row in self._steps(place, settings):
                    self._report(row)
                    left.remove(row.name)
                    if row.verdict == "fail":
                        break
            except LivewsError as problem:
                self._report(failed("where", problem))
        for name in left:
            self._report(CheckResult(name, "skip", "not reached"))

    async def _steps(self, place: Endpoint, settings: Settings) -> AsyncIterator[CheckResult]:
        timeout = self._options.timeout
        parts = urlsplit(place.url)
        secure = parts.scheme == "wss"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        proxy = proxy_for(host, port, secure)
        if proxy:
            host, port = _host_and_port(proxy)
        through = " (the proxy)" if proxy else ""
        result = await self._bounded(lambda: checks.look_up(host, port, through), timeout, "dns")
        if isinstance(result, CheckResult):
            yield result
            return
        yield result[0]
        yield await self._bounded(lambda: checks.reach(result[1], port, timeout, through), timeout + 1, "tcp")
        if not secure:
            yield CheckResult("tls", "skip", "ws:// has none")
        elif proxy:
            yield CheckResult("tls", "skip", "inside the proxy's tunnel: see upgrade")
        else:
            yield await self._bounded(lambda: checks.shake_hands(host, port, timeout), 2 * timeout + 1, "tls")
        async for row in self._session(settings):
            yield row

    async def _session(self, settings: Settings) -> AsyncIterator[CheckResult]:
        timeout = self._options.timeout
        times = _Times()
        self._console.status("upgrade …")
        start = time.monotonic()
        try:
            session = await client.connect(
                self._options.model,
                settings=settings,
                recorders=(lambda where: times,),
                open_timeout=timeout,
                setup_timeout=timeout,
            )
        except LivewsError as problem:
            if times.sent is None:
                yield failed("upgrade", problem, since(start))
                return
            yield CheckResult("upgrade", "ok", "101 Switching Protocols", ms=1000 * times.sent)
            yield failed("setup", problem, 1000 * (times.received - times.sent) if times.received else None)
            return
        try:
            assert times.sent is not None
            assert times.received is not None
            yield CheckResult("upgrade", "ok", "101 Switching Protocols, TCP and TLS included", ms=1000 * times.sent)
            yield CheckResult("setup", "ok", "setupComplete", ms=1000 * (times.received - times.sent))
            self._console.status("ping …")
            yield await _ping(session, timeout)
            if self._options.turn:
                self._console.status("turn …")
                yield await _turn(session, max(timeout, 30.0))
        finally:
            await session.close()


class _Times:
    """A recorder of when the first frame was sent and received, in seconds since the start of dialling."""

    sent: float | None = None
    received: float | None = None

    def frame(self, t: float, direction: str, opcode: str, step: Any) -> None:
        if direction == "send" and self.sent is None:
            self.sent = t
        elif direction == "recv" and self.received is None:
            self.received = t

    def control(self, t: float, direction: str, kind: str, about: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


async def _ping(session: client.Session, timeout: float) -> CheckResult:
    try:
        async with asyncio.timeout(timeout):
            return CheckResult("ping", "ok", "pong", ms=1000 * await session.ping())
    except TimeoutError:
        fix = "the network or a proxy holds back WebSocket control frames"
        return CheckResult("ping", "fail", f"no pong within {timeout:g} s", fix, exit=Exit.UNREACHABLE)
    except LivewsError as problem:
        return failed("ping", problem)


async def _turn(session: client.Session, timeout: float) -> CheckResult:
    start = time.monotonic()
    first: float | None = None
    words, seconds = "", 0.0
    try:
        async with asyncio.timeout(timeout):
            await session.say(TURN)
            async for event in session.turn():
                if isinstance(event, e.Audio | e.Text | e.Transcript) and first is None:
                    first = since(start)
                match event:
                    case e.Audio():
                        seconds += seconds_of(len(event.pcm), event.rate)
                    case e.Transcript(of="model") | e.Text(thought=False):
                        words += event.text
    except TimeoutError:
        fix = "try again, or another --model"
        return CheckResult("turn", "fail", f"not complete within {timeout:g} s", fix, exit=Exit.CLOSED)
    except LivewsError as problem:
        return failed("turn", problem)
    answer = f'"{one_line(words.strip(), 40)}"' if words.strip() else "no words"
    return CheckResult("turn", "ok" if first is not None else "warn", f"{answer}, {seconds:.1f} s of audio", ms=first)


_EXITS = {"bearer": Exit.CREDENTIALS, "sound out": Exit.NO_SOUND, "sound in": Exit.NO_SOUND}
"""Exit codes of checks that hang; that of others is UNREACHABLE."""


async def bounded(check: Callable[[], T], seconds: float, name: str) -> T | CheckResult:
    """`check` in a thread that is left behind when it hangs; a row for that, and for a LivewsError."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # so that the end of the wait does not cancel it

    def work() -> None:
        try:
            future.set_result(check())
        except Exception as problem:
            future.set_exception(problem)

    threading.Thread(target=work, name=f"livews-doctor-{name}", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(future)
    except LivewsError as problem:
        return failed(name, problem)
    except TimeoutError:
        text, fix = f"no answer within {seconds:g} s", "try again; it may hang"
        return CheckResult(name, "fail", text, fix, exit=_EXITS.get(name, Exit.UNREACHABLE))


def _secrets_of(url: str) -> list[str]:
    """User, password and secret query values of a URL, also of one without a scheme."""
    before, at, _ = url.rpartition("@")
    user = before.rpartition("/")[2]
    secrets = [user, user.partition(":")[2]] if at else []
    secrets += [value for name, value in parse_qsl(url.partition("?")[2]) if "key" in name or "token" in name]
    return [form for secret in secrets for form in {secret, unquote(secret)}]


def _host_and_port(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    with contextlib.suppress(ValueError):
        if parts.port:
            return parts.hostname or "", parts.port
    default = 443 if parts.scheme == "https" else 1080 if parts.scheme.startswith("socks") else 80
    return parts.hostname or "", default
