"""Write the parts of the documentation that are made from data: `python -m tests.docs.generate [--check]`.

A part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`; `PARTS` has its function. With `--check`
nothing is written, and exit code 1 says that a page is stale.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import livews
from livews.cli.options import COMMANDS, parser_of
from livews.exit_codes import Exit
from livews.explainer import CONFIDENCE, RETRY
from tests import structure
from tests.docs.pages import PAGES, PROTOCOL
from tests.kit.names import ROOT

_COMMON = 4
"""An option that so many commands have, with the same help, is listed once for all."""
_CODES = {
    0: ("The upgrade failed", "The server answered the handshake with an HTTP status, so no close frame exists."),
    1000: ("1000", "A close without an error. Of a client it is the normal one; the service ends a session with it."),
    1001: ("1001", "The peer is going away."),
    1006: ("1006", "The connection ended without a close frame. Clients make up this code; it is never sent."),
    1007: ("1007", "The service refused a message: an invalid argument, a failed precondition or a bad key."),
    1008: ("1008", "The service refused the model, the credentials or the session."),
    1009: ("1009", "A message was too big."),
    1011: ("1011", "The service failed, or a quota or deadline was reached."),
}
_EXITS = {
    Exit.OK: "success",
    Exit.CHECK_FAILED: "a check found an error, or two recordings differ",
    Exit.USAGE: "wrong use: an unknown option, a file that cannot be read, a message that breaks a rule",
    Exit.CREDENTIALS: "no credentials, refused credentials, or the quota is used up",
    Exit.UNREACHABLE: "the server cannot be reached",
    Exit.CLOSED: "the server closed the session with an error",
    Exit.NO_SOUND: "a sound device, camera or screen that was asked for is missing",
    Exit.HANGUP: "SIGHUP: the terminal was closed; 0 for a server (serve, proxy, inspect)",
    Exit.INTERRUPTED: "Ctrl-C; 0 for a server",
    Exit.QUIT: "SIGQUIT (Ctrl-\\\\); 0 for a server",
    Exit.TERMINATED: "SIGTERM; 0 for a server",
}


# Options


@cache
def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of every command and of every tool of `livews trace`, by the words that call it."""
    found: dict[str, argparse.ArgumentParser] = {}
    for command in COMMANDS:
        found[command] = parser_of(command)
        for action in found[command]._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= {f"{command} {tool}": parser for tool, parser in action.choices.items()}
    return found


def options_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, str]]]:
    """(title of its group, (the option as it is typed, its help)) of each option."""
    for group in parser._action_groups:
        for action in group._group_actions:
            if action.option_strings and "--help" not in action.option_strings and action.help != argparse.SUPPRESS:
                value = ""
                if action.nargs != 0:
                    value = (
                        f" {action.metavar}" if action.metavar else f" {{{','.join(map(str, action.choices or ()))}}}"
                    )
                    value = value if value != " {}" else f" {action.dest.upper()}"
                text = parser._get_formatter()._expand_help(action) if action.help else ""
                yield group.title or "", (", ".join(action.option_strings) + value, text)


def options() -> str:
    """Every option of every command: the common ones first, then a table a command."""
    users: dict[tuple[str, str], list[str]] = {}
    for command, parser in parsers().items():
        for _group, option in options_of(parser):
            users.setdefault(option, []).append(command)
    common = {option: commands for option, commands in users.items() if len(commands) >= _COMMON}
    lines = ["### Common options", "", "| option | what it does | commands |", "|---|---|---|"]
    for (option, text), commands in common.items():
        lines.append(f"| `{option}` | {_cell(text)} | {_shortened(commands)} |")
    for command, parser in parsers().items():
        own = [option for _group, option in options_of(parser) if option not in common]
        positional = [a for a in parser._actions if not a.option_strings and a.metavar and a.nargs != argparse.PARSER]
        title = "livews" if command == "talk" else f"livews {command}"
        words = " ".join(str(a.metavar) + (" ..." if a.nargs in ("*", "+") else "") for a in positional)
        lines += ["", f"### `{title} [OPTIONS]{' ' * bool(words)}{words}`", ""]
        lines.append(_sentence(parser.description or COMMANDS.get(command, "")))
        rows = [*((str(a.metavar), a.help or "") for a in positional), *own]
        if rows:
            lines += ["", "| option | what it does |", "|---|---|"]
            lines += [f"| `{option}` | {_cell(text)} |" for option, text in rows]
    return "\n".join(lines)


def _shortened(commands: list[str]) -> str:
    """Names of commands, with the tools of trace together."""
    tools = [command.split()[1] for command in commands if command.startswith("trace ")]
    every = [command.split()[1] for command in parsers() if command.startswith("trace ")]
    names = [command for command in commands if not command.startswith("trace ")]
    if tools:
        names.append("trace" if len(tools) == len(every) else f"trace {'/'.join(tools)}")
    return ", ".join(names)


