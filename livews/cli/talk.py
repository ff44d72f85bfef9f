"""`livews talk`, the default command: its options. The talking itself is in `talking.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise

from livews.cli import COMMANDS, connection_options
from livews.cli.console import COLOR_HELP, Console

_FILES = (".jsonl", ".ndjson", ".json", ".log", ".txt", ".trace")
_SOUNDS = (".wav", ".wave", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".aif", ".aiff")  # told what they are
_PLACES = ("/", "./", "../", "~/")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    _refuse_empty(parser, argv)
    flags, said = _until_dashes(argv)
    options = parser.parse_intermixed_args(_split(flags))
    options.words += said
    if options.text and (options.wav or options.device):
        parser.error("--text wants no sound: leave out --wav and --device, or leave out --text")
    connection_options.check(parser, options)
    if not all(name for name in options.trace):
        parser.error("--trace= names no file: write --trace=FILE, or --trace alone for the terminal")
    for text in options.words:
        try:
            text.encode()
        except UnicodeEncodeError:
            parser.error(f"a TEXT is not UTF-8: {text.encode(errors='backslashreplace').decode()}; check the locale")
    if options.mute and options.device:
        parser.error("--mute plays nothing: leave out --device, or leave out --mute")
    if "-" in options.words and len(options.words) > 1:
        parser.error("- reads the turns from stdin: give no other TEXT beside it")
    _refuse_voice(parser, options)
    options.mic_open = "-" in options.mic
    options.mic_files = [name for name in options.mic if name != "-"]
    options.trace_files = [name for name in options.trace if name != "-"]
    options.trace_view = "-" in options.trace
    return options


def _refuse_voice(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Flags about the voice and pictures that would be ignored, or cannot work together."""
    if not all(name for name in options.mic):
        parser.error("--mic= names no file: write --mic=FILE.wav, or --mic alone for the microphone")
    if "-" in options.mic and len(options.mic) > 1:
        parser.error("--mic with a file speaks the file, and alone it listens to you: choose one")
    if options.words == ["-"] and "-" in options.mic:
        parser.error(
            "- reads turns from stdin until its end, and then leaves: leave it out beside --mic, or leave out --mic"
        )
    for flag in ("push_to_talk", "half_duplex", "echo_cancel"):
        if getattr(options, flag) and not options.mic:
            parser.error(f"--{flag.replace('_', '-')} is about the microphone: add --mic")
    if options.mic_device and "-" not in options.mic:
        parser.error("--mic-device chooses a microphone: add --mic, without a file")
    if options.echo_cancel and "-" not in options.mic:
        parser.error("a file hears no echo: leave out --echo-cancel")
    if options.screen and options.camera:
        parser.error("the model is shown one thing at a time: choose --screen or --camera")
    if options.tool_schema and not options.tool:
        parser.error("--tool-schema declares functions: add --tool 'NAME=COMMAND' for each")
    if options.half_duplex and options.echo_cancel:
        parser.error(
            "--half-duplex closes the microphone while the voice plays, --echo-cancel keeps it open: choose one"
        )
    if (options.half_duplex or options.echo_cancel) and (options.text or options.mute):
        parser.error("nothing is played, so there is no echo: leave out --half-duplex and --echo-cancel")
    if options.camera_device and not options.camera:
        parser.error("--camera-device chooses a camera: add --camera")


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:<10} {about}" for name, about in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="livews",
        usage="livews [talk] [OPTIONS] [TEXT ...]\n       livews serve|proxy|inspect|check|trace|explain|devices|doctor [OPTIONS] ...",
        description="Talk to a Gemini Live model: text in, voice and words out, over one WebSocket.",
        epilog=f"commands:\n{commands}\n\n"
        "Without a key in GOOGLE_API_KEY or GEMINI_API_KEY the built-in stand-in answers.\n"
        "exit: 0 fine, 1 a check failed, 2 usage, 3 credentials or quota, 4 unreachable, 5 closed by the service,\n"
        "      6 no sound device, camera or screen that was asked for, 130 Ctrl-C",
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

    voice = parser.add_argument_group("your voice").add_argument
    voice(
        "--mic",
        action="append",
        default=[],
        metavar="FILE.wav",
        help="listen to the microphone; with a WAV file (also --mic=FILE) speak that in real time, and again for more",
    )
    voice("--mic-device", default="", metavar="NAME", help="microphone: its number or a part of its name")
    voice("--push-to-talk", action="store_true", help="you say when you talk: Space or Enter begins and ends it")
    voice("--half-duplex", action="store_true", help="close the microphone while the voice plays (loudspeakers)")
    voice("--echo-cancel", action="store_true", help="take the voice out of the microphone, with the extra aec")

    see = parser.add_argument_group("pictures").add_argument
    see(
        "--image",
        action="append",
        default=[],
        metavar="FILE",
        help="show a picture before the first turn; - is stdin",
    )
    see("--screen", action="store_true", help="show the screen, a picture a second, with the extra screen")
    see("--camera", action="store_true", help="show the camera, a picture a second, through ffmpeg")
    see("--camera-device", default="", metavar="NAME", help="camera: /dev/video1, or as ffmpeg names it")
    see("--picture-size", type=_pixels, default=768, metavar="N", help="pixels of the longer side (default 768)")

    tools = parser.add_argument_group("tools").add_argument
    tools(
        "--tool",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="a function the model may call: its arguments as JSON on the command's stdin, its stdout is the answer",
    )
    tools("--tool-schema", action="append", default=[], metavar="FILE", help="JSON with the functions' declarations")
    tools(
        "--tool-timeout",
        type=connection_options.seconds,
        default=30.0,
        metavar="S",
        help="seconds a command may take (default 30)",
    )
    tools("--search", action="store_true", help="the model may search with Google")

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

    connection_options.add_flags(parser, "seconds to wait for a connection and its setup")
    add(
        "--turn-timeout",
        type=connection_options.seconds,
        default=120.0,
        metavar="S",
        help="seconds without a message in a turn before it is given up (default 120)",
    )
    add("--version", action="version", version=_version())
    return parser


