"""Escape text from the wire for a terminal.

- Characters that move the cursor, change colours, ring the bell, set the window title or reverse text are written as
  escapes. Line breaks and tabs stay, unless a single line is asked for.
"""

import re

# C0 except tab and newline, DEL and C1, line and paragraph separators, bidirectional controls, zero-width space, BOM,
# tags, and lone surrogates, which no terminal encoding has. The joiners stay: Persian, Indic scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def escape_unsafe(text: str) -> str:
    """`text` with every unsafe character as an escape such as `\\x1b` or `\\u202e`."""
    return _UNSAFE.sub(_escape, text)


def json_line(text: str) -> str:
    """An encoded JSON text with the same characters as JSON escapes, so that it stays valid JSON."""
    import json

    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def one_line(text: str, limit: int = 0) -> str:
    """`text`, escaped, on one line; cut with an ellipsis at `limit` characters, 0 for no limit."""
    # of a long text only what may be shown is escaped, which never makes it shorter
    text = escape_unsafe(text[: limit + 1] if limit else text).replace("\n", "\\n").replace("\t", "\\t")
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plural(count: int, noun: str) -> str:
    """`1 message`, `2,000 messages`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def columns() -> int:
    """Width of a line of text in characters: the terminal's, but at least 40 and at most 110."""
    import shutil

    return min(max(shutil.get_terminal_size((100, 24)).columns, 40), 110)


def paragraph(label: str, text: str) -> str:
    """`  label  text`, wrapped to the terminal and indented under itself. `text` must be safe to show already."""
    import textwrap

    head = f"  {label:<6} "
    if text.isprintable() and text == text.strip() and 0 < len(head) + len(text) <= columns():
        return head + text
    wrapper = textwrap.TextWrapper(columns(), head, " " * len(head), break_long_words=False, break_on_hyphens=False)
    lines = []
    for part in text.split("\n"):
        lines.append(wrapper.fill(part))
        wrapper.initial_indent = wrapper.subsequent_indent
    return "\n".join(lines)
