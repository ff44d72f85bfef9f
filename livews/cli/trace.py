"""`livews trace`: look at recorded sessions, judge, measure, compare, cut, redact and convert them.

- One tool a subcommand; each is a row in TOOLS, and imports its part when it runs.
- What was asked for is on stdout or in the file after -o; what a person should know besides is on stderr.
- A file is read as a stream, `-` is stdin; no tool writes over what it reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from livews.cli.console import COLOR_HELP, Console

if TYPE_CHECKING:
    from livews.core.conversation import Step
    from livews.errors import BadRequest
    from livews.recorder import Direction
    from livews.report.mixdown import ResamplerLike
    from livews.trace.reader import TraceRecord
    from livews.trace.session import RecordedSession
    from livews.trace.slice import Wanted

_MOST_HAR = 1 << 30
_FORMATS = ("har", "wav", "srt", "vtt", "md")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews trace",
        description="Look at recorded sessions: what `livews --trace FILE` wrote.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="A FILE is a trace (JSON lines, format livews-trace 1); - is stdin. `livews trace TOOL --help` tells more.\n"
        "To play its server to a client: livews serve FILE. To play its client to a server: livews trace replay FILE --to URL.",
    )
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    for name, (about, add, _run) in TOOLS.items():
        tool = tools.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        add(tool)
        tool.add_argument("--quiet", action="store_true", help="nothing on stderr but failures")
        tool.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
        tool.set_defaults(refuse=tool.error, parser=tool)
    options = parser.parse_args(argv)
    _refuse(options)
    return options


def _refuse(options: argparse.Namespace) -> None:
    """Flags that cannot work together."""
    if options.tool == "cut":
        spans = options.start is not None or options.end is not None
        if spans == (options.turn is not None):
            options.refuse("say what to keep: --from S, --to S or both, or --turn N")
    if options.tool in ("show", "cut") and None not in (options.start, options.end) and options.end < options.start:
        options.refuse(f"--to {options.end:g} is before --from {options.start:g}")
    if options.tool == "export":
        if len(options.formats) > 1:
            options.refuse(f"--{options.formats[0]} and --{options.formats[1]}: choose one")
        options.format = options.formats[0] if options.formats else _suffix(options.out)
        if options.format not in _FORMATS:
            options.refuse(
                "which form? name a file that ends in .har, .wav, .srt, .vtt or .md, or add --har, --wav ..."
            )
        if options.format == "wav" and options.out == "-":
            options.refuse("a WAV file tells its length first, so it cannot go to stdout: name a file after -o")
    if options.tool == "replay":
        from livews.cli import replay

        replay.check(options)
    if options.tool == "diff" and options.files == ["-", "-"]:
        options.refuse("stdin can be read once: name at least one file")


def _suffix(path: str) -> str:
    return {"webvtt": "vtt", "markdown": "md"}.get(found := Path(path).suffix.lower().lstrip("."), found)


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest

    try:
        code = TOOLS[options.tool][2](options, console)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except OSError as problem:
        console.abandon_stdout()
        raise BadRequest(
            f"the output cannot be written: {problem.strerror or problem}",
            where="stdout",
            fix="free the disk, or send stdout elsewhere",
        ) from None


# What the tools share


def _file(tool: argparse.ArgumentParser) -> None:
    tool.add_argument("file", metavar="FILE", help="a trace, or - for stdin")


def _out(tool: argparse.ArgumentParser) -> None:
    tool.add_argument("-o", "--out", required=True, metavar="OUT", help="the file to write; - is stdout")


def _part(tool: argparse.ArgumentParser) -> None:
    add = tool.add_argument
    add("--from", dest="start", type=_time, metavar="S", help="from this second of the session on")
    add("--to", dest="end", type=_time, metavar="S", help="up to this second")
    add("--turn", type=_count, metavar="N", help="this turn, from 1: what the user said and all of the answer")


def _which(tool: argparse.ArgumentParser) -> None:
    tool.add_argument("--session", type=_count, metavar="N", help="this session, where the file holds several")


def _time(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no time: seconds, such as 12.5")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    from livews.trace.session import unreadable

    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as problem:
            raise unreadable(name, problem) from None
        yield file


@contextmanager
def _sessions(
    name: str, console: Console, *, number: int | None = None, texts: bool = False, shown: str = ""
) -> Iterator[Iterator[RecordedSession]]:
    """The sessions of a file, at least one, or that of this number; a line that was cut off is told of."""
    from livews.trace.session import follow

    with _opened(name) as file:
        shown = shown or ("stdin" if name == "-" else name)

        def told() -> Iterator[RecordedSession]:
            last = 0
            for session in follow(_lines(file, shown), shown, texts=texts):
                last = session.number
                if number in (None, last):
                    yield session
                for _ in session:
                    pass
                if session.cut_at is not None:
                    console.warn(
                        f"{shown}:{session.cut_at} ends in mid-line and is left out: the trace was cut off there"
                    )
                if number == last:
                    return
            if number is not None:
                raise _no_such("session", number, last, shown)

        yield told()


def _no_such(what: str, number: int, last: int, name: str) -> BadRequest:
    from livews.errors import BadRequest

    fix = f"there are {last}: --{what} 1 to {last}" if last > 1 else f"there is one: leave out --{what}"
    return BadRequest(f"there is no {what} {number} in {name}", where=name, fix=fix)


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    from livews.trace.reader import lines_of
    from livews.trace.session import unreadable

    try:
        yield from lines_of(file, name)
    except OSError as problem:  # a folder, a disk that fails
        raise unreadable(name, problem) from None


@contextmanager
def _session(
    name: str, number: int | None, console: Console, *, texts: bool = False, shown: str = ""
) -> Iterator[RecordedSession]:
    """One session of a file: the one asked for, or the first, and then it is told that there are more."""
    with _sessions(name, console, number=number, texts=texts, shown=shown) as found:
        yield next(found)
        if next(found, None) is not None:
            console.warn("the file holds several sessions: this is the first; --session N takes another")


def _wanted(options: argparse.Namespace) -> Wanted:
    from livews.trace.slice import between, in_turn

    if options.turn is not None:
        turn = in_turn(options.turn)
        span = between(options.start, options.end)
        return lambda session, line: turn(session, line) and span(session, line)
    return between(options.start, options.end)


# show


def _add_show(tool: argparse.ArgumentParser) -> None:
    _file(tool)
    _part(tool)
    _which(tool)
    add = tool.add_argument
    add(
        "--kind",
        default="",
        metavar="NAME,...",
        help="messages with these members or signals, or ping, pong, close, heard",
    )
    add("--side", choices=("client", "server"), help="of this side alone")
    add("--faults", action="store_true", help="frames with which something is wrong")
    add("--json", action="store_true", help="one JSON object a line: what each was, did and meant; media left out")


def _show(options: argparse.Namespace, console: Console) -> int:
    from livews.core.rules import unanswered_setup
    from livews.redactor import Redactor
    from livews.trace.ending import SessionEnding
    from livews.trace.view import TraceView

    kinds = {name for name in options.kind.split(",") if name}
    _refuse_misspelled(kinds)
    occur: set[str] = set()
    last_turn = 0
    wanted = _wanted(options)
    paint = console.paint if sys.stdout.isatty() or options.color == "always" else _plain
    write = sys.stdout.write
    flush = sys.stdout.flush if sys.stdout.isatty() or options.file == "-" else _nothing
    shown = 0

    def say(text: str) -> None:
        write(text + "\n")
        flush()

    with _sessions(options.file, console, number=options.session) as found:
        for session in found:
            if session.number > 1 and not options.json:
                say(paint("dim", f"-- session {session.number}"))
            view = TraceView(say, paint, Redactor().redact)
            ending = SessionEnding()
            for line, step in session:
                ending.take(line, step)
                its = _kinds(line, step) if kinds else set()
                occur |= kinds & its
                last_turn = max(last_turn, session.turn)
                if (
                    (options.side and line.sender != options.side)
                    or (options.faults and not (step is not None and step.faults))
                    or (kinds and not kinds & its)
                    or not wanted(session, line)
                ):
                    if step is not None:
                        view.passed(step)
                    continue
                shown += 1
                if options.json:
                    say(_as_json(session, line, step))
                elif line.raw is not None and step is not None:
                    view.frame(line.t, _dir(line), "text", step, line.size, line.inserted)
                else:
                    view.control(line.t, _dir(line), line.control, line.about)
            view.close()
            if ending.unanswered is not None and not options.json:
                view.find(unanswered_setup())
    if options.turn is not None and options.turn > last_turn:
        raise _no_such("turn", options.turn, last_turn, options.file)
    _tell_unknown(kinds - occur, console)
    if not shown:
        console.note("no line fits what was asked for")
    return 0


def _known_kinds() -> dict[str, str]:
    """Names --kind may have whatever the trace holds, by their form without case and underscores."""
    from livews.core import protocol, schema
    from livews.trace.reader import CONTROLS

    tables = [schema.table(envelope).members for envelope in schema.ENVELOPE.values()]
    members = [member.name for table in tables for member in table.values()]
    signals = [signal["name"] for signal in protocol.machine()["signals"]]
    return {_folded(name): name for name in (*members, *signals, *CONTROLS, "unreadable")}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _refuse_misspelled(kinds: set[str]) -> None:
    """Names that differ from a known one in case or underscores alone; others may be news that the trace holds."""
    known = _known_kinds() if kinds else {}
    for kind in sorted(kinds):
        meant = known.get(_folded(kind), kind)
        if meant != kind and kind not in known.values():
            raise _no_kind(kind, meant)


def _tell_unknown(kinds: set[str], console: Console) -> None:
    """Names of no message in the trace: refused where they are close to a known one, else told, unless known."""
    from difflib import get_close_matches

    known = _known_kinds() if kinds else {}
    for kind in sorted(kinds - {*known.values()}):
        if close := get_close_matches(_folded(kind), known, 1, 0.75):
            raise _no_kind(kind, known[close[0]])
        console.warn(f"no message is a {kind}: neither the protocol nor the trace has that name")


def _no_kind(kind: str, meant: str) -> BadRequest:
    from livews.errors import BadRequest

    return BadRequest(f"there is no kind {kind}", where="--kind", fix=f"did you mean {meant}?")


def _plain(style: str, text: str) -> str:
    return text


def _nothing() -> None:
    pass


def _dir(line: TraceRecord) -> Direction:
    return "send" if line.sender == "client" else "recv"


def _kinds(line: TraceRecord, step: Step | None) -> set[str]:
    if step is None or line.raw is None:
        return {line.control}
    return {*step.kind.split("+"), *step.signals}


def _as_json(session: RecordedSession, line: TraceRecord, step: Step | None) -> str:
    import orjson

    from livews.terminal_text import json_line
    from livews.trace.media import elided
    from livews.trace.view import describe

    row: dict[str, Any] = {
        "session": session.number,
        "line": line.number,
        "t": line.t,
        "dir": _dir(line),
        "turn": session.turn,
    }
    if line.inserted:
        row["inserted"] = True
    if step is None or line.raw is None:
        row[line.control] = line.about
    else:
        row |= {"kind": step.kind, "size": line.size, "signals": step.signals, "effects": step.effects}
        row |= {"states": step.states if step.state else {}, "said": describe(step)}
        if step.kind != "unreadable":
            row["message"] = elided(step.body)
        for name, findings in (("faults", step.faults), ("notes", step.notes)):
            if findings:
                row[name] = [
                    {"rule": one.rule, "path": one.path, "complaint": one.complaint, "do": one.fix}
                    for one in findings
                ]
    return json_line(orjson.dumps(row, option=orjson.OPT_NON_STR_KEYS).decode())


# check


def _add_check(tool: argparse.ArgumentParser) -> None:
    add = tool.add_argument
    add("files", nargs="+", metavar="FILE", help="a trace, or - for stdin")
    add("--strict", action="store_true", help="notes count as errors")
    add("--json", action="store_true", help="one JSON object a finding")


def _check(options: argparse.Namespace, console: Console) -> int:
    from livews.cli.check import judge

    return judge(options, console, traces=True)


# stats


def _add_stats(tool: argparse.ArgumentParser) -> None:
    _file(tool)
    _which(tool)
    tool.add_argument("--json", action="store_true", help="one JSON object a session")


def _stats(options: argparse.Namespace, console: Console) -> int:
    from livews.analysis.stats import SessionStats, words
    from livews.cli.console import paragraph

    with _sessions(options.file, console, number=options.session) as found:
        for session in found:
            row = SessionStats(session).run()
            if options.json:
                console.data(json.dumps({"file": options.file, **row}, ensure_ascii=False))
                continue
            if session.number > 1:
                console.say("")
            for name, text in words(row):
                console.say(paragraph(f"{name:<15}", text)[2:])
    return 0


# diff


def _add_diff(tool: argparse.ArgumentParser) -> None:
    tool.add_argument("files", nargs=2, metavar="FILE", help="two traces; - is stdin")
    tool.add_argument("--json", action="store_true", help="one JSON object a difference")
    tool.add_argument(
        "--sound",
        choices=("bytes", "length", "nothing"),
        default="bytes",
        help="what of sound counts: its samples, its length, or that there is some (default bytes)",
    )


def _diff(options: argparse.Namespace, console: Console) -> int:
    from itertools import zip_longest

    from livews.exit_codes import Exit
    from livews.trace.compare import differences
    from livews.trace.normalize import NormalizedSession, normalize

    count = 0
    names = ["stdin" if name == "-" else name for name in options.files]
    with _sessions(options.files[0], console) as first, _sessions(options.files[1], console) as second:
        pairs = zip_longest((normalize(one) for one in first), (normalize(one) for one in second))
        for number, (one, other) in enumerate(pairs, 1):
            if one is None or other is None:
                count += 1
                has = names[0 if other is None else 1]
                if options.json:
                    console.data(json.dumps({"session": number, "words": f"only {has} has it"}))
                else:
                    console.say(f"session {number}: only {has} has it")
                continue
            assert isinstance(one, NormalizedSession)
            assert isinstance(other, NormalizedSession)
            for found in differences(one, other, options.sound):
                count += 1
                if options.json:
                    row = {"session": number, "side": found.side, "path": found.path, "words": found.words}
                    console.data(json.dumps({**row, "lines": found.lines}, ensure_ascii=False))
                else:
                    lines = " ".join(
                        f"{name}:{line}" for name, line in zip(names, found.lines, strict=True) if line is not None
                    )
                    console.say(f"{lines} {found.side} {found.path}: {found.words}")
    console.note("alike" if not count else f"{count:,} difference{'' if count == 1 else 's'}")
    return Exit.CHECK_FAILED if count else Exit.OK


# replay


def _add_replay(tool: argparse.ArgumentParser) -> None:
    from livews.cli import replay

    _file(tool)
    _which(tool)
    replay.add_flags(tool)


def _replay(options: argparse.Namespace, console: Console) -> int:
    from livews.cli import replay

    with ExitStack() as stack:
        # a wait for stdin would hold up the sockets, and Ctrl-C
        name, shown = (stack.enter_context(_kept()), "stdin") if options.file == "-" else (options.file, "")
        found = stack.enter_context(_sessions(name, console, number=options.session, texts=True, shown=shown))
        return replay.run(found, options, console)


# cut and redact


def _add_cut(tool: argparse.ArgumentParser) -> None:
    _file(tool)
    _part(tool)
    _which(tool)
    _out(tool)


def _cut(options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest
    from livews.trace.atomic_output import atomic_output
    from livews.trace.slice import cut

    said = {"from": options.start, "to": options.end, "turn": options.turn}
    with (
        _session(options.file, options.session, console, texts=True) as session,
        atomic_output(options.out, source=options.file) as out,
    ):
        kept = cut(session, _wanted(options), {name: value for name, value in said.items() if value is not None}, out)
        if not kept:
            turns = session.conversation.turns
            why = f"the session has {turns} turns" if options.turn else "no line has such a time"
            raise BadRequest("there is nothing to keep", where=options.file, why=why, fix="ask for another part")
    console.note(f"{kept:,} lines kept, and the setup before them: {options.out}")
    return 0


def _add_redact(tool: argparse.ArgumentParser) -> None:
    _file(tool)
    _out(tool)
    tool.add_argument("--audio", action="store_true", help="media too: its length and hash stay")
    tool.add_argument("--text", action="store_true", help="words too: each letter becomes an x")


def _redact(options: argparse.Namespace, console: Console) -> int:
    from livews.trace.atomic_output import atomic_output
    from livews.trace.redact import Redaction

    redaction = Redaction(audio=options.audio, text=options.text)
    lines = 0
    with (
        _sessions(options.file, console, texts=True) as found,
        atomic_output(options.out, source=options.file) as out,
    ):
        for session in found:
            out.write(redaction.header(session.header))
            for line in session.lines():
                lines += 1
                out.write(redaction.line(line.text))
    left = [
        words for words, taken in (("sound and pictures", options.audio), ("words", options.text)) if not taken
    ]  # fmt: skip
    console.note(f"{lines:,} lines: {options.out}" + (f"; {' and '.join(left)} are still in it" if left else ""))
    return 0


# export and import


def _add_export(tool: argparse.ArgumentParser) -> None:
    _file(tool)
    _which(tool)
    _out(tool)
    abouts = {
        "har": "HAR 1.2 for browsers and proxies, all sessions",
        "wav": "the sound, user left and model right",
        "srt": "captions of both",
        "vtt": "captions of both, for the web",
        "md": "a page of what was said and done",
    }
    tool.set_defaults(formats=[])
    for name, about in abouts.items():
        tool.add_argument(f"--{name}", dest="formats", action="append_const", const=name, help=about)


def _export(options: argparse.Namespace, console: Console) -> int:
    if options.format == "har":
        return _export_har(options, console)
    if options.format == "wav":
        return _export_wav(options, console)
    from livews.analysis.transcript import transcript_of
    from livews.report import captions
    from livews.report.markdown import markdown
    from livews.trace.atomic_output import atomic_output

    with _session(options.file, options.session, console) as session:
        told = transcript_of(session)
        makers: dict[str, Callable[[], str]] = {
            "srt": lambda: captions.srt(told),
            "vtt": lambda: captions.vtt(told),
            "md": lambda: markdown(told, session),
        }
        text = makers[options.format]()
        if not told.captions() and options.format != "md":
            console.warn("nobody's words are in this trace: ask for transcripts in the setup to have captions")
    with atomic_output(options.out, source=options.file) as out:
        out.write(text.encode(errors="replace"))
    console.note(f"{options.out}: {told.turns} turn{'' if told.turns == 1 else 's'}, {told.length:.1f} s")
    return 0


def _export_har(options: argparse.Namespace, console: Console) -> int:
    from livews.trace.atomic_output import atomic_output
    from livews.trace.har import HarWriter

    count = 0
    with (
        _sessions(options.file, console, number=options.session) as found,
        atomic_output(options.out, source=options.file) as out,
    ):
        writer = HarWriter(out)
        for session in found:
            count += writer.session(session)
        writer.end()
    console.note(f"{options.out}: {count:,} messages")
    return 0


def _export_wav(options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest
    from livews.report.mixdown import mix_down
    from livews.trace.atomic_output import atomic_output

    with ExitStack() as stack:
        places: dict[str, str] = {}

        def open_out(which: str) -> BinaryIO:
            path = Path(options.out)
            places[which] = str(path if which == "both" else path.with_name(f"{path.stem}-{which}{path.suffix}"))
            return stack.enter_context(atomic_output(places[which], source=options.file))

        with _session(options.file, options.session, console) as session:
            made = mix_down(session, _resample, open_out)
            if session.elided:
                raise BadRequest(
                    "there is no sound in this trace",
                    where=options.file,
                    why="it was written with --trace-media elide, or redacted with --audio",
                    fix="export a trace that has it",
                )
    if made.is_split:
        console.warn(
            "the two sides have different rates, and soxr, which brings them to one, is not installed: two files, one a "
            "side, on the same time line; for one of two channels: pip install soxr"
        )
    if made.left_out:
        console.warn(f"sound that is not PCM is left out: {', '.join(made.left_out)}")
    console.note(f"{', '.join(places.values())}: {made.seconds:.1f} s")
    return 0


@contextmanager
def _kept() -> Iterator[str]:
    """stdin as a file, for what has to read it twice, or cannot wait for it."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        for line in _lines(sys.stdin.buffer, "stdin"):
            file.write(line)
        file.flush()
        yield file.name


