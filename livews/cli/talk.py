"""`livews talk`, the default command: its options. The conversation itself is in `conversation`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise

from livews.cli import options as opt
from livews.cli.console import Console
from livews.cli.options import Parser, flag, pick, repeated, seconds, value, whole
from livews.version import __version__

_FILES = (".jsonl", ".ndjson", ".json", ".log", ".txt", ".trace")
_AUDIO = (".wav", ".wave", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".aif", ".aiff")  # an error names others
_PATHS = ("/", "./", "../", "~/")


def parser() -> Parser:
    commands = "\n".join(f"  {name:<10} {about}" for name, about in opt.COMMANDS.items())
    parser = Parser(
        prog="livews",
        usage="livews [talk] [OPTIONS] [TEXT ...]\n       livews COMMAND [OPTIONS] ...",
        description="Talk to a Gemini Live model: text or your voice in, text and voice out.",
        example='livews "Hello? Gemini, are you there?"',
        notes=f"\ncommands:\n{commands}\n\n"
        "Without a key in GOOGLE_API_KEY or GEMINI_API_KEY the built-in stand-in answers.\n"
        "exit: 0 success, 1 a check failed, 2 usage, 3 credentials or quota, 4 unreachable, 5 closed by the service,\n"
        "      6 a requested audio device, camera or screen is missing, 130 Ctrl-C",
    )
    text = "one turn each; - reads them from stdin, one per line; without any: a prompt"
    trace = "show every message on stderr; with a FILE such as session.jsonl (or as --trace=FILE) write them there"
    mic = "listen to the microphone; with a WAV file (also --mic=FILE) speak that in real time; repeatable"
    tool = "a function the model may call: COMMAND gets the arguments as JSON on stdin, its stdout is the answer"
    waits = "seconds without a message until a turn is given up (default 120)"
    parser.add(
        {
            "": {
                "words": {"nargs": "*", "metavar": "TEXT", "help": text},
                "--turn-timeout": value("S", waits, 120.0, type=seconds),
                "--version": {"action": "version", "version": f"livews {__version__}"},
            },
            "session": {
                **pick("--model"),
                "--voice": value("NAME", "a prebuilt voice, such as Puck"),
                "--system": value("TEXT", "the system instruction"),
                "--setup": value("FILE", "a JSON file with members for the setup message"),
                "--text": flag("text only, no audio; from a model that only speaks, its transcript"),
                "--unchecked": flag("skip client-side validation of the setup message"),
            },
            "audio output": {
                "--wav": value("PATH", "write the voice to PATH, or to FOLDER/audio_0.wav, ... one per turn"),
                "--mute": flag("play nothing"),
                "--device": value("NAME", "output device: its number or a part of its name"),
            },
            "your voice": {
                "--mic": repeated("FILE.wav", mic),
                "--mic-device": value("NAME", "microphone: its number or a part of its name"),
                "--push-to-talk": flag("push to talk: Space or Enter starts and stops recording"),
                "--half-duplex": flag("close the microphone while the voice plays (loudspeakers)"),
                "--echo-cancel": flag("remove the voice from the microphone; needs the extra aec"),
            },
            "pictures": {
                "--image": repeated("FILE", "show a picture before the first turn; - is stdin"),
                "--screen": flag("show the screen, one picture a second; needs the extra screen"),
                "--camera": flag("show the camera, one picture a second; needs ffmpeg"),
                "--camera-device": value("NAME", "camera: /dev/video1, or as ffmpeg names it"),
                "--picture-size": value("N", "pixels of the longer side (default 768)", 768, type=_pixels),
            },
            "tools": {
                "--tool": repeated("NAME=COMMAND", tool),
                "--tool-schema": repeated("FILE", "JSON with the declarations of the functions"),
                "--tool-timeout": value("S", "seconds a command may take (default 30)", 30.0, type=seconds),
                "--search": flag("let the model search with Google"),
            },
            "output": {"--trace": repeated("FILE", trace), **pick("--trace-media", *opt.OUTPUT)},
            "connection": pick(*opt.CONNECTION),
        }
    )
    return parser


def parse(argv: list[str]) -> argparse.Namespace:
    command = parser()
    _refuse_empty(command, argv)
    at = argv.index("--") if "--" in argv else len(argv)  # argparse would look for options after it, too
    options = command.parse_intermixed_args(_join_optional_values(argv[:at]))
    options.words += argv[at + 1 :]
    opt.check_connection(command, options)
    for text in options.words:
        try:
            text.encode()
        except UnicodeEncodeError:
            shown = text.encode(errors="backslashreplace").decode()
            command.error(f"a TEXT is not UTF-8: {shown}; check the locale")
    _refuse_contradictions(command, options)
    options.mic_open = "-" in options.mic
    options.mic_files = [name for name in options.mic if name != "-"]
    options.trace_files = [name for name in options.trace if name != "-"]
    options.trace_view = "-" in options.trace
    options.module = __name__
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    from livews.cli.conversation import talk

    return asyncio.run(talk(options, console))


_pixels = whole("size", 16, 8192, "pixels")


def _refuse_contradictions(command: Parser, options: argparse.Namespace) -> None:
    """Refuse options that would be ignored, or cannot work together."""
    refuse, mic, listens = command.refuse, options.mic, "-" in options.mic
    refuse(
        options.text and (options.wav or options.device),
        "--text has no audio: leave out --wav and --device, or --text",
    )
    refuse("" in options.trace, "--trace= needs a file name: write --trace=FILE, or --trace alone for the terminal")
    refuse(options.mute and options.device, "--mute plays nothing: leave out --device, or --mute")
    both = "-" in options.words and len(options.words) > 1
    refuse(both, "- reads the turns from stdin: leave out every other TEXT")
    refuse("" in mic, "--mic= needs a file name: write --mic=FILE.wav, or --mic alone for the microphone")
    both = listens and len(mic) > 1
    refuse(both, "--mic with a file speaks the file, --mic alone listens to you: choose one")
    both = options.words == ["-"] and listens
    refuse(both, "- reads turns from stdin to its end, and then leaves: leave it out, or leave out --mic")
    for name in ("push_to_talk", "half_duplex", "echo_cancel"):
        is_alone = getattr(options, name) and not mic
        refuse(is_alone, f"--{name.replace('_', '-')} is about the microphone: add --mic")
    is_alone = options.mic_device and not listens
    refuse(is_alone, "--mic-device chooses a microphone: add --mic, without a file")
    refuse(options.echo_cancel and not listens, "a file hears no echo: leave out --echo-cancel")
    refuse(options.screen and options.camera, "only one source of pictures at a time: choose --screen or --camera")
    is_alone = options.tool_schema and not options.tool
    refuse(is_alone, "--tool-schema declares functions: add --tool 'NAME=COMMAND' for each")
    both = options.half_duplex and options.echo_cancel
    refuse(both, "--half-duplex closes the microphone while the voice plays, --echo-cancel keeps it open: choose one")
    is_silent = (options.half_duplex or options.echo_cancel) and (options.text or options.mute)
    refuse(is_silent, "nothing is played, so there is no echo: leave out --half-duplex and --echo-cancel")
    refuse(options.camera_device and not options.camera, "--camera-device chooses a camera: add --camera")


def _refuse_empty(command: Parser, argv: list[str]) -> None:
    """An empty value is a shell variable that is not set."""
    for name, text in pairwise([*argv, "-"]):
        if name == "--":
            return
        is_empty = name.endswith("=") or not text.strip()
        if name.startswith("--") and is_empty and not name.startswith(("--trace=", "--mic=")):
            command.error(f"{name.rstrip('=')} is empty: leave it out, or set the variable of your shell")


def _join_optional_values(argv: list[str]) -> list[str]:
    """`--trace` and `--mic` take the next word only if that is their file: `--trace "Hello"` says Hello."""
    words, result = list(argv), []
    while words:
        word = words.pop(0)
        if word in _LIKE_A_FILE:
            is_value = words and not words[0].startswith("-") and _LIKE_A_FILE[word](words[0])
            word = f"{word}={words.pop(0) if is_value else '-'}"
        result.append(word)
    return result


_LIKE_A_FILE: dict[str, Callable[[str], bool]] = {
    "--trace": lambda word: " " not in word and (word.endswith(_FILES) or word.startswith(_PATHS)),
    "--mic": lambda word: word.lower().endswith(_AUDIO),
}
