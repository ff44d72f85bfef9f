"""Traces written by hand for reports and the live page, among them a hostile one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from livews.report import data as report_data
from livews.report.message_excerpt import MemberDocs
from livews.trace.session import RecordedSession, follow
from tests.kit.sound import silence, tone

HEADER = {
    "trace": "livews", "version": 1, "started": "2026-11-22T10:00:00.000000Z", "side": "client", "livews": "0.1.0",
    "url": "wss://generativelanguage.googleapis.com/ws/x?key=AIzaSyThisIsNoKeyButLooksLikeOne000000", "protocol": "2026-11-22",
}  # fmt: skip
SETUP = {"setup": {"model": "models/gemini-3.8-live", "generationConfig": {"responseModalities": ["AUDIO"]}}}


class Trace:
    """The lines of a trace, written by hand."""

    def __init__(self, **header: Any) -> None:
        self.rows: list[dict[str, Any]] = [{**HEADER, **header}]

    def frame(self, t: float, sender: str, message: Any) -> Trace:
        size = len(json.dumps(message))
        self.rows.append({"t": t, "dir": sender, "opcode": "text", "size": size, "message": message})
        return self

    def send(self, t: float, message: Any) -> Trace:
        return self.frame(t, "send", message)

    def recv(self, t: float, message: Any) -> Trace:
        return self.frame(t, "recv", message)

    def control(self, t: float, sender: str, kind: str, about: dict[str, Any]) -> Trace:
        self.rows.append({"t": t, "dir": sender, kind: about})
        return self

    def mic(self, t: float, pcm: bytes, rate: int = 16_000) -> Trace:
        """Sound of the user in chunks of 100 ms, the first sent at t + 0.1."""
        size = rate // 10 * 2
        for i in range(0, len(pcm), size):
            data = base64.b64encode(pcm[i : i + size]).decode()
            t += 0.1
            self.send(round(t, 6), {"realtimeInput": {"audio": {"mimeType": f"audio/pcm;rate={rate}", "data": data}}})
        return self

    def voice(self, t: float, pcm: bytes) -> Trace:
        data = base64.b64encode(pcm).decode()
        part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}
        return self.recv(t, {"serverContent": {"modelTurn": {"parts": [part]}}})

    def lines(self) -> list[bytes]:
        return [json.dumps(row).encode() + b"\n" for row in self.rows]

    def write(self, path: Path) -> Path:
        path.write_bytes(b"".join(self.lines()))
        return path


def started() -> Trace:
    return Trace().send(0.01, SETUP).recv(0.15, {"setupComplete": {}})


def conversation() -> Trace:
    """Asks by voice, is answered, cuts in after half a second was heard, calls a tool, is closed for an unknown member."""
    trace = started().control(0.2, "send", "ping", {"data": ""}).control(0.22, "recv", "pong", {"data": ""})
    trace.recv(0.25, {"sessionResumptionUpdate": {"newHandle": "h-1", "resumable": True}})
    trace.mic(0.4, tone(0.8) + silence(0.4))
    trace.recv(1.85, {"serverContent": {"inputTranscription": {"text": "What is the weather in Oslo?"}}})
    trace.recv(1.9, {"serverContent": {"outputTranscription": {"text": "The weather in Oslo "}}})
    trace.voice(2.0, silence(0.1, 24_000) + tone(0.9, 24_000)).voice(2.05, tone(1.0, 24_000))
    trace.recv(2.06, {"serverContent": {"outputTranscription": {"text": "is cold and wet."}}})
    trace.recv(2.5, {"serverContent": {"interrupted": True}})
    trace.recv(2.51, {"serverContent": {"turnComplete": True}})
    heard = {"receivedMs": 2000.0, "heardMs": 560.0, "interrupted": True, "underruns": 0, "underrunMs": 0, "late": 0}
    trace.control(2.52, "recv", "heard", heard)
    turn = {"role": "user", "parts": [{"text": "Turn on the lamp"}]}
    trace.send(3.0, {"clientContent": {"turns": [turn], "turnComplete": True}})
    trace.recv(3.2, {"toolCall": {"functionCalls": [{"id": "c1", "name": "lamp", "args": {"on": True}}]}})
    trace.send(3.5, {"toolResponse": {"functionResponses": [{"id": "c1", "name": "lamp", "response": {"ok": True}}]}})
    trace.voice(3.7, tone(0.5, 24_000))
    trace.recv(3.75, {"serverContent": {"generationComplete": True}, "newThing": {"x": 1}})
    trace.recv(4.3, {"serverContent": {"turnComplete": True}, "usageMetadata": {"totalTokenCount": 83}})
    trace.recv(4.6, {"goAway": {"timeLeft": "50s"}})
    trace.send(4.8, {"realtimeInput": {"text": "and now", "colour": "red"}})
    reason = "Invalid JSON payload received. Unknown name \"colour\" at 'realtime_input': Cannot find field."
    return trace.control(4.85, "recv", "close", {"code": 1007, "reason": reason})


def fill(page: report_data.ReportSession, session: RecordedSession) -> None:
    for record, step in session:
        page.push(record, step)
    page.finish()


def grow(page_data: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    """What the page does with news."""

    def put(items: list[Any], changed: dict[str, Any]) -> None:
        for i, item in changed.items():
            items[int(i) : int(i) + 1] = [item]

    for name, value in news.items():
        match name:
            case "kinds" | "t" | "kind" | "size" | "words" | "findings":
                page_data.setdefault(name, []).extend(value)
            case "flags":
                page_data[name] = page_data.get(name, b"") + base64.b64decode(value)
            case "found" | "docs":
                page_data.setdefault(name, {}).update(value)
            case "tools" | "marks" | "turns":
                put(page_data.setdefault(name, []), value)
            case "states" | "texts":
                for key, changed in value.items():
                    put(page_data.setdefault(name, {}).setdefault(key, []), changed)
            case "sound":
                for key, side in value.items():
                    mine = page_data.setdefault(name, {}).setdefault(key, {"runs": [], "peaks": b""})
                    put(mine["runs"], side["runs"])
                    mine["peaks"] += base64.b64decode(side["peaks"])
            case _:
                page_data[name] = value
    return page_data


def data_of(trace: Trace, **options: Any) -> dict[str, Any]:
    """What the page of the only session draws."""
    for session in follow(trace.lines(), "t"):
        made = report_data.ReportSession(session, MemberDocs(), **options)
        fill(made, session)
        page_data = grow({}, made.data())
        made.close()
    return page_data


PAYLOADS = [
    "</script><script>window.pwned=1</script>",
    "<!--<script>window.pwned=2",
    "<img src=x onerror=window.pwned=3>",
    '"><svg onload=window.pwned=4>',
    "javascript:window.pwned=5",
    "' onmouseover='window.pwned=6' style='position:fixed;inset:0",
    "\x1b]0;pwned\x07\x1b[2J\x9b31m",
    "\u202egpj.exe\u2066\u200f",
    "</style><style>*{display:none}</style>",
    "${window.pwned=7}{{constructor.constructor('window.pwned=8')()}}",
    "</title><base href=//127.0.0.1:9/><meta http-equiv=refresh content='0;url=javascript:window.pwned=9'>",
    "\u2028window.pwned=10\u2029]]>--></noscript><iframe srcdoc='<script>parent.pwned=11</script>'>",
]


def hostile(place: str) -> Trace:
    """Every text field of a trace with something in it that wants to run; `place` is a URL nobody may ask for."""
    attacks = [*PAYLOADS, f"<img src={place}>", f"<link rel=stylesheet href={place}>", f"url({place})"]
    attacks.append(f"<a ping={place} href={place}>")
    every = " ".join(attacks)
    trace = Trace(**dict.fromkeys(("url", "started", "livews", "protocol", "side"), every))
    setup = {"model": every, "systemInstruction": {"parts": [{"text": every}]}}
    trace.send(0.1, {"setup": {**setup, "generationConfig": {"responseModalities": attacks}}})
    trace.recv(0.2, {"setupComplete": {"sessionId": every}})
    for i, attack in enumerate(attacks):
        t = 0.3 + i / 10
        turn = {"role": attack, "parts": [{"text": attack}]}
        trace.send(t, {"clientContent": {"turns": [turn], "turnComplete": True}})
        trace.send(t, {"realtimeInput": {"text": attack, attack: attack}})
        parts = [{"text": attack}, {attack: {attack: attack}}, {"executableCode": {"code": attack}}]
        trace.recv(t, {"serverContent": {"modelTurn": {"parts": parts}}})
        for name in ("inputTranscription", "outputTranscription", "interimInputTranscription"):
            trace.recv(t, {"serverContent": {name: {"text": attack}}})
        trace.recv(t, {"toolCall": {"functionCalls": [{"id": attack, "name": attack, "args": {attack: attack}}]}})
        trace.recv(t, {"toolCallCancellation": {"ids": [attack]}})
        odd = {"__proto__": {"pwned": attack}, "constructor": attack}
        trace.recv(t, {attack: attack, "goAway": {"timeLeft": attack}, **odd})
        blob = {"inlineData": {"mimeType": attack, "data": attack}}
        trace.recv(t, {"serverContent": {"interactionStatus": attack, "modelTurn": {"parts": [blob]}}})
        handle = {"newHandle": attack, "resumable": True}
        trace.recv(t, {"sessionResumptionUpdate": handle, "voiceActivity": {"type": attack}})
        trace.control(t, "send", "ping", {"data": attack, attack: attack})
        raw = base64.b64encode(attack.encode()).decode()
        trace.rows.append({"t": t, "dir": "recv", "opcode": "text", "size": 9, "raw": raw})
    long = "<b>" + "x" * 5_000_000 + "\u202e"
    trace.recv(3.0, {"serverContent": {"outputTranscription": {"text": long}}})
    trace.send(3.1, {"realtimeInput": {"text": long}})
    trace.recv(3.2, {long: long})
    trace.recv(3.3, {"serverContent": {"modelTurn": {"parts": [{"text": "y"}] * 20_000}}})
    trace.send(1e9, {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=9999999", "data": "AAAA"}}})
    trace.control(4.0, "recv", "heard", {"heardMs": every, "receivedMs": -1, "interrupted": True})
    return trace.control(4.1, "recv", "close", {"code": 1007, "reason": every})


def text_of(opened: Any, selector: str) -> str:
    return str(opened.inner_text(selector))


def row_of(opened: Any, words: str) -> Any:
    return opened.locator("#rows .row", has_text=words).first
