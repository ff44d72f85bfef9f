"""The lines of the live view: what is being said, the status line and the keys, laid out for a terminal.

- A row is one line, a list of (style, text) as prompt_toolkit has them.
- Every text passes `escape_unsafe`, and no more of it is laid out than can be seen.
- A meter has the same width at every level, so that nothing to its right moves.
"""

from dataclasses import dataclass, field

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_width
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

from livews.redactor import hide
from livews.terminal_text import escape_unsafe, one_line

Row = list[tuple[str, str]]

LABEL = 7
"""Columns of the labels `you` and `model`."""
MAX_RUNNING = 10
"""Lines of what is being said."""
MAX_STACKED = 8
"""Marks on one character: more of them grow over the lines above."""
CELLS = 6
"""Columns of a meter."""
FLOOR, LOUD, CLIPPED = -60.0, -12.0, -3.0
"""Levels in dB below full scale: the softest that a meter shows, and where its colour changes."""
_SHORTER = ("tokens", "first", "mic", "out", "tokens", "age", "first", "closes", "out", "mic", "closes", "hint")
"""The parts that take their next shorter form, in this order, while the status line is too long; after the shortest they
are left out."""


@dataclass
class ViewState:
    """What the view shows. Levels are dB below full scale, None without a microphone or loudspeaker; times are seconds."""

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


