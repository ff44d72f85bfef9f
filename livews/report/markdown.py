"""A session as a Markdown page: turns with their times, tools, interruptions, latencies and the close.

Text from the wire is escaped, so that it is no markup.
"""

import re

from livews.analysis.transcript import SessionTranscript, TimelineEvent, Utterance
from livews.redactor import hide
from livews.report.captions import SPEAKERS
from livews.terminal_text import one_line
from livews.trace.session import RecordedSession


def markdown(transcript: SessionTranscript, session: RecordedSession) -> str:
    """The page of a session that was read to its end."""
    out = [f"# Session of {_escaped(str(session.header.get('started', '')))}", ""]
    out += [f"- model: {_code(session.model)}", f"- server: {_code(session.url)}"]
    out += [f"- length: {transcript.length:.1f} s, {transcript.turns} turn{'' if transcript.turns == 1 else 's'}"]
    if session.cut_at:
        out.append(f"- the trace is cut off in line {session.cut_at}")
    turn = 0
    last: Utterance | None = None
    for entry in transcript.entries:
        if entry.turn != turn:
            turn, last = entry.turn, None
            out += ["", f"## Turn {turn}"]
        if isinstance(entry, TimelineEvent):
            text = _code(entry.text) if entry.kind in ("call", "answer") else _escaped(entry.text)
            out += ["", f"> {_time(entry.t)} {entry.kind}: {text}"]
            last = None
            continue
        text = _escaped(entry.text.strip())
        if not text:
            continue
        text = text if entry.heard else f"~~{text}~~ (not heard)"
        if last is not None and last.who == entry.who == "model":
            out[-1] += f" {text}"
        else:
            out += ["", f"**{SPEAKERS[entry.who]}** {_time(entry.start)} {text}"]
        last = entry
    return "\n".join(out) + "\n"


def _time(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|~&])", r"\\\1", one_line(hide(text)))


def _code(text: str) -> str:
    text = one_line(hide(text))
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""
