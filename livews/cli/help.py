"""`livews help`: the pages of livews/docs/ on the terminal, and the options of a command. Offline.

- A topic is the name of a page, or a part of it: `livews help testing` shows testing-your-app.
- The name of a command shows what `livews COMMAND --help` shows.
- Pages are Markdown; here they are laid out as plain text, the whole of them, on stdout.
"""

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from livews.cli.console import Console
from livews.cli.options import COMMANDS, parser_of
from livews.errors import BadRequest
from livews.terminal_text import columns

_DOCS = Path(__file__).resolve().parents[1] / "docs"
_ARCHITECTURE = _DOCS.parent / "README.md"


def run(options: argparse.Namespace, console: Console) -> int:
    words = options.words
    if not words:
        console.say("\n".join(_contents()))
        return 0
    if words[0] in COMMANDS:
        parser_of(words[0]).parse_args([*words[1:], "--help"])  # which leaves
    wanted = "-".join(words).lower()
    pages = topics()
    names = [wanted] if wanted in pages else [name for name in pages if wanted in name]
    if len(names) != 1:
        fix = f"topics: {', '.join(names or pages)}; commands: {', '.join(COMMANDS)}"
        raise BadRequest(
            f"no page has the name {wanted}" if not names else f"{wanted} fits several pages",
            fix=f"{fix}; for a name, a close or a rule of the protocol: livews explain {' '.join(words)}",
        )
    page = pages[names[0]].read_text(encoding="utf-8")
    console.say("\n".join(plain_text(page, min(columns(), 100))))
    return 0


def topics() -> dict[str, Path]:
    """The pages by the name of their topic."""
    return {**{page.stem: page for page in sorted(_DOCS.glob("*.md"))}, "architecture": _ARCHITECTURE}


def _contents() -> Iterator[str]:
    yield "topics (livews help TOPIC):"
    for name, page in topics().items():
        with page.open(encoding="utf-8") as lines:
            title = next(lines).strip("# \n")
        yield f"  {name:<17} {title}"
    yield ""
    yield "commands (livews help COMMAND):"
    for name, about in COMMANDS.items():
        yield f"  {name:<17} {about}"


# Markdown as plain text


def plain_text(markdown: str, width: int) -> Iterator[str]:
    """The lines of a page for a terminal: paragraphs filled, blocks indented, a table row as a term and its text."""
    text = re.sub(r"<!--.*?-->\n?", "", markdown, flags=re.DOTALL)
    paragraph: list[str] = []
    fence, blank = False, True
    for line in [*text.splitlines(), ""]:
        joins = not fence and bool(line.strip()) and not re.match(r"```|#|\||\s*[-*] |\d+\. |!\[", line)
        if paragraph and not joins:
            yield from _filled(paragraph, width)
            paragraph, blank = [], False
        if line.startswith("```"):
            fence = not fence
        elif fence:
            yield f"    {line}".rstrip()
            blank = False
        elif joins or re.match(r"\s*[-*] |\d+\. ", line):
            paragraph.append(line)
        elif line.startswith("#"):
            title = _inline(line.lstrip("# "))
            yield title.upper() if line.startswith("# ") else title
            if line.startswith("## "):
                yield "-" * min(len(title), width)
            blank = False
        elif line.startswith("|"):
            cells = [_inline(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not all(set(cell) <= set("-: ") for cell in cells):
                yield from _row(cells, width)
                blank = False
        elif not line.startswith("![") and not blank:
            yield ""
            blank = True


def _filled(lines: list[str], width: int) -> list[str]:
    """A paragraph or an item of a list in lines of `width`."""
    bullet = re.match(r"\s*(?:[-*]|\d+\.) ", lines[0])
    indent = " " * len(bullet[0]) if bullet else ""
    text = _inline(" ".join(line.strip() for line in lines))
    first = bullet[0][: len(bullet[0]) - len(bullet[0].lstrip())] if bullet else ""
    return _wrapped(text, width, first, indent)


def _row(cells: list[str], width: int) -> Iterator[str]:
    """The first cell, then the others in the same line, or below it when it is long."""
    term, rest = cells[0], "  ".join(cell for cell in cells[1:] if cell)
    if len(term) <= 22:
        yield from _wrapped(f"{term:<22}  {rest}", width, "  ", " " * 26)
    else:
        yield from _wrapped(term, width, "  ", "    ")
        yield from _wrapped(rest, width, " " * 26, " " * 26)


def _wrapped(text: str, width: int, first: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _inline(text: str) -> str:
    """A text without the marks of Markdown: links become their words, code and emphasis stay as they are."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    plain = [
        part.strip("`") if part.startswith("`") else re.sub(r"\*\*|(?<![\\\w])\*(?=\w)|(?<=[\w.])\*(?!\w)", "", part)
        for part in re.split(r"(`[^`]*`)", text)
    ]
    return "".join(plain).replace("\\|", "|").replace("\\*", "*").replace("&lt;", "<")
