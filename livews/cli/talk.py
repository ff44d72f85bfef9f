"""`livews talk`, the default command: its options. The talking itself is in `talking.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise

from livews.cli import COMMANDS
from livews.cli.terminal import COLOR_HELP, Console

_LATER = ("proxy", "trace", "conform", "doctor", "devices", "inspect")
_FILES = (".jsonl", ".ndjson", ".json", ".log", ".txt", ".trace")
_PLACES = ("/", "./", "../", "~/")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    _refuse_empty(parser, argv)
    options = parser.parse_intermixed_args(_split_trace(argv))
    if options.text and (options.wav or options.device):
        parser.error("--text wants no sound: leave out --wav and --device, or leave out --text")
    if options.offline and (options.url or options.vertex or options.token):
        parser.error("--offline is the built-in stand-in: leave out --url, --vertex and --token")
    if not all(name for name in options.trace):
        parser.error("--trace= names no file: write --trace=FILE, or --trace alone for the terminal")
    for text in options.words:
        try:
            text.encode()
        except UnicodeEncodeError:
            parser.error(f"a TEXT is not UTF-8: {text.encode(errors='backslashreplace').decode()}; check the locale")
    if options.mute and options.device:
        parser.error("--mute plays nothing: leave out --device, or leave out --mute")
    if len(options.words) == 1 and options.words[0] in _LATER:
        word = options.words[0]
        parser.error(f"{word} is not a command of this version; to say it to the model: livews talk {word}")
    if "-" in options.words and len(options.words) > 1:
        parser.error("- reads the turns from stdin: give no other TEXT beside it")
    options.trace_files = [name for name in options.trace if name != "-"]
    options.trace_view = "-" in options.trace
    return options


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:<10} {about}" for name, about in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="livews",
        usage="livews [talk] [OPTIONS] [TEXT ...]\n       livews serve|check|explain [OPTIONS] ...",
        description="Talk to a Gemini Live model: text in, voice and words out, over one WebSocket.",
        epilog=f"commands:\n{commands}\n\n"
        "Without a key in GOOGLE_API_KEY or GEMINI_API_KEY the built-in stand-in answers.\n"
        "exit: 0 fine, 1 a check failed, 2 usage, 3 credentials or quota, 4 unreachable, 5 closed by the service,\n"
        "      6 no sound where a device was named, 130 Ctrl-C",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "words", nargs="*", metavar="TEXT", help="one turn each; - reads them from stdin, a line each; none: a prompt"
    )

    session = parser.add_argument_group("the session").add_argument
    session(
        "--model",
        default="",
        metavar="ID",
        help="the model (default: the current one of protocol/models.json)",
    )
    session("--voice", default="", metavar="NAME", help="a prebuilt voice, such as Puck")
    session("--system", default="", metavar="TEXT", help="the system instruction")
    session("--setup", default="", metavar="FILE", help="a JSON file with members for the setup message")
    session("--text", action="store_true", help="text alone, no sound: on a model that only speaks, its transcript")
    session("--unchecked", action="store_true", help="send the setup even if livews knows better")

    sound = parser.add_argument_group("sound").add_argument
    sound(
        "--wav",
        default="",
        metavar="PATH",
        help="write the voice to a file, or to FOLDER/audio_0.wav, ... one a turn",
    )
    sound("--mute", action="store_true", help="play nothing")
    sound("--device", default="", metavar="NAME", help="output device: its number or a part of its name")

    look = parser.add_argument_group("what is shown").add_argument
    look(
        "--trace",
        action="append",
        default=[],
        metavar="FILE",
        help="show every message on stderr; with a FILE such as session.jsonl (or as --trace=FILE) keep them there",
    )
    look(
        "--trace-media",
        choices=("keep", "elide"),
        default="keep",
        help="in a trace file: the base64, or length and hash",
    )
    look("--json", action="store_true", help="one JSON event a line on stdout instead of the words")
    look("--quiet", action="store_true", help="nothing on stderr but failures")
    look("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)

    where = parser.add_argument_group("where").add_argument
    where(
        "--url",
        default="",
        help="another server: ws://, wss://, http:// or https://, a path prefix is kept",
    )
    where("--offline", action="store_true", help="the built-in stand-in, also when a key is set")
    where(
        "--token",
        default="",
        help="an ephemeral token (auth_tokens/...), or with --vertex an OAuth token",
    )
    where("--vertex", action="store_true", default=None, help="Vertex AI instead of the Gemini API")
    where("--project", default="", metavar="ID", help="Google Cloud project, for --vertex")
    where("--location", default="", metavar="NAME", help="region, us, eu or global, for --vertex")
    where("--api-version", default="", metavar="V", help="v1beta, v1alpha, v1; on Vertex v1beta1, v1")
    where("--timeout", type=_seconds, default=10.0, metavar="S", help="seconds to wait for a connection (default 10)")
    add("--version", action="version", version=_version())
    return parser


def _version() -> str:
    from livews import __version__

    return f"livews {__version__}"


def _refuse_empty(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """An empty value is a shell variable that is not set, and never what was meant."""
    for flag, value in pairwise([*argv, "-"]):
        if flag == "--":
            return
        if flag.startswith("--") and (flag.endswith("=") or not value.strip()) and not flag.startswith("--trace="):
            parser.error(f"{flag.rstrip('=')} is empty; leave it out, or is a variable of your shell not set?")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no time: seconds above 0")
    return seconds


def _split_trace(argv: Sequence[str]) -> list[str]:
    """`--trace` takes the next word only when that word is a file: `--trace "Hello"` says Hello."""
    words = list(argv)
    out: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            return [*out, word, *words]
        if word == "--trace":
            named = bool(words) and _is_file(words[0])
            word = f"--trace={words.pop(0)}" if named else "--trace=-"
        out.append(word)
    return out


def _is_file(word: str) -> bool:
    return not word.startswith("-") and " " not in word and (word.endswith(_FILES) or word.startswith(_PLACES))


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    from livews.cli.talking import talk

    return asyncio.run(talk(options, console))
