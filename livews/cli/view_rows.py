"""The lines of the live view: what is being said, the status line and the placeholder, laid out for a terminal.

- A row is one line, a list of (style, text) as prompt_toolkit has them.
- Every text passes `escape_unsafe`, and no more of it is laid out than can be seen.
"""

from __future__ import annotations

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from livews.cli.view_state import CELLS, ViewState, clock, decibels, meter, tokens
from livews.terminal_text import escape_unsafe, one_line

Row = list[tuple[str, str]]

LABEL = 7
"""Columns of the labels `you` and `model`."""
MAX_RUNNING = 10
"""Lines of what is being said."""
MAX_STACKED = 8
"""Marks on one character: more of them grow over the lines above."""
STATES = ("you", "model", "thinking", "tool", "talking", "muted", "listening", "ready")
"""Values of `ViewState.who` that have a style of their own."""
# what is shortened first when the status line is too long: the part, and the form it takes then
_SHORTER = (
    ("tokens", 1), ("first", 1), ("mic", 1), ("out", 1), ("tokens", 2), ("age", 1), ("first", 2), ("closes", 1),
    ("out", 2), ("mic", 2), ("closes", 2), ("hint", 1),
)  # fmt: skip


class ViewRows:
    """Lays out the state of a view for a terminal of this encoding."""

    def __init__(self, encoding: str) -> None:
        self.talking = False
        """Push-to-talk is on."""
        self._encoding = encoding
        self._ascii = not encoding.lower().replace("-", "").startswith("utf8")

    def running(self, state: ViewState, columns: int, lines: int) -> list[Row]:
        """What is being said, on a terminal of so many columns and lines: the last lines of it."""
        room = max(min(MAX_RUNNING, lines - 5), 2 if lines > 4 else 0)
        you, model = state.you, state.model
        spoken: list[Row] = []
        if model:
            keep = room - 1 if you else room
            spoken = self._tail("model", model, columns, keep)
        if you:
            spoken = self._tail("you", you, columns, room - len(spoken)) + spoken
        return spoken

    def _tail(self, label: str, text: str, columns: int, room: int) -> list[Row]:
        """The last lines of `text`; what was cut before them is an ellipsis."""
        if room <= 0:
            return []
        # Cut at places that stay: the lines must not be broken anew at every word that comes.
        block = columns * room
        start = max(len(text) // block - 1, 0) * block
        seen = " ".join(text[start : start + 2 * block].split())
        rows = labelled(label, self.text(seen), columns, "interim" if label == "you" else label)
        if start or len(rows) > room:
            more = "~" if self._ascii else "…"
            rows = rows[-room:]
            style, line = rows[0][1]
            rest = line.partition(" ")[2]  # a whole word makes room for the ellipsis
            rows[0] = [(f"class:{label}.label", f"{label:<{LABEL}}"), ("class:dim", more)]
            rows[0].append((style, f" {rest}" if rest else line[1:]))
        return rows

    def status(self, state: ViewState, columns: int) -> Row:
        """The status line: as many parts as fit, in the longest forms that do."""
        forms = self._parts(state)
        chosen = {name: 0 for name in forms}

        def row() -> Row:
            out: Row = []
            for name, variants in forms.items():
                if chosen[name] < len(variants):
                    out += [("", "  ")] * bool(out) + variants[chosen[name]]
            return out

        for name, form in _SHORTER:
            if width(row()) <= columns:
                break
            if name in chosen:
                chosen[name] = form
        return cut(row(), columns, "~" if self._ascii else "…")

    def _parts(self, state: ViewState) -> dict[str, list[Row]]:
        """The parts of the status line from left to right, each from its longest form to its shortest."""
        parts: dict[str, list[Row]] = {"who": [self._who(state)]}
        if state.hint:
            parts["hint"] = [[("class:hint", one_line(self.text(state.hint), 60))]]
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
            took: Row = [("class:value", f"{state.first_sound:.2f} s")]
            parts["first"] = [[("class:name", "first sound "), *took], [("class:name", "first "), *took]]
        if state.tokens_in or state.tokens_out:
            parts["tokens"] = [
                [
                    ("class:name", "in "),
                    ("class:value", one_line(self.text(tokens(state.tokens_in, long)), 80)),
                    ("class:name", "  out " if long else " out "),
                    ("class:value", one_line(self.text(tokens(state.tokens_out, long)), 80)),
                ]
                for long in (True, False)
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
        who = "talking" if self.talking else state.who or "ready"
        text = "talking, Enter ends" if who == "talking" else who
        if who != "talking" and state.detail:
            text = f"{text} {state.detail}"
        if state.muted and who in ("ready", "you", "listening"):
            who = text = "muted"
        on, off = ("*", "o") if self._ascii else ("●", "○")
        dot = off if who in ("ready", "muted") else on
        text = one_line(self.text(f"{dot} {text}"), 32)
        style = f"class:who.{who}" if who in STATES else ""
        return [(style, text + " " * (11 - get_cwidth(text)))]

    def placeholder(self, state: ViewState, columns: int, *, talks: bool, mutes: bool) -> str:
        """What the keys do: as much of it as fits. `talks` and `mutes`: there are keys for that."""
        if self.talking:
            return ""
        keys = ["Enter talks", "q ends"] if talks else ["q ends"]
        if mutes:
            keys.append("Ctrl-T unmutes" if state.muted else "Ctrl-T mutes")
        while keys and len(", ".join(keys)) > columns:
            keys.pop()
        return ", ".join(keys)

    def text(self, text: str, lines: bool = False) -> str:
        """`text`, fit for this terminal."""
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
    line: list[str] = []
    width = stacked = 0
    space = -1  # index of the last space, where the line may be broken
    for char in text:
        cells = max(get_cwidth(char), 0)
        stacked = 0 if cells else stacked + 1
        if stacked > MAX_STACKED:
            continue
        if width + cells > columns:
            if char == " ":
                lines.append("".join(line))
                line, width, space = [], 0, -1
                continue
            rest = line[space + 1 :] if space >= 0 else []
            lines.append("".join(line[:space] if space >= 0 else line))
            line, space = rest, -1
            width = get_cwidth("".join(rest))
        if char == " ":
            space = len(line)
        line.append(char)
        width += cells
    return [*lines, "".join(line)]


def width(row: Row) -> int:
    """Columns that a row takes."""
    return sum(get_cwidth(text) for _, text in row)


def cut(row: Row, columns: int, more: str) -> Row:
    """`row` in at most `columns` cells."""
    if width(row) <= columns:
        return row
    out: Row = []
    left = columns - 1
    for style, text in row:
        kept = ""
        for char in text:
            if get_cwidth(char) > left:
                return [*out, (style, kept + more)]
            kept += char
            left -= get_cwidth(char)
        out.append((style, kept))
    return out