def _resample(rate: int, wanted: int) -> ResamplerLike | None:
    from livews.audio.resample import resampler

    return resampler(rate, wanted)


def _add_html(tool: argparse.ArgumentParser) -> None:
    _file(tool)
    _out(tool)


def _html(options: argparse.Namespace, console: Console) -> int:
    from livews.cli.check import many
    from livews.report import render
    from livews.trace.atomic_output import atomic_output

    with _sessions(options.file, console) as found, atomic_output(options.out, source=options.file) as out:
        made = render.page(found, Path(options.file).name if options.file != "-" else "stdin", out)
    counts = {"session": made.sessions, "message": made.messages, "finding": made.findings}
    told = ", ".join(many(count, what) for what, count in counts.items())
    console.note(f"{options.out}: {told}, {made.size:,} B")
    return 0


def _add_import(tool: argparse.ArgumentParser) -> None:
    tool.add_argument("file", metavar="FILE.har", help="a HAR of a browser or a proxy, or - for stdin")
    _out(tool)
    tool.add_argument("--all", action="store_true", help="every WebSocket, not only those of a Live API")
    tool.epilog = (
        "A HAR is one JSON value and is read whole: it takes a few times its size in memory. What is made of it is read a "
        "line at a time, as every trace."
    )


def _whole(file: BinaryIO, name: str) -> bytes:
    """A file to its end, in pieces, so that it has a bound and Ctrl-C is heard."""
    from livews.errors import BadRequest
    from livews.trace.session import unreadable

    whole, read = bytearray(), getattr(file, "read1", file.read)  # read would wait for the whole piece
    try:
        while piece := read(1 << 20):
            whole += piece
            is_long = len(whole) > _MOST_HAR
            if is_long or bytes(whole[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"", b"{"):
                why = f"it has more than {_MOST_HAR >> 30} GiB" if is_long else "it is no JSON object"
                raise BadRequest(f"{name} is no HAR that can be read", where=name, why=why, fix="name a .har file")
    except OSError as problem:  # a folder, a disk that fails
        raise unreadable(name, problem) from None
    return bytes(whole)


def _import(options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest
    from livews.trace import har
    from livews.trace.atomic_output import atomic_output

    shown = "stdin" if options.file == "-" else options.file
    with _opened(options.file) as file:
        sockets = har.load(_whole(file, shown), shown)
    wanted = [socket for socket in sockets if options.all or socket.is_live]
    if not wanted:
        raise BadRequest(
            f"there is no session in {shown}",
            where=shown,
            why=f"it has {len(sockets)} WebSockets, none of which speaks BidiGenerateContent"
            if sockets
            else "it has no WebSocket messages: the recorder did not keep them",
            fix="import every one with --all" if sockets else "record with the network panel open from the start",
        )
    with atomic_output(options.out, source=options.file) as out:
        for socket in wanted:
            messages, bad = har.write(socket, out)
            if bad:
                console.warn(f"{bad} messages of {har.shown(socket.url)} have no data that can be read: left out")
            console.note(f"{messages:,} messages of {har.shown(socket.url)}")
    return 0


TOOLS: dict[
    str,
    tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace, Console], int]],
] = {
    "show": ("show a session, a line a message", _add_show, _show),
    "check": ("judge it by the schemas and rules", _add_check, _check),
    "stats": ("measure it: turns, latencies, sound, tokens", _add_stats, _stats),
    "diff": ("compare two by what they mean", _add_diff, _diff),
    "replay": ("play one to a server again, as its client, and tell what differs", _add_replay, _replay),
    "cut": ("keep a part of one", _add_cut, _cut),
    "redact": ("take out what others must not see", _add_redact, _redact),
    "export": ("make a HAR, a WAV, captions or a page of it", _add_export, _export),
    "html": ("make a report to look at, one file", _add_html, _html),
    "import": ("make a trace of a HAR", _add_import, _import),
}
