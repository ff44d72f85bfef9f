"""`livews trace export`: convert a recorded session to HAR, WAV, captions or Markdown."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from livews.cli import options as opt
from livews.cli import reader
from livews.cli.console import Console

if TYPE_CHECKING:
    from livews.report.export import ResamplerLike

ABOUT = "convert a session to HAR, WAV, captions or Markdown"
EXAMPLE = "livews trace export session.jsonl -o session.wav"
_FORMATS = {
    "har": "HAR 1.2 for browsers and proxies, all sessions",
    "wav": "the audio, user left and model right",
    "srt": "captions of both sides",
    "vtt": "captions of both sides, for the web",
    "md": "a page of what was said and done",
}


def add(tool: opt.Parser) -> None:
    tool.add("", "FILE", "--session", "-o")
    tool.set_defaults(formats=[])
    tool.add("format (default: by the name of OUT)", {
        f"--{name}": {"dest": "formats", "action": "append_const", "const": name, "help": about}
        for name, about in _FORMATS.items()
    })  # fmt: skip


def check(command: opt.Parser, options: argparse.Namespace) -> None:
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


def run(options: argparse.Namespace, console: Console) -> int:
    if options.format == "har":
        return _har(options, console)
    if options.format == "wav":
        return _wav(options, console)
    from livews.analysis.timeline import timeline_of
    from livews.report import export
    from livews.trace.atomic_output import atomic_output

    with reader.one_session(options.file, options.session, console) as session:
        timeline = timeline_of(session, reader.speech_detector)
        if options.format == "md":
            text = export.markdown(timeline, session)
        else:
            text = export.srt(timeline) if options.format == "srt" else export.vtt(timeline)
            if not timeline.captions():
                console.warn("this trace has no transcripts, so there are no captions: request them in the setup")
    with atomic_output(options.out, source=options.file) as out:
        out.write(text.encode(errors="replace"))
    console.note(f"{options.out}: {reader.plural(timeline.turns, 'turn')}, {timeline.length:.1f} s")
    return 0


def _har(options: argparse.Namespace, console: Console) -> int:
    from livews.trace.atomic_output import atomic_output
    from livews.trace.har import HarWriter

    count = 0
    with (
        reader.sessions(options.file, console, number=options.session) as sessions,
        atomic_output(options.out, source=options.file) as out,
    ):
        writer = HarWriter(out)
        for session in sessions:
            count += writer.session(session)
        writer.end()
    console.note(f"{options.out}: {count:,} messages")
    return 0


def _wav(options: argparse.Namespace, console: Console) -> int:
    from livews.analysis.timeline import timeline_of
    from livews.errors import BadRequest
    from livews.report import export
    from livews.trace.atomic_output import atomic_output

    paths: list[str] = []
    with ExitStack() as stack:

        def open_out(which: str) -> BinaryIO:
            path = Path(options.out)
            paths.append(str(path if which == "both" else path.with_name(f"{path.stem}-{which}{path.suffix}")))
            return stack.enter_context(atomic_output(paths[-1], source=options.file))

        name, shown = stack.enter_context(reader.rereadable(options.file, console))
        with reader.one_session(name, options.session, console, shown=shown) as session:
            cuts = timeline_of(session, reader.speech_detector).cuts
        silent = Console(quiet=True, environment=console.environment)
        with reader.one_session(name, options.session, silent, shown=shown) as session:
            result = export.wav(session, cuts, _resample, open_out)
            if session.elided:
                raise BadRequest(
                    "there is no audio in this trace",
                    where=options.file,
                    why="it was written with --trace-media elide, or redacted with --audio",
                    fix="export a trace that has it",
                )
    if result.two:
        console.warn(
            "the two sides have different rates, and soxr, which resamples one of them, is not installed: two files, one "
            "per side, on the same time line; for one file with two channels: pip install soxr"
        )
    if result.left_out:
        console.warn(f"audio that is not PCM is left out: {', '.join(result.left_out)}")
    console.note(f"{', '.join(paths)}: {result.seconds:.1f} s")
    return 0


def _resample(rate: int, wanted: int) -> ResamplerLike | None:
    from livews.audio.resample import resampler

    return resampler(rate, wanted)
