"""`livews trace cut` and `redact`."""

import json
import re
from pathlib import Path

from livews.core import codec
from tests.kit.names import KEY
from tests.kit.traces import Row, asked, control, got, sent, transcript
from tests.trace.kit import HEAD, Run, talk, tone, voice, write


def test_a_part_is_a_trace(trace: Run, tmp_path: Path) -> None:
    path, out = write(tmp_path / "t.jsonl", *talk()), tmp_path / "out.jsonl"
    assert trace("cut", path, "--turn", "2", "-o", out).code == 0
    lines = out.read_bytes().splitlines()
    whole = path.read_bytes().splitlines()
    assert lines[1:] == whole[1:3] + whole[10:], "setup, and the second turn, byte for byte"
    assert json.loads(lines[0])["cut"] == {"turn": 2}
    assert trace("check", out).code == 0
    assert trace("cut", path, "--from", "3.2", "--to", "3.45", "-o", "-").out.count('"t": 3.') == 3
    nothing = trace("cut", path, "--turn", "9", "-o", tmp_path / "none.jsonl")
    assert nothing.code == 2 and "2 turns" in nothing.err
    assert not (tmp_path / "none.jsonl").exists()
    for words in ([], ["--turn", "1", "--from", "1"], ["--from", "2", "--to", "1"], ["--turn", "0"]):
        assert trace("cut", path, *words, "-o", out).code == 2


def secret_session() -> list[Row]:
    setup = {"setup": {"model": "projects/my-project/locations/us/publishers/google/models/gemini-3.8-live",
                       "sessionResumption": {"handle": "old-handle-77"}}}  # fmt: skip
    login = {"id": "c1", "name": "login", "args": {"apiKey": "hunter2", "note": "Zebra", "pin": 4711}}
    return [
        sent(0.0, setup),
        got(0.1, {"setupComplete": {"sessionId": "session-id-55"}}),
        got(0.2, {"session_resumption_update": {"new_handle": "new-handle-88", "resumable": True}}),
        asked(1.0, f"My key is {KEY}, Elephant"),
        voice(1.2, tone(0.1)),
        transcript(1.3, "Giraffe says"),
        got(1.4, {"toolCall": {"functionCalls": [login]}}),
        got(1.5, {"serverContent": {"modelTurn": {"parts": [{"thing": "NEWCOMER"}]}}}),
        {"t": 1.6, "dir": "recv", "opcode": "binary", "raw": codec.encode_base64(f"{KEY} Walrus".encode())},
        control(2.0, "recv", "close", code=1007, reason="Unknown name \"Ostrich\" at 'setup': Cannot find field."),
    ]


SECRETS = (KEY, "old-handle-77", "new-handle-88", "session-id-55", "hunter2", "my-project", "tokentoken")
SAID = ("Elephant", "Giraffe", "Zebra", "4711", "NEWCOMER", "Ostrich", "Walrus")


def _readable(path: Path) -> str:
    text = path.read_text()
    raws = [json.loads(line).get("raw", "") for line in text.splitlines()]
    return text + "".join(codec.decode_base64(raw).decode() for raw in raws)


def test_redacted_traces_hold_no_secret(trace: Run, tmp_path: Path) -> None:
    head = {**HEAD, "url": "wss://example.com/x.BidiGenerateContent?key=tokentoken&a=b"}
    path = write(tmp_path / "t.jsonl", *secret_session(), head=head)
    some, all_ = tmp_path / "some.jsonl", tmp_path / "all.jsonl"
    done = trace("redact", path, "-o", some)
    assert done.code == 0 and "still in it" in done.err
    assert trace("redact", path, "--audio", "--text", "-o", all_).code == 0
    before, kept, gone = _readable(path), _readable(some), _readable(all_)
    for secret in SECRETS:
        assert secret in before and secret not in kept and secret not in gone
    for word in SAID:
        assert word in before and word not in gone
        assert word in kept
    assert "xxxxxxx xxxx" in gone and "elided:" in gone and "elided:" not in kept
    assert "a=b" in kept and '"login"' in gone and "models/gemini-3.8-live" in gone
    assert len(set(re.findall(r"handle:[0-9a-f]{12}", gone))) == 2 and "[session 1]" in gone

    def shape(path: Path) -> list[str]:
        return [" ".join(line.split()[:4]) for line in trace("show", path).out.splitlines() if line[8] == " "]

    assert shape(path)[:7] == shape(all_)[:7]
    assert "1007" in trace("show", all_).out
    assert all(mode & 0o077 == 0 for mode in (some.stat().st_mode, all_.stat().st_mode))


def test_nothing_is_written_over_the_input_or_left_half(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    link = tmp_path / "same.jsonl"
    link.symlink_to(path)
    before = path.read_bytes()
    for out in (path, link, tmp_path):
        for words in (["redact"], ["cut", "--turn", "1"], *(["export", form] for form in ("--md", "--har", "--wav"))):
            assert trace(words[0], path, *words[1:], "-o", out).code == 2
    assert path.read_bytes() == before
    first, second = (trace("cut", path, "--from", "0", "--to", "0", "-o", tmp_path / "c.jsonl") for _ in range(2))
    assert "1 line kept" in first.err and "replaced" not in first.err
    assert f"{tmp_path / 'c.jsonl'} existed and was replaced" in second.err
    (tmp_path / "c.jsonl").unlink()
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(before + b"nonsense\n{}\n")
    there = tmp_path / "there.jsonl"
    there.write_text("as it was")
    assert trace("redact", broken, "-o", there).code == 2
    assert there.read_text() == "as it was"
    assert trace("redact", path, "-o", tmp_path / "no" / "folder").code == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["broken.jsonl", "same.jsonl", "t.jsonl", "there.jsonl"]
