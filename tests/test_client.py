"""The client against real sockets: the stand-in for how it should be, scripted servers for how it can be."""

import asyncio
import contextlib
import json
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

import livews
from livews.core import codec
from livews.server import service_format
from livews.server.server import StandInConfig, serve_stand_in
from tests.kit.names import KEY
from tests.kit.recorder import MemoryRecorder
from tests.kit.servers import SETUP_COMPLETE, acts, deaf, frames, scripted
from tests.kit.sound import silence, speech
from tests.kit.waiting import until

FAST = StandInConfig(pace=0)
PCM = bytes(range(256)) * 8


def sound(pcm: bytes = PCM, mime_type: str = "audio/pcm;rate=24000") -> bytes:
    return service_format.audio_as_service(codec.encode_base64(pcm), mime_type)


def content(**members: Any) -> bytes:
    return service_format.dump_as_service({"serverContent": members})


async def talk(
    *payloads: bytes | str, close: tuple[int, str] | None = None, hold: bool = True, **options: Any
) -> tuple[list[livews.Event], livews.LivewsError | None]:
    """Say hello to a server that answers with `payloads`; the events of the turn, and what ended it if not TurnEnd."""
    seen: list[livews.Event] = []
    async with scripted(frames(*payloads, close=close, hold=hold)) as url:
        try:
            async with livews.connect(url=url, **{"reconnect": None, **options}) as session:
                await session.say("hello")
                async with asyncio.timeout(5):
                    async for event in session.turn():
                        seen.append(event)
        except livews.LivewsError as problem:
            return seen, problem
    return seen, None


@contextlib.asynccontextmanager
async def at_standin(**options: Any) -> AsyncIterator[livews.Session]:
    """A session with a stand-in of its own."""
    async with serve_stand_in(config=FAST) as server, asyncio.timeout(10):
        async with livews.connect(url=server.url, **options) as session:
            yield session


END = content(turnComplete=True)


@pytest.mark.parametrize("wire", [{}, {"usage": "candidates"}], ids=["response", "candidates"])
async def test_usage_is_added_up_over_the_connections_of_a_session(wire: dict[str, Any]) -> None:
    """Each turn on a connection of its own; a stand-in charges nothing."""
    counted = Counter[str]()
    config = replace(FAST, time_scale=20, go_away=0.1, wire=wire)
    async with serve_stand_in(config=config) as server, asyncio.timeout(20):
        policy = livews.ReconnectPolicy(time_scale=20)
        async with livews.connect(
            "gemini-2.5-flash-native-audio-latest", url=server.url, reconnect=policy
        ) as session:
            for _ in range(3):
                await session.say("Hello, who is there?")
                async for event in session.turn():
                    if isinstance(event, livews.Usage):
                        counted.update({"in": event.prompt, "out": event.response})
                connections = session.connections
                while session.connections == connections:  # it hands over after goAway
                    await asyncio.sleep(0.01)
            usage = session.usage
    assert (sum(usage.prompt.values()), sum(usage.response.values())) == (counted["in"], counted["out"])
    assert usage.response["AUDIO"] and not usage.uncounted and not usage.at_least
    assert usage.usd is None and usage.list_usd and usage.cost == "", "it is on this machine"


@pytest.mark.parametrize(
    ("pictures", "setup", "limit"),
    [
        ([], None, 900),
        ([{"video": {"mimeType": "image/png", "data": "AAAA"}}], None, 120),
        ([{"mediaChunks": [{"mimeType": "image/jpeg", "data": "AAAA"}]}], None, 120),
        ([{"mediaChunks": [{"mimeType": "audio/pcm", "data": "AAAA"}]}], None, 900),
        (
            [{"video": {"mimeType": "image/png", "data": "AAAA"}}],
            {"contextWindowCompression": {"slidingWindow": {}}},
            0,
        ),
    ],
)
async def test_the_end_of_a_session_is_said_a_minute_before(
    pictures: list[dict[str, Any]], setup: dict[str, Any] | None, limit: float
) -> None:
    """In scaled time, over all connections: goAway comes after 540 s."""
    scale, said = 1000, list[livews.SessionLimit]()
    config = StandInConfig(pace=0, time_scale=scale, lenient=True)
    async with serve_stand_in(config=config) as server, asyncio.timeout(10):
        policy = livews.ReconnectPolicy(time_scale=scale)
        model = "gemini-live-2.5-flash"
        async with livews.connect(model, url=server.url, setup=setup, reconnect=policy) as session:
            for picture in pictures:
                await session.send_raw({"realtimeInput": picture})

            async def read() -> None:
                async for event in session.events():
                    if isinstance(event, livews.SessionLimit):
                        said.append(event)

            reader = asyncio.create_task(read())
            await (until(lambda: bool(said)) if limit else asyncio.sleep(300 / scale))
        await reader
    if not limit:
        assert not said
        return
    [event] = said
    assert (event.limit, event.with_pictures) == (limit, limit == 120)
    assert 0 <= event.seconds <= 60 / scale


