"""The options of every command as data, and their contradictions; those of `talk` and `trace` are in modules of theirs.

Only argparse and `options` are imported, so that `--help` and completion scripts start quickly.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livews.cli import options as opt
from livews.cli.options import Command, Parser, flag, pick, shared, value
from livews.cli.trace_options import TRACE_TOOLS


def parser_of(name: str) -> Parser:
    """The parser of a command."""
    if name == "talk":
        from livews.cli import talk

        return talk.parser()
    command = DEFINITIONS[name]
    parser = Parser(prog=f"livews {name}", **command.texts())
    _add(parser, command)
    if name == "trace":
        tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
        for tool, about in TRACE_TOOLS.items():
            text = about.description.partition(". ")[0].rstrip(".")
            text = text[0].lower() + text[1:]
            _add(tools.add_parser(tool, help=text, **about.texts()), about)
    return parser


def _add(parser: Parser, command: Command) -> None:
    parser.add(command.groups)
    parser.set_defaults(parser=parser)


def parse(name: str, argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command other than `talk`; see `livews.cli.parse`."""
    options = parser_of(name).parse_args(argv)
    options.module = DEFINITIONS[name].module
    command = TRACE_TOOLS[options.tool] if name == "trace" else DEFINITIONS[name]
    if command.check:
        command.check(options.parser, options)
    return options


# Types


def _month(text: str) -> str:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-\d\d)?", text):
        raise argparse.ArgumentTypeError(f"invalid month {text}: expected YYYY-MM, such as 2026-03")
    return text[:7]


