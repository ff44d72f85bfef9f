"""The tools of `livews trace` that write a file: cut, redact, export, html and import.

What a tool alone needs is imported by it.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from livews.cli import reader
from livews.cli.console import Console
from livews.errors import BadRequest
from livews.terminal_text import plural
from livews.trace.atomic_output import atomic_output
from livews.trace.session import RecordedSession
from livews.whole_file import read_whole

_FORMATS = ("har", "wav", "srt", "vtt", "md")
_SUFFIXES = {"webvtt": "vtt", "markdown": "md"}
"""Other ends of file names than those of the formats."""
_RECORD = "record with the network panel open from the start"
_MOST_BYTES = 1 << 30
"""Of a HAR, which is read whole."""


@contextmanager
def _sessions_and_output(
    options: argparse.Namespace, console: Console, *, number: int | None = None, texts: bool = False
) -> Iterator[tuple[Iterator[RecordedSession], BinaryIO]]:
    """The sessions of FILE, and the file after -o."""
    with (
        reader.sessions(options.file, console, number=number, texts=texts) as sessions,
        _output(options.out, options, console) as out,
    ):
        yield sessions, out


@contextmanager
def _output(path: str, options: argparse.Namespace, console: Console) -> Iterator[BinaryIO]:
    """The file to write, with a note if there was another of this name."""
    existed = path != "-" and Path(path).is_file()
    with atomic_output(path, source=options.file) as out:
        yield out
    if existed:
        console.note(f"{path} existed and was replaced")


def cut(options: argparse.Namespace, console: Console) -> int:
    """Keep a part of a recorded session."""
    from livews.trace import slice

    has_span = options.start is not None or options.end is not None
    if has_span == (options.turn is not None):
        options.parser.error("name what to keep: --from S, --to S or both, or --turn N")
    part = {"from": options.start, "to": options.end, "turn": options.turn}
    about = {name: value for name, value in part.items() if value is not None}
    with (
        reader.one_session(options.file, options.session, console, texts=True) as session,
        _output(options.out, options, console) as out,
    ):
        kept = slice.cut(session, reader.selection(options), about, out)
        if not kept:
            why = (
                f"the session has {plural(session.conversation.turns, 'turn')}"
                if options.turn
                else "no line has such a time"
            )
            raise BadRequest("there is nothing to keep", where=options.file, why=why, fix="select another part")
    console.note(f"{plural(kept, 'line')} kept, and the setup before: {options.out}")
    return 0


def redact(options: argparse.Namespace, console: Console) -> int:
    """Remove what others must not see from a trace."""
    from livews.trace.redact import Redaction

    redaction = Redaction(audio=options.audio, text=options.text)
    lines = 0
    with _sessions_and_output(options, console, texts=True) as (sessions, out):
        for session in sessions:
            out.write(redaction.header(session.header))
            for line, _ in session:  # with its steps, which know the handles
                lines += 1
                if line.text:  # a message that a line only counts goes with that line
                    out.write(redaction.line(line.text))
    left = {"sound and pictures": not options.audio, "words": not options.text}
    names = " and ".join(name for name, is_left in left.items() if is_left)
    console.note(f"{plural(lines, 'line')}: {options.out}" + (f"; {names} are still in it" if names else ""))
    return 0


def html(options: argparse.Namespace, console: Console) -> int:
    """Write a report page."""
    from livews.report import render

    title = reader.shown_name("-" if options.file == "-" else Path(options.file).name)
    with _sessions_and_output(options, console) as (sessions, out):
        page = render.page(sessions, title, out)
    counts = {"session": page.sessions, "message": page.messages, "finding": page.findings}
    summary = ", ".join(plural(count, noun) for noun, count in counts.items())
    console.note(f"{options.out}: {summary}, {page.size:,} B")
    return 0


def export(options: argparse.Namespace, console: Console) -> int:
    """Convert a recorded session to HAR, WAV, captions or Markdown."""
    refuse = options.parser.error
    if len(options.formats) > 1:
        refuse(f"--{options.formats[0]} and --{options.formats[1]}: choose one")
    suffix = Path(options.out).suffix.lower().lstrip(".")
    form = options.formats[0] if options.formats else _SUFFIXES.get(suffix, suffix)
    if form not in _FORMATS:
        refuse("which format? name a file that ends in .har, .wav, .srt, .vtt or .md, or add --har, --wav ...")
    if form == "har":
        from livews.trace.har import write_har

        with _sessions_and_output(options, console, number=options.session) as (sessions, out):
            count = write_har(sessions, out)
        console.note(f"{options.out}: {plural(count, 'message')}")
        return 0
    if form == "wav":
        if options.out == "-":
            refuse("a WAV file begins with its length, so it cannot go to stdout: name a file after -o")
        return _wav(options, console)
    from livews.analysis.transcript import transcript_of
    from livews.report import captions, markdown

    with reader.one_session(options.file, options.session, console) as session:
        transcript = transcript_of(session)
        if form == "md":
            text = markdown.markdown(transcript, session)
        else:
            text = captions.srt(transcript) if form == "srt" else captions.vtt(transcript)
            if not transcript.captions():
                console.warn("this trace has no transcripts, so there are no captions: request them in the setup")
    with _output(options.out, options, console) as out:
        out.write(text.encode(errors="replace"))
    console.note(f"{options.out}: {plural(transcript.turns, 'turn')}, {transcript.length:.1f} s")
    return 0


def _wav(options: argparse.Namespace, console: Console) -> int:
    from livews.audio.resample import resampler
    from livews.report.mixdown import mix_down

    paths: list[str] = []
    with ExitStack() as stack:

        def open_out(which: str) -> BinaryIO:
            path = Path(options.out)
            paths.append(str(path if which == "both" else path.with_name(f"{path.stem}-{which}{path.suffix}")))
            return stack.enter_context(_output(paths[-1], options, console))

        with reader.one_session(options.file, options.session, console) as session:
            result = mix_down(session, resampler, open_out)
            if session.elided:
                why = "it was written with --trace-media elide, or redacted with --audio"
                fix = "export a trace that has it"
                raise BadRequest("there is no audio in this trace", where=options.file, why=why, fix=fix)
    if result.is_split:
        console.warn(
            "the two sides have different rates, and soxr, which resamples one of them, is not installed: two files, one "
            "per side, on the same time line; for one file with two channels: pip install soxr"
        )
    if result.left_out:
        console.warn(f"audio that is not PCM is left out: {', '.join(result.left_out)}")
    console.note(f"{', '.join(paths)}: {result.seconds:.1f} s")
    return 0


def import_har(options: argparse.Namespace, console: Console) -> int:
    """Make a trace from a HAR."""
    from livews.trace import har

    shown = reader.shown_name(options.file)
    stdin = console.environment.stdin.buffer if options.file == "-" else None
    raw = read_whole(shown, "the HAR", fix="name a .har file", stdin=stdin, most=_MOST_BYTES, json_object=True)
    sockets = har.load(raw, shown)
    wanted = [socket for socket in sockets if options.all or socket.is_live]
    if not wanted:
        why = "it has no WebSocket messages: the recorder did not keep them"
        fix = _RECORD
        if sockets:
            why = f"it has {plural(len(sockets), 'WebSocket')}, none of which uses BidiGenerateContent"
            fix = "import every one with --all"
        raise BadRequest(f"there is no session in {shown}", where=shown, why=why, fix=fix)
    count = 0
    with _output(options.out, options, console) as out:
        for socket in wanted:
            messages, left_out = har.write(socket, out)
            count += messages
            if left_out:
                console.warn(f"left out of {har.shown(socket.url)}: {plural(left_out, 'unreadable message')}")
            console.note(f"{plural(messages, 'message')} of {har.shown(socket.url)}")
        if not count:
            why = "its WebSockets have no message that can be read: the text or the direction of each is missing"
            raise BadRequest(f"there is no message in {shown}", where=shown, why=why, fix=_RECORD)
    return 0
