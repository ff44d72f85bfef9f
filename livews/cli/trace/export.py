"""`livews trace export`: convert a recorded session to HAR, WAV, captions or Markdown."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from livews.analysis.transcript import transcript_of
from livews.audio.resample import resampler
from livews.cli import reader
from livews.cli.console import Console
from livews.errors import BadRequest
from livews.report import captions
from livews.report.markdown import markdown
from livews.report.mixdown import mix_down
from livews.trace.atomic_output import atomic_output
from livews.trace.har import write_har

_FORMATS = ("har", "wav", "srt", "vtt", "md")
_SUFFIXES = {"webvtt": "vtt", "markdown": "md"}
"""Other ends of file names than those of the formats."""


def run(options: argparse.Namespace, console: Console) -> int:
    refuse = options.parser.error
    if len(options.formats) > 1:
        refuse(f"--{options.formats[0]} and --{options.formats[1]}: choose one")
    suffix = Path(options.out).suffix.lower().lstrip(".")
    form = options.formats[0] if options.formats else _SUFFIXES.get(suffix, suffix)
    if form not in _FORMATS:
        refuse("which format? name a file that ends in .har, .wav, .srt, .vtt or .md, or add --har, --wav ...")
    if form == "har":
        return _har(options, console)
    if form == "wav":
        if options.out == "-":
            refuse("a WAV file begins with its length, so it cannot go to stdout: name a file after -o")
        return _wav(options, console)
    with reader.one_session(options.file, options.session, console) as session:
        transcript = transcript_of(session)
        if form == "md":
            text = markdown(transcript, session)
        else:
            text = captions.srt(transcript) if form == "srt" else captions.vtt(transcript)
            if not transcript.captions():
                console.warn("this trace has no transcripts, so there are no captions: request them in the setup")
    with atomic_output(options.out, source=options.file) as out:
        out.write(text.encode(errors="replace"))
    console.note(f"{options.out}: {reader.plural(transcript.turns, 'turn')}, {transcript.length:.1f} s")
    return 0


def _har(options: argparse.Namespace, console: Console) -> int:
    with (
        reader.sessions(options.file, console, number=options.session) as sessions,
        atomic_output(options.out, source=options.file) as out,
    ):
        count = write_har(sessions, out)
    console.note(f"{options.out}: {count:,} messages")
    return 0


def _wav(options: argparse.Namespace, console: Console) -> int:
    paths: list[str] = []
    with ExitStack() as stack:

        def open_out(which: str) -> BinaryIO:
            path = Path(options.out)
            paths.append(str(path if which == "both" else path.with_name(f"{path.stem}-{which}{path.suffix}")))
            return stack.enter_context(atomic_output(paths[-1], source=options.file))

        with reader.one_session(options.file, options.session, console) as session:
            result = mix_down(session, resampler, open_out)
            if session.elided:
                raise BadRequest(
                    "there is no audio in this trace",
                    where=options.file,
                    why="it was written with --trace-media elide, or redacted with --audio",
                    fix="export a trace that has it",
                )
    if result.is_split:
        console.warn(
            "the two sides have different rates, and soxr, which resamples one of them, is not installed: two files, one "
            "per side, on the same time line; for one file with two channels: pip install soxr"
        )
    if result.left_out:
        console.warn(f"audio that is not PCM is left out: {', '.join(result.left_out)}")
    console.note(f"{', '.join(paths)}: {result.seconds:.1f} s")
    return 0
