"""The options of the tools of `livews trace` as data, and their contradictions."""

from __future__ import annotations

import argparse
from pathlib import Path

from livews.cli import options as opt
from livews.cli.options import Command, Parser, flag, pick, shared, value

_FORMATS = {
    "har": "HAR 1.2 for browsers and proxies, all sessions",
    "wav": "the audio, user left and model right",
    "srt": "captions of both sides",
    "vtt": "captions of both sides, for the web",
    "md": "a page of what was said and done",
}
_FILES = {"files": opt.argument("FILE", opt.SHARED["file"]["help"], nargs="+")}


def _check_span(command: Parser, options: argparse.Namespace) -> None:
    if None not in (options.start, options.end) and options.end < options.start:
        command.error(f"--to {options.end:g} is before --from {options.start:g}")


def _check_cut(command: Parser, options: argparse.Namespace) -> None:
    spans = options.start is not None or options.end is not None
    command.refuse(spans == (options.turn is not None), "name what to keep: --from S, --to S or both, or --turn N")
    _check_span(command, options)


def _check_diff(command: Parser, options: argparse.Namespace) -> None:
    command.refuse(options.files == ["-", "-"], "stdin can be read only once: name at least one file")


def _check_export(command: Parser, options: argparse.Namespace) -> None:
    if len(options.formats) > 1:
        command.error(f"--{options.formats[0]} and --{options.formats[1]}: choose one")
    suffix = Path(options.out).suffix.lower().lstrip(".")
    suffix = {"webvtt": "vtt", "markdown": "md"}.get(suffix, suffix)
    options.format = options.formats[0] if options.formats else suffix
    unknown = options.format not in _FORMATS
    command.refuse(
        unknown, "which format? name a file that ends in .har, .wav, .srt, .vtt or .md, or add --har, --wav ..."
    )
    is_pipe = options.format == "wav" and options.out == "-"
    command.refuse(is_pipe, "a WAV file begins with its length, so it cannot go to stdout: name a file after -o")


def _check_replay(command: Parser, options: argparse.Namespace) -> None:
    command.refuse(options.to and options.url, "--to and --url mean the same: name one server, after --to")
    command.refuse(options.offline and options.to, "--offline uses the built-in stand-in: leave out --to")
    options.url = options.to or options.url
    opt.check_connection(command, options)
    command.refuse(options.fast and options.speed != 1, "--fast has no speed: leave out --speed")
    command.refuse(options.trace == "-", "--show shows the messages: --trace needs a file")
    files = [Path(name) for name in (options.trace, options.file) if name not in ("", "-")]
    if len(files) == 2 and all(file.exists() for file in files) and files[0].samefile(files[1]):
        command.error("--trace would write into the trace that is played: name another file")


