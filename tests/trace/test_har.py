"""`livews trace export` and `import` of HAR files."""

import json
from pathlib import Path

import pytest

from livews.core import codec
from livews.trace.session import follow
from tests.kit.names import GEMINI, KEY
from tests.kit.traces import Row
from tests.trace.kit import BARGE_IN, HEAD, Run, talk, write


def _in_chrome_form(har: Row) -> None:
    """What HAR 1.2 requires of an entry, and Chrome of its messages."""
    assert set(har) == {"log"} and har["log"]["version"] == "1.2" and har["log"]["creator"]["version"]
    for entry in har["log"]["entries"]:
        request, response = entry["request"], entry["response"]
        both = ["httpVersion", "cookies", "headers", "headersSize", "bodySize"]
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
        assert {"method", "url", "queryString", *both} <= set(request)
        assert {"status", "statusText", "content", "redirectURL", *both} <= set(response)
        assert response["status"] == 101 and {"send", "wait", "receive"} <= set(entry["timings"])
        assert entry["_resourceType"] == "websocket"
        for message in entry["_webSocketMessages"]:
            assert set(message) == {"type", "time", "opcode", "data"}
            assert message["type"] in ("send", "receive") and message["opcode"] in (1, 2)
            raw = codec.decode_base64(message["data"]) if message["opcode"] == 2 else message["data"].encode()
            assert isinstance(json.loads(raw), dict)


def test_a_har_and_back(trace: Run, tmp_path: Path) -> None:
    head = {**HEAD, "url": "wss://example.com/ws/x.BidiGenerateContent?key=tokentoken"}
    path, har, back = tmp_path / "t.jsonl", tmp_path / "t.har", tmp_path / "back.jsonl"
    write(path, *talk(), head=head)
    path.write_bytes(path.read_bytes() + BARGE_IN.read_bytes())
    assert trace("export", path, "-o", har).code == 0
    made = json.loads(har.read_text())
    _in_chrome_form(made)
    first = made["log"]["entries"][0]
    assert first["startedDateTime"] == "2026-11-22T12:00:00.000000Z" and first["time"] == 4100
    assert first["_webSocketMessages"][2]["time"] == pytest.approx(1795348801.0, abs=1e-5)
    assert "tokentoken" not in har.read_text()
    assert trace("import", har, "-o", back).code == 0
    assert trace("diff", path, back).code == 0
    assert [len(list(one)) for one in follow(back)] == [len(list(one)) for one in follow(path)]
    haralyzer = pytest.importorskip("haralyzer")
    pages = haralyzer.HarParser(made)
    assert pages.har_data["entries"][0]["response"]["status"] == 101


def test_a_har_without_a_message_that_can_be_read(trace: Run, tmp_path: Path) -> None:
    har, out = tmp_path / "t.har", tmp_path / "out.jsonl"
    entry = {"request": {"url": "wss://example.com/"}, "_webSocketMessages": [{"type": "receive", "opcode": 1}]}
    har.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    done = trace("import", har, "-o", out)
    assert done.code == 2 and "it has 1 WebSocket, none" in done.err
    done = trace("import", har, "--all", "-o", out)
    assert done.code == 2 and "there is no message in" in done.err and "1 unreadable message\n" in done.err
    assert not out.exists()


def test_a_foreign_har(trace: Run, tmp_path: Path) -> None:
    """As mitmproxy writes them; with sockets of others, one known by its setup alone, and messages nobody can read."""
    setup = {"type": "send", "time": 1795348800.0, "opcode": 1, "data": '{"setup":{"model":"models/x"}}'}
    frame = {"type": "receive", "opcode": 2}
    ready = {**frame, "time": 1795348800.25, "data": codec.encode_base64(b'{"setupComplete": {}}')}
    plain = {**frame, "time": 1795348800.5, "data": '{"serverContent": {}}'}
    odd = {**frame, "time": 1795348800.75, "data": codec.encode_base64(b"\xff\xfe")}
    bad = {"type": "receive", "time": 1795348800.8, "opcode": 1}
    url = f"https://example.com{GEMINI}?key={KEY}"

    def entry(url: str, *messages: Row) -> Row:
        request = {"url": url, "headers": [{"name": "Authorization", "value": f"Bearer {KEY}"}]}
        return {"startedDateTime": "2026-11-22T12:00:00Z", "request": request, "_webSocketMessages": list(messages)}

    chat = entry("wss://chat.example.com/", {**setup, "data": '{"hello":1}'})
    entries = [
        entry(url, setup, ready, plain, odd, bad),
        chat,
        entry("wss://mine.example.com/", setup),
        {"request": {}},
    ]
    har, out = tmp_path / "t.har", tmp_path / "out.jsonl"
    har.write_text("\ufeff" + json.dumps({"log": {"version": "1.2", "entries": entries}}))
    done = trace("import", har, "-o", out)
    assert done.code == 0 and "1 message of" in done.err and KEY not in done.err
    assert KEY not in out.read_text()
    found = [(one.url, [(round(line.t, 2), line.sender, line.opcode) for line, _ in one]) for one in follow(out)]
    sent = [(0.0, "client", "text")]
    received = [(t, "server", "binary") for t in (0.25, 0.75, 0.75)]  # the empty one is counted on the next line
    shown = url.replace("https", "wss").replace(KEY, "[redacted]")
    assert found == [(shown, sent + received), ("wss://mine.example.com/", sent)]
    assert trace("import", har, "--all", "-o", out).code == 0
    assert len(list(follow(out))) == 3
    none = '{"log":{"entries":[]}}'
    for text, report in (("{}", "entries"), ("no", "not a JSON object"), (none, "no WebSocket messages")):
        har.write_text(text)
        assert (done := trace("import", har, "-o", tmp_path / "none")).code == 2 and report in done.err