async def test_an_answer_that_was_cut_is_not_counted() -> None:
    voice = content(modelTurn={"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}]})
    async with scripted(acts(None, voice, (1011, "Internal error encountered."), hold=False)) as url:
        async with livews.connect(url=url, reconnect=None) as session:
            await session.say("Hello")
            with pytest.raises(livews.Closed):
                async for _ in session.turn():
                    pass
            assert (session.usage.uncounted, session.usage.list_usd, session.usage.tokens) == (1, None, 0)


async def test_two_turns_with_voice_and_words() -> None:
    async with at_standin() as session:
        for text in ("Hello? Gemini, are you there?", "What's your name?"):
            await session.say(text)
            words, pcm, last = "", b"", None
            async for event in session.turn():
                last = event
                match event:
                    case livews.Audio(pcm=piece, rate=24000):
                        pcm += piece
                    case livews.Transcript(text=piece, of="model"):
                        words += piece
            assert isinstance(last, livews.TurnEnd)
            assert text in words
            assert "livews stand-in" in words
            assert len(pcm) > 24000


@pytest.mark.parametrize(
    ("options", "modality", "kind", "input_form"),
    [
        ({"model": "gemini-3.1-flash-live-preview"}, "AUDIO", livews.Transcript, "realtimeInput"),
        ({"text": True}, "AUDIO", livews.Transcript, "clientContent"),  # a model that only speaks: its transcript
        ({"text": True, "model": "test-model"}, "TEXT", livews.Text, "clientContent"),
    ],
)
async def test_words_in_the_form_of_the_model(
    options: dict[str, Any], modality: str, kind: type[livews.Transcript | livews.Text], input_form: str
) -> None:
    async with at_standin(**options) as session:
        await session.say("hi")
        seen = [event async for event in session.turn()]
        assert session.conversation.setup["generationConfig"]["responseModalities"] == [modality]
        assert session.conversation.profile["textInput"] == input_form
    assert '"hi"' in "".join(event.text for event in seen if isinstance(event, kind))


def part(data: str, mime_type: str = "audio/pcm") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


SPEECH = part(codec.encode_base64(PCM))
dump = service_format.dump_as_service
BUNDLE = {
    "serverContent": {
        "turnComplete": True,
        "generationComplete": True,
        "outputTranscription": {"text": "hey"},
        "modelTurn": {"parts": [SPEECH, SPEECH, {"text": "note", "thought": True}]},
        "inputTranscription": {"text": "hello"},
    },
    "usageMetadata": {"totalTokenCount": 7},
}
ODD = (
    b"{}", content(), content(outputTranscription={}), dump({"serverContent": {}, "somethingNew": {"a": 1}}),
    b'{"server_content":{"model_turn":{"parts":[{"inline_data":{"mime_type":"audio/pcm","data":"AAAA"}}]}}}',
    dump({"onlyNew": 1}), b"this is no JSON", b"\xff\xfe", b"[1]", content(interrupted=False),
)  # fmt: skip
PARTS = [{"text": "hi"}, SPEECH, {"executableCode": {"code": "1"}}, part("AAAA", "video/mp4"), part("*")]
LATE = sound(b"\x7f\x7f" * 1000)


@pytest.mark.parametrize(
    ("payloads", "names", "facts"),
    [
        pytest.param([dump(BUNDLE)], "Transcript Audio Audio Text Transcript GenerationComplete Usage TurnEnd",
                     {"total": 7, "thought": True}, id="a bundle, in order"),
        pytest.param([sound(), END], "Audio TurnEnd", {"pcm": PCM}, id="binary frames"),
        pytest.param([sound().decode(), END.decode()], "Audio TurnEnd", {"pcm": PCM}, id="text frames"),
        pytest.param([*ODD, END], "Audio TurnEnd", {"rate": 24000}, id="normal, but looks odd"),
        pytest.param([sound(bytes(1_600_000)), END], "Audio TurnEnd", {"pcm": bytes(1_600_000)}, id="two mebibytes"),
        pytest.param([sound(), content(interrupted=True), LATE, LATE, END], "Audio Interrupted TurnEnd",
                     {"interrupted": True}, id="audio after an interruption is dropped"),
        pytest.param([content(modelTurn={"parts": PARTS}), END], "Text Audio Part Media TurnEnd", {}, id="parts"),
        pytest.param([dump({"sessionResumptionUpdate": {"newHandle": "h-1", "resumable": True}}),
                      dump({"goAway": {"timeLeft": "50s"}}), END],
                     "Resumable GoAway TurnEnd", {"handle": "h-1", "seconds": 50.0}, id="resumable, goAway"),
    ],
)  # fmt: skip
async def test_the_events_of_a_turn(payloads: list[bytes | str], names: str, facts: dict[str, Any]) -> None:
    seen, problem = await talk(*payloads)
    assert problem is None
    assert [type(event).__name__ for event in seen] == names.split()
    for name, value in facts.items():
        assert [getattr(event, name) for event in seen if hasattr(event, name)][:1] == [value]


async def test_no_event_is_lost_between_two_turns() -> None:
    script = frames(sound(b"\1\0" * 400), END, sound(b"\2\0" * 400), END)
    async with scripted(script) as url, livews.connect(url=url) as session:
        await session.say("hello")
        for wanted in (b"\1\0", b"\2\0"):
            async with asyncio.timeout(5):
                pcm = b"".join([e.pcm async for e in session.turn() if isinstance(e, livews.Audio)])
            assert pcm == wanted * 400


async def test_the_socket_is_read_even_when_nobody_listens() -> None:
    flood = [sound(b"\5\0" * 20_000)] * 300
    async with scripted(frames(*flood, content(interrupted=True))) as url, livews.connect(url=url) as session:
        await session.say("hello")
        await until(lambda: session.conversation.state("turn") == "interrupted")


async def test_a_faulty_frame_is_not_sent() -> None:
    sent = MemoryRecorder()
    async with at_standin(recorders=[lambda where: sent]) as session:
        with pytest.raises(livews.LocalProtocolError, match="ACTIVITY-1"):
            await session.activity_start()
        with pytest.raises(livews.LocalProtocolError, match="did you mean turnComplete"):
            await session.send_raw({"clientContent": {"turnCompleted": True}})
        with pytest.raises(livews.BadRequest, match="cannot be encoded"):
            await session.respond("1", "f", {"answer": object()})
        await session.send_audio(b"\0\0" * 320, 16000)
        with pytest.raises(livews.LocalProtocolError, match="AUDIO-2"):
            await session.send_audio(b"\0\0" * 320, 24000)
    assert [step.kind for step in sent.steps if step.sender == "client"] == ["setup", "realtimeInput"], (
        "and the audio"
    )


async def test_setup_is_merged_in_either_spelling() -> None:
    given = {"generation_config": {"temperature": 0.5}}
    async with at_standin(setup=given, voice="Puck", system="Be brief.") as session:
        setup = session.conversation.setup
    voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}}
    generation = {"temperature": 0.5, "responseModalities": ["AUDIO"], "speechConfig": voice}
    assert setup["generationConfig"] == generation
    assert setup["systemInstruction"] == {"parts": [{"text": "Be brief."}]}