def _version() -> str:
    from livews.version import __version__

    return f"livews {__version__}"


def _refuse_empty(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """An empty value is a shell variable that is not set, and never what was meant."""
    for flag, value in pairwise([*argv, "-"]):
        if flag == "--":
            return
        if (
            flag.startswith("--")
            and (flag.endswith("=") or not value.strip())
            and not flag.startswith(("--trace=", "--mic="))
        ):
            parser.error(f"{flag.rstrip('=')} is empty; leave it out, or is a variable of your shell not set?")


def _pixels(text: str) -> int:
    if not text.isdecimal() or not 16 <= int(text) <= 8192:
        raise argparse.ArgumentTypeError(f"{text} is no size: 16 to 8192 pixels")
    return int(text)


def _until_dashes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before and behind `--`: argparse would still look for flags behind it."""
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _split(argv: Sequence[str]) -> list[str]:
    """`--trace` and `--mic` take the next word only when that is their file: `--trace "Hello"` says Hello."""
    words = list(argv)
    out: list[str] = []
    while words:
        word = words.pop(0)
        if word in ("--trace", "--mic"):
            is_file = _is_file if word == "--trace" else _is_sound
            named = bool(words) and is_file(words[0])
            word = f"{word}={words.pop(0)}" if named else f"{word}=-"
        out.append(word)
    return out


def _is_file(word: str) -> bool:
    return not word.startswith("-") and " " not in word and (word.endswith(_FILES) or word.startswith(_PLACES))


def _is_sound(word: str) -> bool:
    return not word.startswith("-") and word.lower().endswith(_SOUNDS)


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    from livews.cli.conversation import talk

    return asyncio.run(talk(options, console))