def _sentence(text: str) -> str:
    """One line that ends in a full stop and begins with a capital, unless with a name of the wire."""
    text = " ".join(text.split()).rstrip(".")
    return (text if re.match(r"\w*[a-z][A-Z]", text) else text[:1].upper() + text[1:]) + "."


def _cell(text: str) -> str:
    """A text as it stands in a table of Markdown."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def exits() -> str:
    """Exit codes with their meaning."""
    rows = [f"| {code.value} | {_EXITS[code]} |" for code in Exit]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


# protocol/


def closes() -> str:
    """Every row of protocol/closes.json, by its code."""
    rows = json.loads((ROOT / "protocol" / "closes.json").read_text())["closes"]
    codes = sorted({row["code"] for row in rows}, key=lambda code: (code == 0, code))
    lines = []
    for code in codes:
        title, meaning = _CODES.get(code, (str(code), ""))
        lines += [f"## {title}", "", meaning, ""]
        for row in (row for row in rows if row["code"] == code):
            lines += [f"### {_heading(row)}", "", f"*{row['id']}, {CONFIDENCE[row['confidence']]}*", ""]
            lines += [f"- **What**: {_text(row['meaning'])}"] if row.get("meaning") else []
            lines += [f"- **Why**: {_text(row['cause'])}"] if row.get("cause") else []
            lines += [f"- **Do**: {_text(row['do'])}"] if row.get("do") else []
            lines += [f"- **Try again?** {RETRY[row['retry']]}", ""]
    return "\n".join(lines).strip()


def _heading(row: dict[str, object]) -> str:
    reason = str(row["reason"] or row["match"])
    name = f"`{reason}`" if reason else "without a reason"
    return name if row["code"] == 0 else f"{row['code']} {name}"


def _text(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")


def models() -> str:
    """The models of protocol/models.json that are not retired, and the voices."""
    data = json.loads((ROOT / "protocol" / "models.json").read_text())
    rows = []
    for profile in data["profiles"]:
        facts = {**data["defaults"], **profile}
        default = " (default)" if data["default"] in profile["ids"] else ""
        ids = ", ".join(f"`{name}`" for name in profile["ids"] if not name.endswith("*"))
        if not ids or facts["status"] == "retired":
            continue
        where = ", ".join({"gemini": "Gemini API", "vertex": "Vertex AI"}[surface] for surface in facts["surfaces"])
        rows.append(
            f"| {ids}{default} | {_cell(profile.get('title', ''))} | {', '.join(facts['output'])} | {where} |"
        )
    voices = ", ".join(data["voices"])
    head = ["| model | what it is | answers in | on |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, "", f"Voices: {voices}.", "", f"As of {data['asOf']}."])


# The library


def names() -> str:
    """The public names of livews with their first line of documentation, then the methods of a session."""
    lines = ["| name | what it is |", "|---|---|"]
    for name in livews.__all__:
        if not name.startswith("__"):
            lines.append(
                f"| `livews.{name}{_fields(getattr(livews, name))}` | {_first_line(getattr(livews, name))} |"
            )
    lines += ["", "| method of a session | what it does |", "|---|---|"]
    for name, method in vars(livews.Session).items():
        if not name.startswith("_") and inspect.isfunction(method):
            parameters = [p for p in inspect.signature(method).parameters if p != "self"]
            lines.append(f"| `{name}({', '.join(parameters)})` | {_first_line(method)} |")
    return "\n".join(lines)


def connect() -> str:
    """The arguments of livews.connect, from its documentation."""
    text = inspect.cleandoc(livews.connect.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return "\n".join(
        [
            "| argument | meaning |",
            "|---|---|",
            *(f"| `{name}` | {_cell(_sentence(about))} |" for name, about in rows),
        ]
    )


_READ_BY_CODE = {
    "ids": "MODEL-1",
    "known": "MODEL-1",
    "replacedBy": "MODEL-2",
    "output": "MODEL-3",
    "textRefused": "MODEL-3",
    "misnamed": "MODEL-11",
    "surfaces": "MODEL-12",
    "locations": "MODEL-12",
    "notFound": "MODEL-2, MODEL-12",
    "clientContent": "TURN-6",
    "turnEndsAt": "TURN-2",
}
"""Members of a profile that a rule reads without a row of limits."""


def limits() -> str:
    """Which member of a profile feeds which rule."""
    data = json.loads((ROOT / "protocol" / "models.json").read_text())
    rules: dict[str, dict[str, set[str]]] = {name: {rule: set()} for name, rule in _READ_BY_CODE.items()}
    rows = [(row.get("field", ""), row) for row in data["limits"]]
    rows += [(name, row) for name in ("refuses", "requires") for one in data["profiles"] for row in one.get(name, ())]
    for name, row in rows:
        if name:
            rules.setdefault(name, {}).setdefault(row["rule"], set()).add(row["at"])
    lines = ["| Member of a profile | Rule | About |", "|---|---|---|"]
    for name, by_rule in sorted(rules.items()):
        for rule, paths in by_rule.items():
            about = ", ".join(f"`{path}`" for path in sorted(paths)[:3]) + (" ..." if len(paths) > 3 else "")
            lines.append(f"| `{name}` | {rule} | {about} |")
    return "\n".join(lines)


_ROWS = (
    ("phases", "in"),
    ("closes", "closed by"),
    ("kinds", "kind"),
    ("retry", "retry"),
    ("codes", "code"),
    ("planned", "planned"),
)


def reconnect() -> str:
    """When a client connects again: the phases, the rows and the limits of reconnect.json."""
    data = json.loads((ROOT / "protocol" / "reconnect.json").read_text())
    lines = ["| Phase | When |", "|---|---|"]
    for name, phase in data["phases"].items():
        words = "".join(f" ({word})" for word in ("lived", "idle") if phase.get(word))
        lines.append(f"| `{name}`{words} | {_cell(phase['is'])} |")
    lines += ["", "| Row | Fits | Action | Delay | Tries | Then | Says |", "|---|---|---|---|---|---|---|"]
    rest = ""
    for row in data["rows"]:
        fits = [f"{words} {_listed(row[name])}" for name, words in _ROWS if name in row]
        action = row["action"] + "".join(
            f", {words}"
            for name, words in (("refresh", "new credentials"), ("history", "shorter history"))
            if name in row
        )
        action += ", not what was sent last" if row.get("resend") is False else ""
        delay = ", ".join(f"{seconds:g}" for seconds in row.get("after", ())) + (" s" if "after" in row else "")
        delay += f", idle + {row['idleSeconds']:g} s" if "idleSeconds" in row else ""
        tries = " or ".join(f"{row[name]:g}{unit}" for name, unit in (("tries", ""), ("within", " s")) if name in row)
        tries += " (own)" if row.get("own") else ""
        cells = (
            f"`{row['id']}`",
            "; ".join(fits) or rest or "everything",
            action,
            delay,
            tries,
            row.get("then", ""),
            row["says"],
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        rest = "" if fits else "nothing: only as `then`"
    lines += ["", "| Limit | Value | Meaning |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {value:g} | {_cell(data['limitsAre'][name])} |" for name, value in data["limits"].items()
    ]
    return "\n".join(lines)


def _listed(value: Any) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else "" if value is True else str(value)


def _fields(thing: object) -> str:
    """The fields of a dataclass, as they are matched."""
    if not dataclasses.is_dataclass(thing):
        return ""
    return f"({', '.join(f'{f.name}' for f in dataclasses.fields(thing) if f.init and f.name != 'message')})"


def _first_line(thing: object) -> str:
    """The first paragraph of its own documentation, not of a class it inherits from."""
    text = inspect.cleandoc(thing.__doc__ or "").partition("\n\n")[0]
    return _cell(_sentence(text)) if text else ""


# The code


def arrows() -> str:
    """The import arrows of tests/structure.py."""
    base = ", ".join(f"`{part.removeprefix('livews.')}`" for part in structure.BASE)
    lines = [
        f"*Base* is what every part that is not in it may import: {base}.",
        "",
        "| part | may import |",
        "|---|---|",
    ]
    for part, others in structure.ARROWS.items():
        if part in structure.ANYTHING:
            lines.append(f"| `{part}` | everything |")
            continue
        has_base = set(structure.BASE) <= set(others)
        names = [
            f"`{other.removeprefix('livews.')}`" for other in others if not (has_base and other in structure.BASE)
        ]
        lines.append(f"| `{part}` | {', '.join(['*base*'] * has_base + sorted(names)) or 'nothing'} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "options": options,
    "exits": exits,
    "closes": closes,
    "models": models,
    "limits": limits,
    "reconnect": reconnect,
    "connect": connect,
    "names": names,
    "arrows": arrows,
}


def generated(text: str) -> str:
    """A page with its generated parts made anew."""
    for name, make in PARTS.items():
        first, last = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        before, mark, rest = text.partition(first)
        if mark:
            text = f"{before}{first}\n\n{make()}\n\n{last}{rest.partition(last)[2]}"
    return text


def stale() -> list[str]:
    """Pages whose generated parts are not what the data says today."""
    pages = (*PAGES, PROTOCOL)
    return [str(page.relative_to(ROOT)) for page in pages if generated(page.read_text()) != page.read_text()]


def main(words: list[str]) -> int:
    pages = stale()
    if "--check" not in words:
        for page in pages:
            (ROOT / page).write_text(generated((ROOT / page).read_text()))
    print("\n".join(f"{page}: {'stale' if '--check' in words else 'rewritten'}" for page in pages) or "up to date")
    return bool(pages) and "--check" in words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