def _trait(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a profile's `wire`: JSON or a bare word, of the type that the profile has."""
    from livews.core import codec, models, protocol

    name, equals, text_value = text.partition("=")
    wire = models.profile("")["wire"]
    if not equals or name not in wire:
        raise argparse.ArgumentTypeError(f"invalid value {text}: expected NAME=VALUE, NAME one of {', '.join(wire)}")
    usual = wire[name]
    try:
        result = codec.parse_any(text_value.encode())
    except codec.WireError:
        result = text_value
    allowed = protocol.models()["wireValues"].get(name, [result])
    if isinstance(result, str) and result not in allowed:
        raise argparse.ArgumentTypeError(f"{name} is one of {', '.join(allowed)}, not {result}")
    kind = (int, float) if isinstance(usual, (int, float)) else type(usual)
    if not isinstance(result, kind) or isinstance(result, bool) is not isinstance(usual, bool):
        raise argparse.ArgumentTypeError(f"{name} is written like {codec.dump(usual).decode()}, not {text_value}")
    if name == "chunkMs" and not 1 <= result <= 10_000:
        raise argparse.ArgumentTypeError("chunkMs is a number of milliseconds from 1 to 10000")
    return name, result


_duration = opt.number("duration", 0.001, 86_400, "seconds")

# Contradictions


def _refuse_given(command: Parser, options: argparse.Namespace, names: Sequence[str], why: str) -> None:
    for name in names:
        if getattr(options, name) != command.get_default(name):
            command.error(f"--{name.replace('_', '-')} {why}")


def _check_serve(command: Parser, options: argparse.Namespace) -> None:
    command.refuse(options.ca and not options.tls, "--ca needs --tls")
    command.refuse(options.fast and not options.scripts, "--fast needs a trace to replay")
    if options.scripts:
        names = ("go_away", "time_scale", "reply", "heard", "calls", "require_key", "sessions_per_key", "as_of",
                 "wire")  # fmt: skip
        _refuse_given(command, options, names, "cannot be combined with a script, which decides that itself")
    is_file = options.trace.endswith(".jsonl") or (options.trace not in ("", "-") and Path(options.trace).is_file())
    command.refuse(is_file, "--trace names a folder here: it holds a file per session")
    if "help" in options.fault:
        _list_faults()
        command.exit(0)


def _list_faults() -> None:
    from livews.server.faults import KINDS

    for name, kind in KINDS.items():
        usage = name + (f"={kind.value}" if kind.value else "") + ("[@N]" if kind.once else "")
        print(f"{usage:28} {kind.help}{f' (default {kind.default})' if kind.default else ''}")
    print("@N: at the server's N-th message; without it at the second, for close at the first (setupComplete)")
    print("ID: an id in protocol/closes.json; `livews explain CODE REASON` shows it in brackets")


def _check_proxy(command: Parser, options: argparse.Namespace) -> None:
    from livews.loopback import is_loopback

    _check_upstream(command, options)
    exposed = options.inject_key and not is_loopback(options.host)
    command.refuse(
        exposed, "--inject-key would lend your credential to the network: leave it out, or leave out --host"
    )


def _check_upstream(command: Parser, options: argparse.Namespace) -> None:
    command.refuse(options.ca and not options.tls, "--ca needs --tls")
    both = options.location and options.upstream
    command.refuse(both, "--location chooses a host of Vertex, --upstream names one: leave one out")
    command.refuse(options.trace == "-", "every message is shown already: name a file after --trace, or leave it out")


def _check_inspect(command: Parser, options: argparse.Namespace) -> None:
    _check_upstream(command, options)
    named = options.offline and (options.upstream or options.vertex)
    command.refuse(named, "--offline uses the built-in stand-in: leave out --upstream and --vertex")
    if options.file:
        names = ("proxy_port", "upstream", "vertex", "location", "timeout", "offline", "inject_key", "allow_origin",
                 "trace", "trace_media", "tls", "ca")  # fmt: skip
        _refuse_given(command, options, names, "is about the proxy, which does not run with FILE")
    is_no_file = options.file == "-" or (options.file and Path(options.file).is_dir())
    command.refuse(is_no_file, "FILE is a trace that is being written: name a file, such as session.jsonl")
    options.missing = bool(options.file) and not Path(options.file).exists()


# Commands

_CLIENT = "Point a client at it: livews --url URL, GOOGLE_GEMINI_BASE_URL=URL, or baseUrl in an SDK's options."
_UPSTREAM: opt.Rows = pick("--upstream", "--vertex", "--location", "--timeout")
_CLIENTS: opt.Rows = pick("--inject-key", "--allow-origin")
_TRACE = {"--trace": value("FILE", "write every message to FILE.jsonl, or to FOLDER/session-1.jsonl, ...")}
DEFINITIONS = {
    "serve": Command(
        "livews.cli.serve",
        "Run the stand-in: a local server that speaks the Live API, needs neither a key nor a network, and says that it "
        "is not Gemini. With a SCENARIO (.json) or a trace (.jsonl) it plays that instead, one a connection.",
        {
            "": {"scripts": opt.argument("SCENARIO", "a scenario, or a trace to replay", nargs="*")},
            "where to listen": {**shared("--port", " (default 8765)", default=8765), **pick("--host", "--tls", "--ca")},
            "time": {
                "--pace": value("N", "scale short waits: 1 as the service (default), 0 none", 1.0, type=opt.number("pace", 0, 100)),
                "--time-scale": value("N", "make long times (a connection's life) N times shorter", 1.0, type=opt.number("scale", 0.01, 100_000)),
                "--go-away": value("S", "send goAway S seconds after setupComplete", 0.0, type=_duration),
                "--fast": flag("replay a trace without its timing"),
                "--patience": value("S", "seconds a script waits for a client (default 30)", 30.0, type=_duration),
            },
            "what it says and accepts": {
                "--voice": value(
                    "NAME",
                    "what speaks: tones (default), espeak-ng, espeak, say, or auto for a speech command if there is one",
                    "tones",
                ),
                "--reply": opt.choice(("words", "echo"), "echo: play a spoken turn back, too", "words"),
                "--heard": opt.repeated("TEXT", "the transcript of a client's next spoken turn"),
                "--calls": opt.choice(
                    ("auto", "always", "never"),
                    "when to call a declared function; auto: if a prompt names it, always: the first one",
                    "auto",
                ),
                "--require-key": value("KEY", "refuse other keys, as the service does"),
                "--sessions-per-key": value("N", "refuse session N+1 of a key (1011 quota)", 0, type=opt.whole("number", 1, 1_000_000)),
                "--as-of": value("MONTH", "emulate the service as of YYYY-MM", None, type=_month),
                "--wire": opt.repeated("NAME=VALUE", "change a member of the model profile's `wire`, e.g. toolCallEndsTurn=true", type=_trait),
                "--fault": opt.repeated("NAME[=VALUE][@N]", "inject a fault, e.g. `stall@3` at the third server message; `--fault help` lists them"),
            },
            "output": {
                "--trace": value("FOLDER", "write each session to FOLDER/session-1.jsonl, ...; - shows its messages"),
                **shared("--once", " (with scripts: after one of each)"),
                **pick("--quiet", "--color"),
            },
        },
        "livews serve --fault stall@3",
        f"{_CLIENT}\nURL/livews/status, with http://, returns its state as JSON.",
        _check_serve,
    ),
    "proxy": Command(
        "livews.cli.proxy",
        "Forward every byte between a client and the service unchanged, show each message, write a trace and explain why "
        "a connection closed. With --quiet only sessions, faults and closes are shown.",
        {
            "where": {
                **shared("--port", " (default 8766)", default=8766),
                **shared("--host", "; another one lets others use the proxy"),
                **pick("--tls", "--ca"),
                **_UPSTREAM,
            },
            "clients": _CLIENTS,
            "output": {**_TRACE, **pick("--trace-media", "--once", "--quiet", "--color")},
        },
        "livews proxy --trace session.jsonl",
        f"{_CLIENT}\nThe client's key is forwarded and never shown. HTTPS_PROXY and NO_PROXY apply to the way to the upstream.",
        _check_proxy,
    ),
    "inspect": Command(
        "livews.cli.inspect_command",
        "Serve a page on this machine that shows sessions while they run: every message with what the schemas say about "
        "it, faults and closes explained, the audio of both sides, and a composer to send messages of your own. It shows "
        "sessions that pass its proxy or, with FILE, those that are being written there.",
        {
            "": {"file": opt.argument("FILE", "follow a trace while it is written", nargs="?", default="")},
            "where": {
                **shared("--port", " (of the page, default 8767)", default=8767),
                "--proxy-port": shared("--port", " (of the proxy, default 8766)", default=8766)["--port"],
                **pick("--tls", "--ca"),
                **_UPSTREAM,
                **pick("--offline"),
            },
            "clients": _CLIENTS,
            "output": {**_TRACE, **pick("--trace-media", "--quiet", "--color")},
        },
        "livews inspect --offline",
        "Open the URL in the first line. Point a client at the proxy, or press Open session on the page.",
        _check_inspect,
    ),
    "check": Command(
        "livews.cli.check",
        "Check messages and traces against the schemas and rules of protocol/.",
        {
            "": {
                "files": opt.argument("FILE", "a message, JSON lines of messages, or a trace; - is stdin", nargs="+"),
                "--from": opt.choice(("client", "server"), "who sent the messages", dest="side"),
                **pick("--strict", *opt.OUTPUT),
            }
        },
        "livews check message.json",
        "One line per finding: FILE:LINE error|note PATH: complaint (RULE). Exit 0: no error, 1: errors.\n"
        "`livews explain RULE` explains a rule.",
    ),
    "trace": Command(
        "livews.cli.trace",
        "Work with recorded sessions: what `livews --trace FILE` wrote.",
        {},
        "livews trace show session.jsonl",
        "A FILE is a trace (JSON lines, format livews-trace 1); - is stdin. See `livews trace TOOL --help`.\n"
        "To replay its server to a client: livews serve FILE. To replay its client: livews trace replay FILE --to URL.",
    ),
    "explain": Command(
        "livews.cli.explain",
        "Explain why a connection closed, a rule, a member, message, type, value, state or model of the protocol, or a "
        "whole message, member by member. Nothing is sent anywhere.",
        {
            "": {
                "what": opt.argument("WHAT", "a close code, an HTTP status, a line of a log, a rule id, a name or path, or a JSON message; - is stdin"),
                "reason": opt.argument("REASON", "the reason text of the close", nargs="*"),
                **pick("--json", "--color"),
            }
        },
        'livews explain 1007 "Request contains an invalid argument."',
        """  livews explain 1006
  livews explain "sent 1011 (internal error) keepalive ping timeout; no close frame received"
  livews explain 404          an HTTP status instead of the upgrade
  livews explain SETUP-1      a rule
  livews explain clientContent
  livews explain /setup/generationConfig/responseModalities
  livews explain generation_config.temperature
  livews explain START_SENSITIVITY_HIGH
  livews explain '{"setup": {"model": "models/gemini-3.8-live"}}'
  livews explain -            a message, a name or a reason from stdin""",
    ),
    "devices": Command(
        "livews.cli.devices",
        "List the audio devices: number, name, host, channels in and out, rate. > is the default input, < the default "
        "output, * both.",
        {"": pick(*opt.OUTPUT)},
        "livews devices",
        "--device takes a number or a part of a name: livews --device 3, livews --device headset",
    ),
    "doctor": Command(
        "livews.cli.doctor",
        "Check Python, key, environment, network, session and audio, in the order a conversation needs them, and say what "
        "to do. Without a key the built-in stand-in is checked instead of the service.",
        {
            "": {
                **pick("--model"),
                "--turn": flag("also take one short turn, which costs some tokens"),
                "--mute": flag("leave the audio devices alone"),
            },
            "connection": pick(*opt.CONNECTION),
            "output": pick(*opt.OUTPUT),
        },
        "livews doctor",
        "exit: 0 nothing failed, else that of the first failure: 1 Python, 2 usage, 3 credentials, 4 unreachable, "
        "5 closed by the service, 6 no audio",
        opt.check_connection,
    ),
    "completion": Command(
        "livews.cli.completion",
        "Print a script that makes a shell complete livews commands, options and file names.",
        {"": {"shell": {"choices": ("bash", "zsh", "fish", "powershell"), "help": "the shell"}, **pick("--color")}},
        'eval "$(livews completion bash)"',
        """  eval "$(livews completion zsh)"
  livews completion fish | source
  livews completion powershell | Out-String | Invoke-Expression
Add the line to ~/.bashrc, ~/.zshrc, ~/.config/fish/config.fish or $PROFILE to have it in every shell.""",
    ),
    "help": Command(
        "livews.cli.help",
        "Show a page of the documentation, or the options of a command; without an argument, list both.",
        {"": {"words": opt.argument("TOPIC", "a page, or a command such as serve or trace html", nargs="*")}},
        "livews help testing",
        "  livews help closes | less\n  livews help trace html",
    ),
}  # fmt: skip
