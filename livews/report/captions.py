"""Captions of a session: SRT and WebVTT. Text from the wire is written so that it is no markup."""

import html

from livews.analysis.transcript import SessionTranscript
from livews.terminal_text import one_line

SPEAKERS = {"user": "You", "model": "Model"}


def srt(transcript: SessionTranscript) -> str:
    """SubRip captions, each with the name of the speaker."""
    blocks = [
        f"{number}\n{_clock(u.start, ',')} --> {_clock(u.end, ',')}\n{SPEAKERS[u.who]}: {_srt_text(u.text)}\n"
        for number, u in enumerate(transcript.captions(), 1)
    ]
    return "\n".join(blocks)


def vtt(transcript: SessionTranscript) -> str:
    """WebVTT captions, the speaker as their voice."""
    blocks = [
        f"{_clock(u.start, '.')} --> {_clock(u.end, '.')}\n<v {SPEAKERS[u.who]}>{html.escape(one_line(u.text), quote=False)}\n"
        for u in transcript.captions()
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _clock(seconds: float, separator: str) -> str:
    ms = max(0, round(1000 * seconds))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{separator}{ms % 1000:03}"


def _srt_text(text: str) -> str:
    # players interpret <i> and {\an8}; SRT has no escapes, so similar signs replace these
    return one_line(text).translate({ord("<"): "‹", ord(">"): "›", ord("{"): "(", ord("}"): ")"})
