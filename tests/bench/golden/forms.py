"""How output and files become data that can be compared: in full where it is exact, in outline where it is not."""

from __future__ import annotations

import json
import re
import wave
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.bench.golden import normalize


def output(stdout: bytes, form: str, times: bool) -> Any:
    """stdout as a case wants it. `atLeast` are names of which more are no difference."""
    lines = stdout.decode(errors="replace").splitlines()
    match form:
        case "text":
            return [normalize.short(line) for line in lines]
        case "any":
            return presence(stdout)
        case "shape":
            return [normalize.shape(json.loads(line)) for line in lines]
        case "names":  # the first word of each line of a list
            return {"atLeast": [line.split()[0] for line in lines if re.match(r"[a-z]", line)]}
        case "options":  # the option strings of a help text
            starts = [line.strip().split("  ")[0] for line in lines if re.match(r" {2,8}-", line)]
            return {
                "atLeast": sorted({name for start in starts for name in re.findall(r"(?<!\S)--?\w[\w-]*", start)})
            }
        case "doctor":
            rows = normalize.lines(stdout, also=normalize.DOCTOR)
            extras = {
                "check": "extras",
                "verdict": "<machine>",
                "text": "<text>",
            }  # what is installed decides about it
            return [extras if row["check"] == "extras" else row for row in rows]
        case _:
            return _latency_last(normalize.lines(stdout, times=times))


def _latency_last(rows: list[Any]) -> list[Any]:
    """That line comes when a reply has been heard out: what else is written then may stand before it or after it."""
    late = [row for row in rows if isinstance(row, dict) and row.get("event") == "latency"]
    return [row for row in rows if row not in late] + late


def presence(raw: bytes) -> str:
    if b"Traceback (most recent call last)" in raw:
        return "a traceback"
    return "some text" if raw.strip() else "nothing"


def file(path: Path, times: bool) -> Any:
    raw = path.read_bytes()
    if path.suffix == ".wav":
        with wave.open(BytesIO(raw)) as sound:
            about = {"rate": sound.getframerate(), "channels": sound.getnchannels(), "width": sound.getsampwidth()}
            return {**about, "frames": sound.getnframes(), "file": normalize.digest(raw)}
    if path.suffix == ".har":
        return normalize.shape(json.loads(raw))
    if path.suffix == ".html":
        return _report(raw)
    if path.suffix in (".srt", ".vtt"):
        return raw.decode().splitlines()
    return normalize.lines(raw, times=times) if raw.startswith(b'{"trace"') else presence(raw)


def _report(page: bytes) -> Any:
    """The data of a report: its shape, and exactly what was computed of turns and states."""
    found = re.findall(rb'<script type="application/json" id="([\w-]+)">(.*?)</script>', page, re.DOTALL)
    blocks = {name.decode(): json.loads(data) for name, data in found}
    sessions = blocks["report"]["sessions"]
    for session in sessions:  # what may change later is there by its index
        session |= {name: [*session[name].values()] for name in ("tools", "marks", "turns")}
        session |= {
            name: {key: [*items.values()] for key, items in session[name].items()} for name in ("states", "texts")
        }
        for side in session["sound"].values():
            side["runs"] = [*side["runs"].values()]
    exact = [{name: session[name] for name in ("states", "turns", "kinds")} for session in sessions]
    blocks["report"]["docs"] = {}  # glossaries, which grow with the schemas
    for session in sessions:
        session["stateWords"] = {}
    return {"shape": normalize.shape(blocks), "exact": exact}


def frames(items: list[Any], exact: bool) -> list[Any]:
    """What a client got: the bytes of each frame, or an outline of what a stand-in answered by itself.

    In an outline a stretch of words and sound is one row with its different frames, the bytes of its first sound, and
    their order (T: words, A: sound, B: both, U: usage between them), in which a piece more or less is no difference.
    """
    if exact:
        return [item if isinstance(item, dict) else normalize.frame(item) for item in items]
    out: list[Any] = []
    for item in items:
        if isinstance(item, dict):
            out.append(item)
            continue
        message = json.loads(item)
        row = {"text" if isinstance(item, str) else "binary": normalize.without_words(message)}
        part, size = _part(message)
        if not part:
            out.append(row)
            continue
        if not (out and "reply" in out[-1]):
            out.append({"reply": "", "frames": [], "firstSoundBytes": 0})
        reply = out[-1]
        if part in reply["reply"][:-1]:  # it comes again, after another
            reply["reply"] = "mixed " + "".join(sorted({*reply["reply"].removeprefix("mixed ")}))
        elif not reply["reply"].endswith(part):
            reply["reply"] += part
        reply["firstSoundBytes"] = reply["firstSoundBytes"] or size
        if row not in reply["frames"]:
            reply["frames"].append(row)
    return out


def _part(message: Any) -> tuple[str, int]:
    """T, A, B, U or "", and the bytes of the sound in it."""
    if {*message} != {"serverContent"}:
        return "U" if {*message} == {"usageMetadata"} else "", 0
    content = message["serverContent"]
    words = {*content.get("outputTranscription", {})} == {"text"}
    blobs = [
        part["inlineData"]["data"] for part in content.get("modelTurn", {}).get("parts", []) if "inlineData" in part
    ]
    size = len(b64decode(blobs[0])) if blobs else 0
    return ("B" if words and size else "T" if words else "A" if size else ""), size
