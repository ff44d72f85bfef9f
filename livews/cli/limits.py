"""`--max-minutes` and `--max-usd`: end a conversation cleanly, and say so.

- No new turn begins once a limit is reached, or in the last seconds before the time is up.
- Then the conversation ends at the first idle moment; when the time is up, whatever is running.
- What a turn costs is known at its end, so the last turn may exceed `--max-usd`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from livews.cli.console import Console
from livews.core import models
from livews.errors import BadRequest
from livews.session.events import SessionLimit

if TYPE_CHECKING:
    from livews.session.session import Session

_LAST = 15.0
"""Seconds at most in which an idle moment is waited for."""
_PART = 0.1
"""The same, as a part of the whole time."""
_LOOK = 0.1
"""Seconds between two looks."""


class ConversationLimits:
    """The limits of one conversation.

    Attributes:
        reached: what ended it, in a sentence; "" before.
        option: the name of that limit.
    """

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self.reached = self.option = ""
        self._console = console
        self._seconds = options.max_minutes and options.max_minutes * 60
        self._usd = options.max_usd
        self._ends_at = float("inf") if self._seconds is None else float(self._seconds)
        """When it ends at the latest, on the clock of the session."""
        self._is_spent = self._is_warned = False
        self._session: Session | None = None

    def check(self, model: str, surface: str) -> None:
        """Fail before anything is dialled if a limit cannot be kept.

        Args:
            model: the model that is asked for, "" for the default.
            surface: "gemini" or "vertex".

        Raises:
            BadRequest: what the model costs is not known.
        """
        if self._usd is None:
            return
        model = models.bare_id(model or models.default_model())
        profile = models.profile(model, surface)
        if profile["price"] is None:
            raise BadRequest(
                f"--max-usd cannot be kept: no price is known for {model}",
                fix="limit the time instead, with --max-minutes, or choose a model that protocol/prices.json has a price for",
            )
        if profile["wire"]["usage"] == "early":
            self._console.warn(f"{model} does not count its spoken answers: the cost may be higher than --max-usd")

    async def admit(self) -> None:
        """Let a turn begin; never, if the conversation is about to end."""
        if self._session is not None:
            self._look_at_counts(self._session)
            if self._is_ending(self._session):
                await asyncio.Event().wait()

    async def run(self, session: Session, is_idle: Callable[[], bool]) -> None:
        """Wait until the conversation is to end.

        Args:
            session: the session.
            is_idle: whether nothing is running or playing.
        """
        if self._seconds is None and self._usd is None:
            await asyncio.Event().wait()
        self._session = session
        if self._usd is not None and session.usage.is_free:
            self._console.note(
                "livews: this server charges nothing; --max-usd counts what the service of Google would"
            )
        while not (self._is_ending(session) and (is_idle() or session.clock() >= self._ends_at)):
            if is_idle():
                self._look_at_counts(session)
            await asyncio.sleep(_LOOK)
        self.option = "--max-usd" if self._is_spent else "--max-minutes"
        limit = self._usd if self._is_spent else self._seconds / 60
        seconds = session.clock()
        length = f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} s"
        self.reached = f"ended by {self.option} {limit:g} after {length}" + ("" if is_idle() else ", in mid-reply")

    def _look_at_counts(self, session: Session) -> None:
        """Warn, once, if an answer is over that the service did not count."""
        if self._usd is not None and not self._is_warned and session.usage.uncounted:
            self._is_warned = True
            self._console.warn("the service did not count an answer: the cost may be higher than --max-usd")

    def _is_ending(self, session: Session) -> bool:
        """Whether the conversation ends at the next idle moment, and at `_ends_at` at the latest."""
        now = session.clock()
        if self._usd is not None and not self._is_spent and (session.usage.list_usd or 0.0) >= self._usd:
            self._is_spent = True
            self._ends_at = min(self._ends_at, now + _LAST)
        patience = min(_LAST, _PART * self._seconds) if self._seconds is not None else 0.0
        return self._is_spent or now >= self._ends_at - patience


def limit_words(event: SessionLimit, profile: models.Profile) -> str:
    """The warning that the service ends the session soon, and what to do."""
    kind = "with pictures" if event.with_pictures else "with sound"
    text = (
        f"the service ends a session {kind} after {event.limit / 60:g} minutes; about {event.seconds:.0f} s are left"
    )
    if any(row["at"] == "/setup/contextWindowCompression" for row in profile["refuses"]):
        return text
    return f"{text}. Start livews with --compress to talk longer"
