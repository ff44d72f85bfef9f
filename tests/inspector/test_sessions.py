"""The sessions an inspector shows: what pages get of them, and the limits of what is kept."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from livews.errors import BadRequest
from livews.inspector import sessions as inspector_sessions
from livews.inspector.sessions import SessionList
from livews.proxy.observer import ConnectionObserver
from livews.redactor import Redactor
from livews.report import data as report_data
from livews.report.message_excerpt import MemberDocs
from livews.trace.session import follow
from livews.trace.tail import Tail
from tests.inspector.kit import CASES, HELLO, proxied
from tests.kit.names import GEMINI, KEY
from tests.kit.servers import dial, echo, scripted
from tests.report.kit import conversation, grow, started


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_the_news_together_are_the_report(most: int) -> None:
    page_data: dict[str, Any] = {}
    session = next(follow(conversation().lines(), "t"))
    docs = MemberDocs()
    made, mark = report_data.ReportSession(session, docs), report_data.NewsCursor()
    for line, step in session:
        made.push(line, step)
        if (most == 3 or CASES.random() < 0.4) and (news := made.news(mark, most)) is not None:
            grow(page_data, json.loads(json.dumps(news)))
    made.finish()
    for _ in range(100):
        if (news := made.news(mark, most)) is None:
            break
        assert len(news["t"]) <= most
        grow(page_data, json.loads(json.dumps(news)))
    late = json.loads(json.dumps(made.news(report_data.NewsCursor())))
    made.close()
    assert len(page_data["t"]) == 34 and page_data["docs"] == docs.types
    assert page_data == grow({}, late), "who comes late learns the same"


@pytest.mark.parametrize("secret", [KEY, "auth_tokens/" + "t" * 20])
async def test_no_credential_of_a_session_is_in_the_page(secret: str) -> None:
    escaped = (f"\\u{ord(secret[0]):04x}{secret[1:]}", secret.replace("/", "\\/"))
    async with scripted(echo) as url, proxied(url) as house:
        async with dial(house.url, additional_headers={"x-goog-api-key": secret}) as client:
            for said in (secret, *escaped):
                for message in (f'{{"setup":{{"model":"{said}","{said}":1}}}}', f'{{"{said}":1}}'):
                    await client.send(message)
                    await client.recv()
        shown = house.sessions.all[1]
        page_data = json.dumps([shown.page.data(), shown.page.head(), house.sessions.list()]) + str(
            shown.page.chunk(0)
        )
        assert secret not in page_data and "[redacted]" in page_data
        assert not any(one in str(shown.page.chunk(0)) for one in escaped)


def test_a_growing_trace_is_followed_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    tail, sessions = Tail(path), SessionList()
    assert not sessions.take(tail), "it is not there yet"
    lines = started().lines()
    with path.open("wb", buffering=0) as file:
        file.write(b"".join(lines)[:-10])
        assert sessions.take(tail)
        assert sessions.all[1].page.rows == 1, "half a line is none"
        file.write(b"".join(lines)[-10:])
        file.write(b'{"t": 1, "dir": "send"\n')  # broken
        file.write(b'{"t": 2, "di' + b"".join(lines))  # a crash, and the next session in the same line
        assert sessions.take(tail)
        assert not sessions.take(tail)
    first, second = sessions.all.values()
    page_data = first.page.data()
    assert [page_data["kinds"][kind] for kind in page_data["kind"]] == ["setup", "setupComplete", "broken"]
    assert page_data["cutOff"] and not first.running
    assert second.page.rows == 2 and second.running
    path.write_bytes(b"".join(lines))  # begun anew
    sessions.take(tail)
    assert sessions.all[3].page.rows == 2
    sessions.close()
    path.write_bytes(b"no trace\n")
    with pytest.raises(BadRequest, match="not a trace"):
        SessionList().take(Tail(path))


def test_what_is_kept_of_a_running_session_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended sessions are let go for it first; then no more is taken of it, which is said once, and the others go on."""
    monkeypatch.setattr(inspector_sessions, "MAX_ROWS", 10)
    sessions, hides = SessionList(), Redactor()

    def passing(number: int, messages: int) -> inspector_sessions.LiveSession:
        observer = ConnectionObserver(GEMINI, "", print, print)
        made = sessions.record(number, "ws://x" + GEMINI, hides, Mock(observer=observer, client_port=0))
        more(made, messages)
        return made

    def more(to: inspector_sessions.LiveSession, messages: int) -> None:
        for i in range(messages):
            to.frame(i, "send", "text", to.conversation.step("client", json.dumps(HELLO)))

    passing(1, 4).close()
    passing(2, 3).close()
    third = passing(3, 6)
    assert [*sessions.all] == [2, 3], "the oldest that ended made room"
    more(third, 4)
    assert ([*sessions.all], third.page.rows, sessions.let_go) == ([3], 10, 2)
    assert not sessions.notes
    more(third, 20)
    third.control(30.0, "send", "ping", {"size": 0})
    assert third.page.rows == 10 and third.running
    [(_, said)] = sessions.notes
    assert said.startswith("session 3: no more of its messages are listed, as livews keeps 10 at most")
    assert "--trace" in said
    third.close()
    assert len(third.page.data()["kind"]) == 10, "what was kept is still there"
    fourth = passing(4, 5)
    assert [*sessions.all] == [4] and fourth.page.rows == 5, "the next one has the room of the one that ended"
    fourth.close()

    trace = tmp_path / "t.jsonl"
    trace.write_bytes(b"".join(started().lines()) + b'{"t":1,"dir":"send","ping":{}}\n' * 20)
    assert sessions.take(Tail(trace))
    [recorded] = sessions.all.values()
    assert recorded.page.rows == 10
    assert len(sessions.notes) == 2 and "the trace that is followed has every message" in sessions.notes[-1][1]
    sessions.close()