class ViewRows:
    """Lays out the state of a view for a terminal of this encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._ascii = not encoding.lower().replace("-", "").startswith("utf8")
        self._more = "~" if self._ascii else "…"

    def running(self, state: ViewState, columns: int, lines: int) -> list[Row]:
        """What is being said, on a terminal of so many columns and lines: the last lines of it."""
        room = max(min(MAX_RUNNING, lines - 5), 2 if lines > 4 else 0)
        model = self._tail("model", state.model, columns, room - bool(state.you))
        return self._tail("you", state.you, columns, room - len(model)) + model

    def _tail(self, label: str, text: str, columns: int, room: int) -> list[Row]:
        """The last lines of `text`; what was cut before them is an ellipsis."""
        if room <= 0 or not text:
            return []
        # Cut at places that stay: the lines must not be broken anew at every word that comes.
        block = columns * room
        start = max(len(text) // block - 1, 0) * block
        seen = " ".join(text[start : start + 2 * block].split())
        rows = labelled(label, self.text(seen), columns, "interim" if label == "you" else label)
        if start or len(rows) > room:
            rows = rows[-room:]
            style, line = rows[0][1]
            rest = line.partition(" ")[2]  # a whole word makes room for the ellipsis
            rows[0] = [(f"class:{label}.label", f"{label:<{LABEL}}"), ("class:dim", self._more)]
            rows[0].append((style, f" {rest}" if rest else line[1:]))
        return rows

    def status(self, state: ViewState, columns: int) -> Row:
        """The status line: as many parts as fit, in the longest forms that do."""
        forms = self._parts(state)

        def row() -> Row:
            out: Row = []
            for variants in forms.values():
                if variants:
                    out += [("", "  ")] * bool(out) + variants[0]
            return out

        for name in _SHORTER:
            if fragment_list_width([*row()]) <= columns:
                break
            if name in forms:
                del forms[name][0]
        return cut(row(), columns, self._more)

    def _parts(self, state: ViewState) -> dict[str, list[Row]]:
        """The parts of the status line from left to right, each from its longest form to its shortest."""
        parts: dict[str, list[Row]] = {"who": [self._who(state)]}
        if state.hint:
            parts["hint"] = [[("class:hint", self._short(state.hint, 60))]]
        if state.muted or (state.closed and state.mic_db is not None):
            shut = "muted" if state.muted else "closed"
            dark = ("-" if self._ascii else "▁") * CELLS
            parts["mic"] = [
                [("class:name", "mic "), ("class:dark", dark), ("class:who.muted", f"  {shut}")],
                [("class:name", "mic "), ("class:who.muted", f"{shut:<{CELLS}}")],
            ]
        elif state.mic_db is not None:
            parts["mic"] = self._level("mic", state.mic_db)
        if state.out_db is not None:
            parts["out"] = self._level("spk", state.out_db)
        if state.first_sound is not None:
            took = f"{state.first_sound:.2f} s"
            parts["first"] = [_named("first sound", took), _named("first", took)]
        if state.tokens_in or state.tokens_out:
            parts["tokens"] = [
                [
                    *_named("in", self._short(tokens(state.tokens_in, long), 80)),
                    *_named(out, self._short(tokens(state.tokens_out, long), 80)),
                ]
                for long, out in ((True, "  out"), (False, " out"))
            ]
        if state.closes_in is not None:
            left = clock(state.closes_in)
            parts["closes"] = [[("class:urgent", f"closes in {left}")], [("class:urgent", left)]]
        parts["age"] = [[("class:value", clock(state.age))]]
        return parts

    def _level(self, name: str, db: float) -> list[Row]:
        lit, dark, style = meter(db, self._ascii)
        short: Row = [("class:name", f"{name} "), (f"class:{style}", lit), ("class:dark", dark)]
        return [[*short, ("class:value", f" {decibels(db)}")], short]

    def _who(self, state: ViewState) -> Row:
        """Padded to the longest of the usual words, so that the meters stay where they are."""
        who = state.who or "ready"
        if state.muted and who in ("ready", "you", "listening"):
            who = "muted"
        text = "talking, Enter ends" if who == "talking" else f"{who} {state.detail}".strip()
        off, on = "o*" if self._ascii else "○●"
        text = self._short(f"{off if who in ('ready', 'muted') else on} {text}", 32)
        return [(f"class:who.{who}", text + " " * (11 - get_cwidth(text)))]

    def keys(self, state: ViewState, columns: int, *, talks: bool, mutes: bool) -> str:
        """What the keys do: as much of it as fits. `talks` and `mutes`: there are keys for that."""
        if state.who == "talking":
            return ""
        keys = [*["Enter talks"] * talks, "q ends", *["Ctrl-T unmutes" if state.muted else "Ctrl-T mutes"] * mutes]
        while len(", ".join(keys)) > columns:
            keys.pop()
        return ", ".join(keys)

    def _short(self, text: str, limit: int) -> str:
        return one_line(self.text(text), limit)

    def text(self, text: str, lines: bool = False) -> str:
        """`text`, fit for this terminal."""
        text = hide(text)
        text = escape_unsafe(text).expandtabs(4) if lines else one_line(text)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding) if self._ascii else text


def formatted(rows: list[Row]) -> StyleAndTextTuples:
    """Rows as one list with line breaks between."""
    return [piece for n, row in enumerate(rows) for piece in [*[("", "\n")] * bool(n), *row]]


def labelled(label: str, text: str, columns: int, style: str) -> list[Row]:
    """`text` wrapped to `columns` and indented after its label."""
    indent = LABEL if label else 0
    rows: list[Row] = []
    for line in text.split("\n"):
        for part in wrapped(line, max(columns - indent, 1)):
            head = label if label and not rows else ""
            row: Row = [(f"class:{label}.label", f"{head:<{indent}}")] if indent else []
            rows.append([*row, (f"class:{style}" if style else "", part)])
    return rows


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns` cells, broken at spaces where there are any; never empty."""
    lines: list[str] = []
    line, width, stacked = "", 0, 0
    for char in text:
        cells = max(get_cwidth(char), 0)
        stacked = 0 if cells else stacked + 1
        if stacked > MAX_STACKED:
            continue
        if width + cells > columns:
            if char == " ":
                lines.append(line)
                line, width = "", 0
                continue
            before, space, rest = line.rpartition(" ")
            lines.append(before if space else line)
            line = rest if space else ""
            width = get_cwidth(line)
        line += char
        width += cells
    return [*lines, line]


def cut(row: Row, columns: int, more: str) -> Row:
    """`row` in at most `columns` cells."""
    if fragment_list_width([*row]) <= columns:
        return row
    out: Row = []
    left = columns - 1
    for style, char, *_ in explode_text_fragments(row):
        left -= get_cwidth(char)
        if left < 0:
            return [*out, (style, more)]
        out.append((style, char))
    return out


def _named(name: str, value: str) -> Row:
    return [("class:name", f"{name} "), ("class:value", value)]


def meter(db: float, ascii_only: bool = False) -> tuple[str, str, str]:
    """A level as (lit cells, dark cells, name of the colour); both strings together are `CELLS` wide."""
    level = min(max(db, FLOOR), 0.0)
    lit = round((level - FLOOR) / -FLOOR * CELLS)
    steps, dark = ("#" * CELLS, "-" * CELLS) if ascii_only else ("▁▂▄▅▆█", "▁" * CELLS)
    style = "clipped" if level > CLIPPED else "loud" if level > LOUD else "level"
    return steps[:lit], dark[lit:], style


def decibels(db: float) -> str:
    """`-23 dB`, always six wide; everything softer than -96 is shown as -96."""
    return f"{round(min(max(db, -96.0), 0.0)):>3} dB"


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