async def test_a_trace_of_the_whole_session(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "session.jsonl"
    async with at_standin(trace=path) as session:
        await session.say("hi")
        async for _ in session.turn():
            pass
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert (head["trace"], head["version"], head["side"]) == ("livews", 1, "client")
    messages = [(line["dir"], line["opcode"], *line["message"]) for line in lines if "message" in line]
    assert [message for message in messages if message[2] != "sessionResumptionUpdate"][:3] == [
        ("send", "text", "setup"), ("recv", "binary", "setupComplete"), ("send", "text", "clientContent"),
    ]  # fmt: skip
    assert [(line["dir"], "close" in line) for line in lines[-2:]] == [("send", True), ("recv", True)]
    assert lines[-2]["close"] == {"code": 1000, "reason": ""}
    assert lines[1]["size"] == len(SETUP_COMPLETE)
    times = [line["t"] for line in lines]
    assert times == sorted(times)


async def test_the_trace_of_a_failed_session_keeps_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    await talk(sound(), b"not json", close=(1011, "Internal error encountered."), trace=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[-1]["close"] == {"code": 1011, "reason": "Internal error encountered."}
    assert lines[-2]["raw"] == codec.encode_base64(b"not json")
    assert lines[-2]["faults"][0]["rule"] == "WIRE-2"


async def test_no_key_in_trace_or_exception(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"

    async def refuse(socket: ServerConnection) -> None:
        assert socket.request is not None
        key = socket.request.headers["x-goog-api-key"]
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        await socket.recv()
        await socket.send(json.dumps({"serverContent": {"modelTurn": {"parts": [{"text": f"I heard {key}"}]}}}))
        await socket.close(1007, f"bad key {key}")

    async with scripted(refuse) as url:
        with pytest.raises(livews.Closed) as caught:
            async with livews.connect(url=f"{url}/?key={KEY}x", api_key=KEY, reconnect=None, trace=path) as session:
                await session.say(f"my key is {KEY}")
                async for _ in session.turn():
                    pass
        problem = caught.value
    for text in (path.read_text(), str(problem), repr(problem), problem.reason, problem.where):
        assert KEY not in text
    assert "[redacted]" in problem.reason


async def test_what_was_sent_is_in_the_trace_also_when_sending_was_cancelled(tmp_path: Path) -> None:
    async with scripted(acts(deaf, 2, hold=False)) as url:
        session = await livews.connect(url=url, reconnect=None, trace=tmp_path / "t.jsonl")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await session.send_image(bytes(9_000_000))
        session.connection.transport.abort()
        await session.close()
    assert "realtimeInput" in (tmp_path / "t.jsonl").read_text()


async def test_closing_twice_closes_once(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    async with at_standin(trace=path) as session:
        await session.close()
        await session.close()
    assert path.read_text().count('"dir":"send","close"') == 1


async def test_no_key_in_the_logs_of_the_socket(caplog: pytest.LogCaptureFixture) -> None:
    import logging

    with caplog.at_level(logging.DEBUG):
        async with at_standin(api_key=KEY) as session:
            await session.say("hi")
    ours = [record for record in caplog.records if "server" not in record.name]
    assert KEY not in "".join(record.getMessage() for record in ours)


async def test_pings_are_measured_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "t.jsonl"
    async with at_standin(trace=trace) as session:
        seconds = await session.ping()
        assert 0 < seconds < 10
        assert session.ping_seconds == seconds
        await session.close()
        with pytest.raises(livews.Closed):
            await session.ping()
    rows = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [key for row in rows for key in row if key in ("ping", "pong")] == ["ping", "pong"]
    monkeypatch.setattr("livews.transport.PING_EVERY", 0.02)
    async with at_standin() as session:
        await until(lambda: session.ping_seconds is not None)


def _as_floats(pcm: bytes) -> bytes:
    samples = array("h", pcm)
    return array("f", (x / 32_768 for x in samples)).tobytes()


BAD_AUDIO: dict[str, tuple[dict[str, Any], bytes, list[str]]] = {
    "floats": ({}, _as_floats(speech(2.0)), ["AUDIO-10"]),
    "two channels": ({}, array("h", (x for x in array("h", speech(2.0)) for _ in range(2))).tobytes(), ["AUDIO-10"]),
    "zeros, six seconds of them at once": ({}, bytes(200_000), ["AUDIO-11", "AUDIO-12"]),
    "a WAV header": ({}, b"RIFF\x24\x10\x00\x00WAVEfmt " + speech(1.0), ["AUDIO-7"]),
    "clipped": ({}, array("h", (32_767 if n // 60 % 2 else -32_768 for n in range(32_000))).tobytes(), ["AUDIO-11"]),
    "fine": ({}, speech(2.0) + silence(2.0), []),
    "before activityStart": (
        {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}, speech(2.0), ["ACTIVITY-4"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_AUDIO)
async def test_the_audio_that_is_sent_is_checked_as_a_stream(kind: str) -> None:
    setup, pcm, rules = BAD_AUDIO[kind]
    remarks: list[Any] = []
    async with at_standin(setup=setup, remark=remarks.append) as session:
        for at in range(0, len(pcm), 640):
            await session.send_audio(pcm[at : at + 640])
        assert [finding.rule for finding in session.remarks] == rules
    assert remarks == session.remarks, "each once, while it is sent"


async def test_an_activity_of_silence_is_remarked() -> None:
    marks = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
    async with at_standin(setup=marks) as session:
        await session.activity_start()
        await session.send_audio(bytes(32_000))
        await session.activity_end()
        assert [finding.rule for finding in session.remarks] == ["AUDIO-11"]
