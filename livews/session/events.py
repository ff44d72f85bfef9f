"""Events of a session itself, made of no frame: its connections, and what its application did not read."""

from dataclasses import dataclass

from livews.core.events import Event


@dataclass(slots=True)
class Reconnecting(Event):
    """The connection has ended or is being given up, and the session goes on on another.

    `reason` says why in a sentence, `row` is the id of the row of protocol/reconnect.json that decided, `attempt`
    counts its tries, and `delay` has the seconds until the next connection is opened. `planned`: the old connection
    still worked. `waiting`: it is opened when there is something to send.
    """

    reason: str
    attempt: int
    delay: float
    row: str
    planned: bool
    waiting: bool


@dataclass(slots=True)
class Resumed(Event):
    """The session goes on on a new connection.

    `lost_ms` of the user's audio were dropped meanwhile; `resent` messages were sent again; `seconds` passed without a
    connection. `fresh`: the service does not know the session any more, and got the history as far as it is known.
    """

    lost_ms: int
    resent: int
    seconds: float
    fresh: bool


@dataclass(slots=True)
class SessionLimit(Event):
    """The service ends the session in about `seconds`, over all of its connections: without contextWindowCompression it
    lasts `limit` seconds, which are fewer `with_pictures`. It comes a minute before."""

    seconds: float
    limit: float
    with_pictures: bool


@dataclass(slots=True)
class SessionLost(Event):
    """The session is over, since it was not possible to go on on another connection; the error follows."""

    why: str


@dataclass(slots=True)
class Dropped(Event):
    """The application did not read: so many `events` were dropped here, with so many `seconds` of the model's audio."""

    seconds: float
    events: int
