"""What the live view shows, and the texts it is made of.

- `ViewState` is plain data of the caller: the view reads it at each drawing and changes only `muted`.
- A meter has the same width at every level, so that nothing to its right moves.
- prompt_toolkit is not imported here: a command without a view does not pay for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PROMPT = "message > "
CELLS = 6
FLOOR, TOP = -60.0, 0.0
_STEPS = "▁▂▄▅▆█"
_LOUD, _CLIPPED = -12.0, -3.0


@dataclass
class ViewState:
    """Levels are dB below full scale, None without a microphone or loudspeaker; times are in seconds."""

    who: str = ""
    """you, model, listening, thinking, tool, talking; "" for nothing."""
    detail: str = ""
    """What belongs to `who`, such as the name of the tool."""
    mic_db: float | None = None
    out_db: float | None = None
    muted: bool = False
    closed: bool = False
    """Half-duplex: the microphone is closed while the loudspeaker plays."""
    you: str = ""
    """The words of the running turn that may still change."""
    model: str = ""
    first_sound: float | None = None
    """From the end of the question to the first sound of the answer, of the last turn."""
    tokens_in: dict[str, int] = field(default_factory=dict)
    """By modality (AUDIO, TEXT ...), since each has its own price."""
    tokens_out: dict[str, int] = field(default_factory=dict)
    age: float = 0.0
    closes_in: float | None = None
    """Time left after the service has announced its close (goAway)."""
    hint: str = ""
    """What the next key would do, such as `Ctrl-C again leaves`."""


def meter(db: float | None, ascii_only: bool = False) -> tuple[str, str, str]:
    """A level as (lit cells, dark cells, name of the colour); both strings together are `CELLS` wide."""
    level = FLOOR if db is None or db != db else min(max(db, FLOOR), TOP)
    lit = round((level - FLOOR) / (TOP - FLOOR) * CELLS)
    steps, dark = ("#" * CELLS, "-" * CELLS) if ascii_only else (_STEPS, "▁" * CELLS)
    style = "clipped" if level > _CLIPPED else "loud" if level > _LOUD else "level"
    return steps[:lit], dark[lit:], style


def decibels(db: float) -> str:
    """`-23 dB`, always six wide; everything softer than -96 is shown as -96."""
    return f"{round(min(max(db, -96.0), 0.0)) if db == db else -96:>3} dB"


def clock(seconds: float) -> str:
    """`3:12`, or `1:02:03`."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def tokens(counts: dict[str, int], by_modality: bool) -> str:
    """`1,200 audio + 34 text`, or in short `1,234`."""
    kinds = sorted(((n, name.lower()) for name, n in counts.items() if n), reverse=True)
    if not by_modality or not kinds:
        return f"{sum(counts.values()):,}"
    return " + ".join(f"{n:,} {name}" for n, name in kinds)
