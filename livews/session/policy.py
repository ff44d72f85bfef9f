"""What a caller may decide about connecting again: `ReconnectPolicy`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from livews.errors import BadRequest, LivewsError
from livews.session.decisions import Reconnects


@dataclass(frozen=True, kw_only=True)
class ReconnectPolicy:
    """How a session goes on when its connection ends. The situations are rows of protocol/reconnect.json.

    Attributes:
        tries: tries to get a connection back, until the session is lost.
        give_up_after: seconds of trying, until the session is lost.
        first_delay: seconds of the first pause that is drawn; it doubles with each try.
        longest_delay: seconds that such a pause has at most.
        sockets_a_minute: connections that may be opened within a minute.
        fresh: go on without the handle, with the history that is known, where the service does not resume. False: the
            session is lost then.
        resend: send again what the service may not have received, or has not answered.
        audio_seconds: seconds of the user's audio that are kept while there is no connection, and to be sent again;
            of more the newest count.
        hand_over: go on on a new connection before the service closes the old one.
        transparent: ask Vertex AI for the index of the last message it took (sessionResumption.transparent).
        on_close: called with the error of each connection that has ended; the exception it returns ends the session,
            None leaves it to the policy.
        time_scale: all times are divided by it, for tests against a stand-in with the same --time-scale.

    Raises:
        BadRequest: a number is negative, or not a number.
    """

    tries: int = 6
    give_up_after: float = 60.0
    first_delay: float = 0.5
    longest_delay: float = 15.0
    sockets_a_minute: int = 12
    fresh: bool = True
    resend: bool = True
    audio_seconds: float = 30.0
    hand_over: bool = True
    transparent: bool = False
    on_close: Callable[[LivewsError], Exception | None] | None = None
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, (int, float)) and value == value
            if field.type in ("int", "float") and (not is_number or value < 0):
                raise BadRequest(f"{field.name} of the reconnect policy is {value!r}", fix="give a number from 0 on")
        if not (self.time_scale and self.sockets_a_minute):
            raise BadRequest("time_scale and sockets_a_minute are at least 1", fix="leave them out")

    def reconnects(self) -> Reconnects:
        """The counter of tries for a session."""
        return Reconnects(
            limits={"sockets": self.sockets_a_minute},
            back_off={"first": self.first_delay, "cap": self.longest_delay},
            tries=self.tries,
            within=self.give_up_after,
        )
