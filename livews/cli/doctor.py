"""`livews doctor`: check what a conversation needs, in that order, one line a check.

- A failed step of the network makes those that need it "skip": one cause, one failure.
- What is optional never fails. The exit code is that of the first failure, 0 if there is none.
- No credential is shown: every text is redacted.
- Nothing is paid for: a turn is taken only with --turn.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import unquote

from livews import client, endpoint, google_credentials
from livews.audio.analysis.pcm import seconds_of
from livews.cli import doctor_checks as checks
from livews.cli import network
from livews.cli.console import Console
from livews.cli.doctor_checks import CheckResult, failed, since
from livews.core import events as e
from livews.core import models
from livews.endpoint import Settings
from livews.errors import LivewsError, NoCredentials, Unreachable
from livews.exit_codes import Exit
from livews.redactor import Redactor, query_credentials
from livews.terminal_text import escape_unsafe, one_line, paragraph

TURN = "Answer with the one word: ready."


def run(options: argparse.Namespace, console: Console) -> int:
    return asyncio.run(_Doctor(options, console).run())


class _Doctor:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._env = env = console.environment.variables
        self._secrets = [env.get(name, "").strip() for name in (*checks.KEYS, *checks.TOKENS)] + [options.token]
        for url in (options.url, *(value for name, value in env.items() if name.upper() in checks.MAY_HOLD_SECRETS)):
            self._secrets += _secrets_of(url)
        self._redactor = Redactor(*self._secrets)
        self._rows: list[CheckResult] = []

    async def run(self) -> int:
        self._report(checks.python_and_packages())
        async with contextlib.AsyncExitStack() as stack:
            settings = await self._credentials(stack)
            self._report(checks.environment(self._env))
            await self._network(settings)
        if not self._options.mute:
            await self._check("sound out", checks.sound_out())
            await self._check("sound in", checks.sound_in())
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
        if console.as_json:
            line: dict[str, Any] = {"check": row.name, "verdict": row.verdict, "text": text}
            line |= {"do": fix} if fix else {}
            line |= {"ms": round(row.ms, 1)} if row.ms is not None else {}
            console.row(line, "")
            return
        style = {"ok": "recv", "warn": "warn", "fail": "error", "skip": "dim"}[row.verdict]
        took = f"{row.ms:.0f} ms" if row.ms is not None else ""
        verdict = console.paint_result(style, f"{row.verdict:<4}")
        console.write(f"{verdict}  {row.name:<9} {took:>8}  {escape_unsafe(text)}\n")
        if fix:
            console.say(paragraph("do", fix))

    async def _check(self, name: str, check: Awaitable[CheckResult]) -> None:
        """Report the row of a check, or its failure."""
        self._console.status(f"{name} …")
        try:
            self._report(await check)
        except LivewsError as problem:
            self._report(failed(name, problem))

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
        return settings if row.verdict != "fail" else None

    async def _network(self, settings: Settings | None) -> None:
        """Bearer, where, DNS, TCP, TLS, upgrade, setup, ping, turn: what follows a failure is skipped."""
        left = ["dns", "tcp", "tls", "upgrade", "setup", "ping", *(["turn"] if self._options.turn else [])]
        if settings is not None:
            left = [*(["bearer"] if settings.needs_bearer else []), "where", *left]
            start = time.monotonic()
            try:
                async for row in self._steps(settings):
                    self._report(row)
                    left.remove(row.name)
                    self._console.status(f"{left[0]} …" if left else "")
                    start = time.monotonic()
            except LivewsError as problem:
                name = left.pop(0)
                took = None if name == "setup" else since(start)  # it has failed before the row "upgrade" is made
                self._report(failed(name, problem, took))
        for name in left:
            self._report(CheckResult(name, "skip", "not reached"))

    async def _steps(self, settings: Settings) -> AsyncIterator[CheckResult]:
        """The rows of the steps that succeed; raises the LivewsError of the first that fails."""
        timeout = self._options.timeout
        if settings.needs_bearer:
            start = time.monotonic()
            try:
                async with asyncio.timeout(timeout):
                    settings = await google_credentials.with_bearer(settings)
            except TimeoutError:
                raise NoCredentials(f"no answer within {timeout:g} s", fix="try again; it may hang") from None
            self._redactor = Redactor(*self._secrets, settings.token)
            yield CheckResult("bearer", "ok", "google-auth gave a token", ms=since(start))
        place = endpoint.resolve(settings, self._options.model or models.default_model())
        yield CheckResult("where", "ok", f"{place.shown}, {place.model}")
        async for row in checks.reach(place.url, timeout):
            yield row
        times = _Times()
        try:
            session = await client.connect(
                self._options.model,
                settings=settings,
                recorders=(lambda where: times,),
                open_timeout=timeout,
                setup_timeout=timeout,
            )
        except LivewsError:
            if times.sent is not None:
                yield CheckResult("upgrade", "ok", "101 Switching Protocols", ms=1000 * times.sent)
            raise
        try:
            assert times.sent is not None
            assert times.received is not None
            yield CheckResult("upgrade", "ok", "101 Switching Protocols, TCP and TLS included", ms=1000 * times.sent)
            yield CheckResult("setup", "ok", "setupComplete", ms=1000 * (times.received - times.sent))
            yield await _ping(session, timeout)
            if self._options.turn:
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
        raise Unreachable(f"no pong within {timeout:g} s", fix=fix) from None


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
        raise LivewsError(f"not complete within {timeout:g} s", fix="try again, or another --model") from None
    answer = f'"{one_line(words.strip(), 40)}"' if words.strip() else "no words"
    return CheckResult("turn", "ok" if first is not None else "warn", f"{answer}, {seconds:.1f} s of audio", ms=first)


def _secrets_of(url: str) -> list[str]:
    """User, password and secret query values of a URL, also of one without a scheme."""
    before, at, _ = url.rpartition("@")
    user = before.rpartition("/")[2]
    secrets = [user, user.partition(":")[2]] if at else []
    secrets += query_credentials(url.partition("?")[2])
    return [form for secret in secrets for form in {secret, unquote(secret)}]