_REPLAY_OPTIONS: dict[str, opt.Rows] = {
    "": {**pick("file", "--session"), "--to": value("URL", "the server (default: as livews connects)")},
    "how it is played": {
        "--speed": value("N", "N times as fast (default 1: its own timing)", 1.0, type=opt.number("speed", 0.001, 1000)),
        "--fast": flag("wait only for what the server says"),
        "--patience": value("S", "extra seconds to wait for each expected server message (default 10)", 10.0, type=opt.seconds),
        **shared("--model", help="another model than the recorded one"),
        "--keep-handles": flag("send recorded resumption handles unchanged"),
    },
    "what is compared and shown": {
        "--exact": flag("compare words, audio and token counts, too"),
        "--show": flag("show every message on stderr"),
        "--trace": value("OUT", "write this run to a trace, for `livews trace diff FILE OUT`"),
        **pick(*opt.OUTPUT),
    },
    "connection": pick(*opt.CONNECTION),
}  # fmt: skip
_SOUND = "how to compare audio: by samples (bytes, the default), by duration (length), or by presence (nothing)"
_KIND = "only messages with these members or signals, or ping, pong, close, heard"
TRACE_TOOLS = {
    "show": Command(
        "livews.cli.trace.show",
        "Show a session, one line per message.",
        {
            "": {
                **pick("file", *opt.PART),
                "--kind": value("NAME,...", _KIND),
                "--side": opt.choice(("client", "server"), "only messages of this side"),
                "--faults": flag("only frames that break a rule"),
                **shared("--json", ": what each message was, did and meant; media left out"),
                **pick("--quiet", "--color"),
            }
        },
        "livews trace show session.jsonl --turn 2",
        check=_check_span,
    ),
    "check": Command(
        "livews.cli.check",
        "Check a trace against the schemas and rules.",
        {"": {**_FILES, **pick("--strict", *opt.OUTPUT)}},
        "livews trace check session.jsonl",
    ),
    "stats": Command(
        "livews.cli.trace.stats",
        "Measure a session: turns, latencies, audio, tokens.",
        {"": {**pick("file", "--session", *opt.OUTPUT)}},
        "livews trace stats session.jsonl",
    ),
    "diff": Command(
        "livews.cli.trace.diff",
        "Compare two traces by what they mean.",
        {
            "": {
                "files": opt.argument("FILE", "two traces; - is stdin", nargs=2),
                "--sound": opt.choice(("bytes", "length", "nothing"), _SOUND, "bytes"),
                **pick(*opt.OUTPUT),
            }
        },
        "livews trace diff before.jsonl after.jsonl",
        check=_check_diff,
    ),
    "replay": Command(
        "livews.cli.replay",
        "Play the client of a session to a server again, and report what differs. Its messages, audio and close are sent "
        "with their timing. What the server does differently is reported, one line per difference, at the line of the "
        "recording it belongs to. A model says something else each time: of words, audio and token counts only the "
        "presence is compared, unless --exact is given.",
        _REPLAY_OPTIONS,
        "livews trace replay session.jsonl --to ws://127.0.0.1:8765",
        "Calls have the ids of this run. A message waits for what the server had said before it (setupComplete, the call "
        "it answers, the end of a turn). stdin (-) is read to its end first.\n"
        "Exit 0: the same; 1: it differs; 3, 4, 5: refused, unreachable, closed with an error.",
        _check_replay,
    ),
    "cut": Command(
        "livews.cli.trace.cut",
        "Keep a part of a session.",
        {"": {**pick("file", *opt.PART, "-o", "--quiet", "--color")}},
        "livews trace cut session.jsonl --turn 2 -o turn.jsonl",
        check=_check_cut,
    ),
    "redact": Command(
        "livews.cli.trace.redact",
        "Remove what others must not see.",
        {
            "": {
                **pick("file", "-o"),
                "--audio": flag("remove media, too: keep length and hash"),
                "--text": flag("remove words, too: each letter becomes an x"),
                **pick("--quiet", "--color"),
            }
        },
        "livews trace redact session.jsonl --audio -o shared.jsonl",
    ),
    "export": Command(
        "livews.cli.trace.export",
        "Convert a session to HAR, WAV, captions or Markdown.",
        {
            "": {**pick("file", "--session", "-o", "--quiet", "--color")},
            "format (default: by the name of OUT)": {
                f"--{name}": {"dest": "formats", "action": "append_const", "const": name, "help": about, "default": []}
                for name, about in _FORMATS.items()
            },
        },
        "livews trace export session.jsonl -o session.wav",
        check=_check_export,
    ),
    "html": Command(
        "livews.cli.trace.html",
        "Write a report page, one file.",
        {"": {**pick("file", "-o", "--quiet", "--color")}},
        "livews trace html session.jsonl -o session.html",
    ),
    "import": Command(
        "livews.cli.trace.import_har",
        "Make a trace from a HAR.",
        {
            "": {
                "file": opt.argument("FILE.har", "a HAR from a browser or a proxy; - is stdin"),
                **pick("-o"),
                "--all": flag("import every WebSocket, not only those of a Live API"),
                **pick("--quiet", "--color"),
            }
        },
        "livews trace import browser.har -o session.jsonl",
        "A HAR is one JSON value and is read whole, which takes a few times its size in memory.",
    ),
}  # fmt: skip
