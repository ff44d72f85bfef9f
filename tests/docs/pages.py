"""The pages and their fenced blocks.

- Comments on the lines before a block say how it is run: `<!-- client: COMMAND -->` (run while the server of the block
  is running), `<!-- stand-in -->` (a stand-in listens on port 8765), `<!-- file: NAME -->` (the block is this file, for
  all blocks of the page), `<!-- not run: REASON -->`.
- In a console block `$ ` begins a command, `> ` continues it, `...` stands for any number of lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.names import ROOT

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "livews" / "README.md"
DOCS = ROOT / "livews" / "docs"
PROTOCOL = ROOT / "protocol" / "README.md"
PAGES = [README, ARCHITECTURE, *sorted(DOCS.glob("*.md"))]

_BLOCK = re.compile(
    r"(?P<notes>(?:^<!-- [^\n]* -->\n)*)^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass
class Step:
    """One command of a console block and the output that the page shows."""

    command: str
    shown: list[str] = field(default_factory=list)


@dataclass
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Line of the page on which the fence opens, from 1."""
    language: str
    body: str
    start: int
    """Offset of `body` in the text of the page."""
    notes: list[str] = field(default_factory=list)
    """The comments on the lines before the block."""

    def setting(self, name: str) -> str:
        """The value of the comment `name: value` before the block; "" when it is not there."""
        return next((note.removeprefix(f"{name}: ") for note in self.notes if note.startswith(f"{name}: ")), "")

    @property
    def needs_stand_in(self) -> bool:
        return "stand-in" in self.notes

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def steps(self) -> list[Step]:
        """The commands of a console block; output before the first one is a step without a command."""
        steps: list[Step] = [] if self.body.startswith("$ ") else [Step("")]
        for line in self.body.splitlines():
            if line.startswith("$ "):
                steps.append(Step(line[2:]))
            elif line.startswith("> ") and not steps[-1].shown:
                steps[-1].command += f"\n{line[2:]}"
            else:
                steps[-1].shown.append(line)
        return steps


def blocks(page: Path, language: str = "") -> list[Block]:
    """The fenced blocks of a page, all or those of one language, in order."""
    text = page.read_text()
    return [
        Block(
            page, text.count("\n", 0, match.start("language")) + 1, match["language"], match["body"], match.start("body"),
            re.findall(r"<!-- (.*) -->", match["notes"]),
        )
        for match in _BLOCK.finditer(text)
        if language in ("", match["language"])
    ]  # fmt: skip


def files(page: Path) -> dict[str, str]:
    """What the blocks `<!-- file: NAME -->` of a page hold, by name."""
    return {name: block.body for block in blocks(page) if (name := block.setting("file"))}
