"""The cases, as data: a name, the kind of run (a function of runner.py) and its arguments.

A command line is written as in a shell. What the runs read is made here or stands in `inputs/`, so that a case stays
the same when `protocol/` and `tests/data` grow.
"""

# fmt: off
# isort: skip_file
from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tests.bench.golden.parts import (
    ANSWERED, ASKED, BYE, CLOSED, DONE, END, END_WITH_USAGE, GENERATED, READY, REPLY, SET_UP, SETUP, TURN, USAGE, VERTEX, VOICE,
    answer, ask, audio, call, content, faulty_trace, line, parts, png, said, scenario_client, setup, silence, speak, spoken_trace,
    steps, tone, trace, wav,
)
from tests.bench.golden.sockets import masked, unmasked

INPUTS = Path(__file__).with_name("inputs")
CLOSES: dict[str, tuple[int, str]] = json.loads((INPUTS / "closes.json").read_text())
MESSAGES: dict[str, list[Any]] = json.loads((INPUTS / "messages.json").read_text())
SCENARIOS: dict[str, Any] = json.loads((INPUTS / "scenarios.json").read_text())
TOOL_TRACE = (INPUTS / "tool.jsonl").read_text()

CASES: dict[str, dict[str, Any]] = {}


def case(name: str, kind: str, **arguments: Any) -> None:
    assert name not in CASES, name
    CASES[name] = {"kind": kind, **arguments}


def runs(name: str, *lines: str | list[str], **more: Any) -> None:
    case(name, "command", runs=[shlex.split(words) if isinstance(words, str) else words for words in lines], **more)


# Talking: words, events, files, and the bytes that the service gets


def talk(name: str, argv: str, played: Any = TURN, *, url: str = "--url {url} --mute", **more: Any) -> None:
    """`livews --url URL --mute --no-resume ARGV` against a server that plays these steps, on one connection; --json is
    compared by event."""
    one = ["--no-resume"] if url.startswith(("--", "talk")) else []
    words = [*url.split(), *one, *shlex.split(argv)]
    case(name, "talk", argv=words, steps=played, out=more.pop("out", "json" if "--json" in words else "text"), **more)


AGAIN = steps(TURN, ASKED, REPLY)
WRONG_SETUP = {"setup.json": {"generationConfig": {"temprature": 0.5}}}
SPEECH = {"speech.wav": wav(tone(0.3))}

talk("talk-words", "Hi")
talk("talk-json", "--json Hi")
talk("talk-several-texts", "--model test --json one two three", steps(AGAIN, ASKED, REPLY))
talk("talk-several-texts-in-words", "one two", AGAIN)
talk("talk-quiet", "--quiet Hi")
talk("talk-by-name", "check", url="talk --url {url} --mute")
talk("talk-after-dashes", "-- -5")
talk("talk-stdin", "-", AGAIN, stdin="first\n\nsecond\n")
talk("talk-prompt-until-q", "--json", stdin="first\nq\nnever\n")
talk("talk-realtime-text", "--model gemini-3.1-flash-live-preview Hi", steps(SETUP, READY, ("expect", "realtimeInput"), REPLY))
talk("talk-text-only", "--text Hi", url="--url {url}")
talk("talk-text-only-on-a-text-model", "--model test --text --json Hi", url="--url {url}",
     played=steps(SETUP, READY, ASKED, parts({"text": "In "}), parts({"text": "words."}), GENERATED, END))
talk("talk-voice-and-system", "--voice Puck --system 'Be brief.' Hi")
talk("talk-search", "--model test --search Hi")
talk("talk-setup-file", "--model test --setup setup.json Hi", files={"setup.json": {
    "generation_config": {"temperature": 0.5}, "outputAudioTranscription": None, "tools": [{"googleSearch": {}}], "sessionResumption": {}}})
talk("talk-setup-file-with-error", "--json --setup setup.json Hi", files=WRONG_SETUP)
talk("talk-setup-file-unchecked", "--setup setup.json --unchecked Hi", files=WRONG_SETUP)
talk("talk-wav-file", "--wav out.wav one two", AGAIN)
talk("talk-wav-folder", "--wav out/ one two", AGAIN)
talk("talk-wav-other-rate", "--wav out.wav --json one", steps(SETUP, READY, ASKED, audio(VOICE, "audio/pcm;rate=16000"), END))
talk("talk-trace", "--trace session.jsonl Hi", then=["trace check session.jsonl", "trace show --json session.jsonl"])
talk("talk-trace-elided", "--trace=any.name --trace-media elide Hi", then=["trace show --json any.name"])
talk("talk-trace-appends", "--trace session.jsonl Hi", files={"session.jsonl": TOOL_TRACE},
     then=["trace show --session 2 --kind setup --json session.jsonl"])
talk("talk-trace-shown", "--trace Hi")
talk("talk-trace-refused", "--trace notes.txt --json Hi", files={"notes.txt": "no trace"})
talk("talk-trace-faults", "--model test --trace s.jsonl --json Hi", steps(
    SETUP, READY, ASKED, ("text", "no json"), ("bytes", b"\xff\x00"), ("text", '{"serverContent": {"new": 1}}'), ("text", '{"later": {}}'),
    audio(b"\x01\x00", "audio/pcm"), parts({"inlineData": {"mimeType": "audio/pcm", "data": "!"}}), END))
talk("talk-image", "--image red.png --image - 'What is it?'", stdin=png(), files={"red.png": png()})
talk("talk-image-damaged", "--image red.png --json 'What is it?'", files={"red.png": png()[:40]})
talk("talk-mic-file", "--model test --json --mic speech.wav", files=SPEECH, played=steps(
    SETUP, READY, ("expect", "audioStreamEnd"), content(inputTranscription={"text": "a tone", "finished": True}), REPLY))
talk("talk-mic-file-push-to-talk", "--model test --push-to-talk --mic=speech.wav", files=SPEECH,
     played=steps(SETUP, READY, ("expect", "activityEnd"), REPLY))
talk("talk-nothing-set-up", "--timeout 1 --json Hi", [SETUP])
talk("talk-no-reply", "--turn-timeout 0.5 --json Hi", steps(SETUP, READY))
runs("talk-usage-errors", "--nope", "--text --wav x.wav Hi", "--timeout 0 Hi", "--trace= Hi", "--offline --url ws://x Hi", "chek",
     "--setup missing.json Hi", "--image missing.png --offline Hi", "--tool x Hi", "--mic missing.wav --offline",
     "--wav no/such/dir.wav --offline Hi", out="any")
runs("talk-version", "--version", out="any")

# Tools
WEATHER = {"weather.json": {"name": "get_weather", "description": "The weather in a city", "parameters": {
    "type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}}
CALL = call("function-call-1", "get_weather", city="Paris")
CALLED = steps(SETUP, READY, ASKED, CALL, ANSWERED, REPLY)
KEY_FROM_ENVIRONMENT = """sh -c 'cat >/dev/null; echo "{\\"key\\": \\"$GOOGLE_API_KEY\\"}"'"""
for name, program in {
    "object": "cat", "text": "echo clear sky", "failure": "sh -c 'echo broken >&2; exit 3'", "not-found": "no-such-program",
    "environment": KEY_FROM_ENVIRONMENT,
}.items():
    talk(f"tool-{name}", f"--model test --json --tool {shlex.quote('get_weather=' + program)} --tool-schema weather.json Paris?", CALLED,
         files=WEATHER, env={"GOOGLE_API_KEY": "AIzaGolden"})
talk("tool-timeout", "--model test --json --tool 'get_weather=sleep 20' --tool-schema weather.json --tool-timeout 0.3 ?", CALLED, files=WEATHER)
talk("tool-cancelled", "--model test --json --tool 'get_weather=sleep 20' --tool-schema weather.json ?", files=WEATHER, played=steps(
    SETUP, READY, ASKED, CALL, ("wait", 0.5), {"toolCallCancellation": {"ids": ["function-call-1"]}}, ("wait", 0.5), REPLY))
talk("tool-unknown", "--model test --json Paris?", CALLED)
talk("tool-ends-turn", "--json --tool get_weather=cat --tool-schema weather.json Paris?", files=WEATHER, played=steps(
    SETUP, READY, ASKED, call("call_1", "get_weather", city="Paris"), GENERATED, END_WITH_USAGE, ANSWERED, REPLY))

# Every kind of event
EVENTS: dict[str, list[Any]] = {
    "usage": [{"usageMetadata": USAGE}],
    "usage-vertex": [{"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3,
                                        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}]}}],
    "transcripts": [content(inputTranscription={"text": "he"}), content(inputTranscription={"text": "hello", "finished": True}),
                    content(interimInputTranscription={"text": "hm"}), content(outputTranscription={"text": "yes", "finished": True})],
    "thoughts": [parts({"text": "thinking", "thought": True}, {"text": "answer"})],
    "code": [parts({"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}})],
    "media": [parts({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}})],
    "grounding": [content(groundingMetadata={"webSearchQueries": ["q"]}), content(groundingMetadata={}),
                  content(urlContextMetadata={"urlMetadata": [{"retrievedUrl": "http://x"}]})],
    "go-away": [{"goAway": {"timeLeft": "50s"}}, {"goAway": {}}, {"goAway": {"timeLeft": "0.440s"}}],
    "resumable": [{"sessionResumptionUpdate": {"newHandle": "handle-1", "resumable": True}}, {"sessionResumptionUpdate": {}}],
    "activity": [{"serverContent": {}, "voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "1.5s"}},
                 {"serverContent": {}, "voiceActivity": {"type": "ACTIVITY_END", "audioOffset": "2s"}}],
    "status": [content(interactionStatus="IN_PROGRESS"), {"interactionStatus": "IDLE"}],
    "bundled": [{**content(modelTurn={"parts": [{"text": "a"}, {"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}]},
                           outputTranscription={"text": "a"}, generationComplete=True), "usageMetadata": USAGE}],
    "unknown-members": [{"serverContent": {"futureThing": {"a": 1}}, "somethingNew": {}}, {}],
    "wrong-types": [("text", '{"serverContent": {"modelTurn": {"parts": "no list"}, "turnComplete": "yes"}}'), ("text", "[]")],
    "snake-case": [("text", '{"server_content": {"output_transcription": {"text": "snake"}}}')],
    "text-frames": [("text", '{"serverContent": {"outputTranscription": {"text": "grüße ☃"}}}')],
    "interrupted": [audio(VOICE), content(interrupted=True), audio(VOICE)],
    "turn-reason": [content(turnComplete=True, turnCompleteReason="NEED_MORE_INPUT")],
}
for name, items in EVENTS.items():
    talk(f"event-{name}", "--model test --json Hi", steps(SETUP, READY, ASKED, items, [] if name == "turn-reason" else END))
talk("event-ready", "--model test --json Hi", steps(SETUP, {"setupComplete": {"sessionId": "session-1"}}, ASKED, END))

# How a session ends, in words and in events: code and reason to exit code
for name in ("normal", "going-away", "invalid-argument", "key-not-valid", "invalid-session-handle", "not-a-live-model", "model-not-found",
             "no-credentials", "goaway-ignored", "internal-error", "quota", "message-too-big"):
    close = ("close", *CLOSES[name])
    talk(f"close-setup-{name}", "--json Hi", steps(SETUP, close))
    talk(f"close-turn-{name}", "Hi", steps(SETUP, READY, ASKED, said("Hel"), close))
talk("close-turn-events", "--json --trace s.jsonl Hi", steps(SETUP, READY, ASKED, said("Hel"), ("close", 1011, "Internal error encountered.")))
talk("close-unknown-reason", "--json Hi", steps(SETUP, READY, ASKED, ("close", 1008, "Never heard of.")))
talk("close-application-code", "--json Hi", steps(SETUP, READY, ASKED, ("close", 4000, "mine")))
talk("close-lost", "--json --trace s.jsonl Hi", steps(SETUP, READY, ASKED, said("Hel"), ("drop",)))
for status in (301, 400, 401, 403, 404, 407, 426, 429, 500, 503):
    talk(f"http-{status}", "--json Hi", [], status=status)
runs("unreachable", "--url ws://127.0.0.1:9 --mute --json Hi")
talk("silent-server", "--timeout 0.5 --json Hi", [], url="--url {silent} --mute")

# Where it dials, and with which credentials
BASE = {"GOOGLE_GEMINI_BASE_URL": "{http}/prefix"}
ON_VERTEX = {"GOOGLE_VERTEX_BASE_URL": "{http}"}
GOOGLE_KEY, GEMINI_KEY = {"GOOGLE_API_KEY": "AIzaGoogle"}, {"GEMINI_API_KEY": "AIzaGemini"}
for name, flags, env in (
    ("google-key", "", {**BASE, **GOOGLE_KEY, **GEMINI_KEY}),
    ("gemini-key", "", {**BASE, **GEMINI_KEY}),
    ("token", "--token auth_tokens/abc", BASE),
    ("token-in-key", "", {**BASE, "GOOGLE_API_KEY": "auth_tokens/abc"}),
    ("api-version", "--api-version v1alpha", {**BASE, **GOOGLE_KEY}),
    ("api-version-in-environment", "", {**BASE, **GOOGLE_KEY, "GOOGLE_GENAI_API_VERSION": "v1alpha"}),
    ("vertex", "--vertex --project p --location us-central1 --token ya29.x", ON_VERTEX),
    ("vertex-key", "--vertex", {**ON_VERTEX, **GOOGLE_KEY}),
    ("vertex-in-environment", "", {**ON_VERTEX, "GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_PROJECT": "p",
                                   "GOOGLE_CLOUD_LOCATION": "global", "GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.x"}),
    ("whole-url", "--url {url}/my/BidiGenerateContent?key=secret", {}),
):
    talk(f"dial-{name}", f"{flags} Hi", url="--mute", env=env)

# The stand-in, each model as its profile has it. What it says in words may change, so a session in which it answers by
# itself is compared by the kinds, members and order of frames (`exact=False`).
SERVE = ["--voice", "tones", "--pace", "0"]
SENTENCE = "please repeat all of these many words so that your answer is a long one"
CLOCK = [{"functionDeclarations": [{"name": "get_time", "description": "The time"}]}]
SPOKEN = speak(tone(0.6) + silence(2))


def serve(name: str, flags: str, *calls: Any, **more: Any) -> None:
    case(name, "serve", argv=[*SERVE, *shlex.split(flags)], calls=[steps(*one) for one in calls], **more)


def stand_in(model: str, *, typed: Any = ask, done: Any = DONE, spoken: bool = False, vertex: bool = False, ends: bool = False, **config: Any) -> None:
    """A typed and a spoken turn, and a call; `spoken`: it only hears; `ends`: a call ends the turn."""
    path = {"path": VERTEX} if vertex else {}
    both = setup(model, vertex=vertex, inputAudioTranscription={}, **config)
    turns = [] if spoken else [[both, SET_UP, typed(SENTENCE), done, BYE]]
    serve(f"stand-in-{model}", f"--heard '{SENTENCE}'", *turns, [both, SET_UP, SPOKEN, done, BYE], exact=False, **path)
    if not spoken:
        serve(f"stand-in-call-{model}", "", [
            setup(model, vertex=vertex, tools=CLOCK), SET_UP, typed("get_time now"), ("until", "toolCall"), [DONE] if ends else [],
            answer("LAST-id", "get_time", time=SENTENCE), done, BYE], exact=False, **path)


stand_in("gemini-3.8-live", ends=True)
stand_in("gemini-3.8-live-extended-thinking", ends=True, done=("until", "IDLE"))
stand_in("gemini-3.1-flash-live-preview", typed=lambda words: {"realtimeInput": {"text": words}})
stand_in("gemini-2.5-flash-native-audio-preview-12-2025")
stand_in("gemini-live-2.5-flash-native-audio", vertex=True, ends=True)
stand_in("gemini-live-2.5-flash", vertex=True, ends=True)
stand_in("gemini-2.0-flash-live-preview-04-09", vertex=True, ends=True)
stand_in("gemini-3.5-transcribe-live", spoken=True, done=("until", "generationComplete"), generationConfig={"responseModalities": ["TEXT"]})
stand_in("gemini-3.5-live-translate-preview", spoken=True,
         generationConfig={"responseModalities": ["AUDIO"], "translationConfig": {"targetLanguageCode": "de"}})
stand_in("gemini-2.0-flash-exp")
stand_in("gemini-2.5-flash-preview-native-audio-dialog")
stand_in("test")
TEST = setup("test")
serve("stand-in-first-frames", "", [TEST, SET_UP, BYE])
serve("stand-in-vertex-first-frames", "", [setup("gemini-live-2.5-flash", vertex=True), SET_UP, BYE], path=VERTEX)
serve("stand-in-go-away", "--go-away 0.2 --time-scale 100", [TEST, CLOSED])
serve("stand-in-wire", "--wire chunkMs=40 --wire transcript=first", [TEST, SET_UP, ask(SENTENCE), DONE, BYE], exact=False)
serve("stand-in-calls-always", "--calls always", [setup("test", tools=CLOCK), SET_UP, ask("hi"), ("until", "toolCall"), BYE], exact=False)
serve("stand-in-calls-never", "--calls never", [setup("test", tools=CLOCK), SET_UP, ask("get_time"), DONE, BYE], exact=False)
serve("stand-in-echo", "--reply echo", [TEST, SET_UP, SPOKEN, DONE, BYE], exact=False)
serve("stand-in-resumption", "", [setup("gemini-3.8-live"), ("until", "newHandle"), ask(SENTENCE), DONE, BYE],
      [setup("gemini-3.8-live", sessionResumption={"handle": "LAST-newHandle"}), ("until", "newHandle"), BYE], exact=False)
serve("stand-in-trace", "--trace kept", [TEST, SET_UP, BYE], files={"kept/session-1.jsonl": trace()}, exact=False)

# What it refuses, byte for byte
for name, items in {
    "no-setup": [ask("hi")],
    "unknown-member": [setup("test", bogusField=1)],
    "unknown-member-deep": [setup("test", generationConfig={"temprature": 1})],
    "wrong-type": [{"setup": {"model": 5}}],
    "wrong-enum": [setup("test", generationConfig={"mediaResolution": "HUGE"})],
    "unreadable": [("text", "{")],
    "text-modality": [setup("gemini-3.8-live", generationConfig={"responseModalities": ["TEXT"]})],
    "unknown-voice": [setup("test", generationConfig={"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "alloy"}}}})],
    "second-setup": [TEST, SET_UP, TEST],
    "media-chunks": [setup("gemini-3.8-live"), ("until", "newHandle"), {"realtimeInput": {"mediaChunks": [{"mimeType": "audio/pcm", "data": "AAAA"}]}}],
    "activity-with-vad": [TEST, SET_UP, {"realtimeInput": {"activityStart": {}}}],
    "unknown-model": [setup("nope")],
    "answer-to-no-call": [TEST, SET_UP, answer("x", "f"), BYE],
    "unknown-handle": [setup("gemini-3.8-live", sessionResumption={"handle": "nope"})],
}.items():
    serve(f"refuses-{name}", "", [*items, CLOSED])
for month in ("2025-11", "2026-03", "2026-11"):
    serve(f"refuses-as-of-{month}", f"--as-of {month}",
          *([setup(model), ("read",)] for model in ("gemini-2.0-flash-exp", "gemini-live-2.5-flash-preview", "gemini-3.8-live")),
          [setup("gemini-2.5-flash-native-audio-latest", generationConfig={"responseModalities": ["TEXT"]}), ("read",)],
          [setup("gemini-3.1-flash-live-preview"), SET_UP, ask("hi"), ("read",)])
WITH_KEY = {"x-goog-api-key": "AIzaGolden"}
serve("serve-require-key", "--require-key AIzaGolden", [TEST, ("read",)])
serve("serve-require-key-given", "--require-key AIzaGolden", [TEST, ("read",), BYE], headers=WITH_KEY)
serve("serve-sessions-per-key", "--sessions-per-key 1", [TEST, ("read",), ("meanwhile", steps(TEST, ("read",))), BYE], headers=WITH_KEY)
serve("serve-http", "", requests=[
    ("POST", "/v1alpha/auth_tokens", '{"uses": 2}'), ("POST", "/v1beta/auth_tokens", "{"), ("POST", "/v1alpha/auth_tokens", '{"bad": 1}'),
    ("POST", "/elsewhere", "{}"), ("PUT", "/v1alpha/auth_tokens", "{}"), ("GET", "/livews/status"), ("GET", "/")])
runs("serve-usage-errors", "serve --fault nope", "serve --as-of March", "serve --wire x=1", "serve --fast", "serve missing.json",
     "serve --voice nonsense --port 0", "serve --port x", "serve --trace x.jsonl", out="any")
runs("serve-fault-names", "serve --fault help", out="names")

# A scenario is played exactly, so every byte of the server is compared
SCRIPT = {"s.json": {"id": "golden", "title": "one of each", "proves": [], "steps": [
    {"client": {"setup": {}}}, {"server": READY}, {"client": {"clientContent": {}}}, {"server": REPLY[0]}, {"server": REPLY[1]},
    {"server": said("grüße ☃")}, {"server": END_WITH_USAGE}, {"close": {"code": 1011, "reason": "Internal error encountered."}}]}}
PLAYED = [TEST, ("until", "omplete"), ask("hi"), CLOSED]  # setupComplete or setup_complete
serve("script", "--once s.json", PLAYED, files=SCRIPT, once=True)
serve("script-trace", "--once --trace kept s.json", PLAYED, files=SCRIPT, once=True)
serve("script-difference", "--once --patience 2 s.json", [TEST, SET_UP, {"realtimeInput": {"text": "hi"}}, CLOSED], files=SCRIPT, once=True)
case("script-of-a-trace", "serve", argv=["--fast", "--once", "t.jsonl"], files={"t.jsonl": TOOL_TRACE}, once=True, calls=[steps(
    setup("gemini-3.8-live"), SET_UP, ask("Use get_weather for Berlin"), DONE, answer("call_6142127", "get_weather", result=1), DONE, BYE)])
serve("scenarios", f"--once {' '.join(f'{name}.json' for name in SCENARIOS)}", *([scenario_client(one)] for one in SCENARIOS.values()),
      files={f"{name}.json": one for name, one in SCENARIOS.items()}, once=True)
for fault in ("drop@3", "close=quota@3", "close=http-503", "no-setup-complete", "go-away=5@3", "text-frames", "fragments=40", "compact", "utf8",
              "snake", "unknown-message@3", "unknown-field", "empty-message", "truncated@3", "bundled", "usage-apart",
              "no-generation-complete", "no-turn-complete", "big-message@3"):
    patience = "--patience 2" if fault == "no-setup-complete" else ""
    serve(f"fault-{fault.split('@')[0]}", f"--fault {fault} {patience} s.json", PLAYED, files=SCRIPT)


# The proxy


def proxy(name: str, flags: str, played: Any = TURN, calls: Any = None, **more: Any) -> None:
    calls = calls or steps({"setup": {"model": "models/test", "proactivty": {}}}, SET_UP, ask("hi"), DONE, BYE)
    case(name, "proxy", argv=shlex.split(flags), steps=played, calls=calls, **more)


SECRET = {"x-goog-api-key": "AIzaSecretOfTheClient"}
proxy("proxy-session", "--trace t.jsonl", headers=SECRET)
proxy("proxy-trace-folder", "--trace kept/ --trace-media elide", headers=SECRET)
proxy("proxy-quiet", "--quiet")
proxy("proxy-inject-key", "--inject-key", env=GEMINI_KEY, headers=SECRET)
proxy("proxy-prefix", "", upstream="{url}/prefix")
proxy("proxy-close", "", [SETUP, ("close", 1007, "Request contains an invalid argument.")], steps(TEST, CLOSED))
proxy("proxy-lost", "--trace t.jsonl", steps(SETUP, READY, ("drop",)), steps(TEST, CLOSED))
proxy("proxy-refused", "", [], status=403)
proxy("proxy-origin-refused", "", [], headers={"Origin": "https://evil.example"}, once=False)
proxy("proxy-origin-allowed", "--allow-origin https://good.example", headers={"Origin": "https://good.example"})
proxy("proxy-silent", "--timeout 0.5", [], upstream="{silent}")
proxy("proxy-unreachable", "", [], upstream="ws://127.0.0.1:9")
runs("proxy-usage-errors", "proxy --trace -", "proxy --inject-key --host 0.0.0.0", "proxy --allow-origin 'x y'", "proxy --upstream ftp://x",
     "proxy --location x --upstream ws://x", "proxy --inject-key --port 0", out="any")
case("relay", "relay", up=b"".join([
    masked(1, b'{"setup": {"model": "models/test"}}'), masked(9, b"ping"), masked(1, b'{"clientContent": ', fin=False), masked(9, b""),
    masked(0, b'{"turnComplete": true}}'), masked(2, b"\xff\x00no json"), masked(1, b"{" + b" " * 300 + b"}"), masked(10, b"unasked"),
    masked(8, b"\x03\xe8bye")]), down=b"".join([
    unmasked(2, b'{\n  "setupComplete": {}\n}\n'), unmasked(10, b"ping"), unmasked(2, b'{"serverContent": {', fin=False), unmasked(9, b"x"),
    unmasked(0, b'"turnComplete": true}}'), unmasked(1, b"not json"), unmasked(2, b""), unmasked(8, b"\x03\xf3Internal error encountered.")]))
case("relay-no-websocket", "relay", up=b"no frames at all \xff\xfe" * 20, down=b"\x83\x7f" + bytes(range(256)))

# Recorded sessions. Their times are fixed, so what is computed from them is compared exactly (`times=False`).
FAULTY = faulty_trace()
FILES = {"tool.jsonl": TOOL_TRACE, "spoken.jsonl": spoken_trace(), "faulty.jsonl": FAULTY, "cut.jsonl": FAULTY[:-20], "empty.jsonl": "",
         "text.txt": "no trace\n"}
ALL = ("tool.jsonl", "spoken.jsonl", "faulty.jsonl")


def traces(name: str, *lines: str, **more: Any) -> None:
    runs(f"trace-{name}", *(f"trace {words}" for words in lines), files=FILES, times=False, **more)


traces("show", "show --json faulty.jsonl", "show --json --turn 2 tool.jsonl", "show --json --kind interrupted,toolCall --side server spoken.jsonl",
       "show --json --from 0.5 --to 1 --session 1 faulty.jsonl", "show --json --faults faulty.jsonl", "show --json cut.jsonl")
traces("show-refusals", "show missing.jsonl", "show text.txt", "show --turn 9 tool.jsonl", "show --session 3 faulty.jsonl",
       "show --kind toolcall tool.jsonl", "show empty.jsonl", "show", "nothing", "show --from x tool.jsonl", out="any")
traces("show-words", "show faulty.jsonl", "stats faulty.jsonl", "diff faulty.jsonl tool.jsonl", "check faulty.jsonl", out="any")
traces("check", *(f"check --json {name}" for name in ALL), "check --json --strict tool.jsonl spoken.jsonl", "check --json cut.jsonl")
traces("stats", *(f"stats --json {name}" for name in ALL), "stats --json --session 2 faulty.jsonl")
traces("diff", "diff --json tool.jsonl tool.jsonl", "diff --json tool.jsonl spoken.jsonl", "diff --json faulty.jsonl tool.jsonl",
       "diff --json --sound nothing tool.jsonl spoken.jsonl", "diff --json --sound length spoken.jsonl faulty.jsonl")
traces("cut", "cut --turn 1 tool.jsonl -o one.jsonl", "cut --from 0.5 --to 1.2 faulty.jsonl --session 1 -o part.jsonl",
       "cut --turn 2 faulty.jsonl -o -", "cut tool.jsonl", out="text")
traces("redact", "redact faulty.jsonl -o plain.jsonl", "redact --audio --text faulty.jsonl -o words.jsonl", "redact --audio tool.jsonl -o -")
traces("export", "export tool.jsonl -o x.har", "export spoken.jsonl -o x.wav", "export tool.jsonl -o x.srt", "export spoken.jsonl -o x.vtt",
       "export tool.jsonl -o x.md", "export faulty.jsonl --session 1 --srt -o y.srt", "export tool.jsonl -o x.unknown", out="any")
traces("import", "export tool.jsonl -o x.har", "import x.har -o back.jsonl", "diff --json tool.jsonl back.jsonl", "import tool.jsonl -o no.jsonl")
traces("html", *(f"html {name} -o {name.split('.')[0]}.html" for name in ALL), "html missing.jsonl -o no.html", out="any")
runs("trace-stdin", "trace stats --json -", stdin=FAULTY, times=False)
ONE = trace(line(0.1, "client", TEST), line(0.2, "server", READY), line(0.3, "client", ask("Hi")),
            *(line(0.4 + i / 100, "server", one) for i, one in enumerate(REPLY)), {"t": 0.9, "dir": "send", "close": {"code": 1000, "reason": ""}})
REPLAYED = {"tool.jsonl": TOOL_TRACE, "one.jsonl": ONE}
for name, flags, played in (
    ("alike", "one.jsonl --trace run.jsonl", TURN),
    ("differs", "tool.jsonl --patience 2", steps(SETUP, READY, ASKED, ("close", 1008, "The operation was aborted."))),
    ("other-model", "tool.jsonl --patience 2 --model nope", steps(SETUP, ("close", *CLOSES["model-not-found"]))),
):
    talk(f"replay-{name}", f"--fast --json {flags}", played, url="trace replay --to {url}", files=REPLAYED)
runs("replay-unreachable", "trace replay tool.jsonl --to ws://127.0.0.1:9 --json", files=REPLAYED)

# Messages judged and explained
for side, messages in MESSAGES.items():
    runs(f"check-{side}", f"check --json --from {side} m.jsonl", "check --json --strict m.jsonl",
         files={"m.jsonl": "".join(json.dumps(one) + "\n" for one in messages)})
FORMS = {"one.json": '{\n"setup": {"model": 5}\n}', "list.json": [{"setup": {}}, READY], "bad.json": "{",
         "wrapped.jsonl": '{"from": "client", "message": {"setup": {"modl": 1}}}\n{"model": "models/x"}\n', **FILES}
runs("check-forms", *(f"check --json {name}" for name in (*FORMS, "missing.json")), "check", "check --nope", files=FORMS)
runs("check-words", "check one.json", "check --quiet one.json", files=FORMS, out="any")
runs("check-stdin", "check --json -", stdin='{"setup": {"modl": 5}}')
runs("explain-closes", "explain --json 1007 'API key not valid. Please pass a valid API key.'", "explain --json 1006", "explain --json 404",
     "explain --json 429", "explain --json 1011 'never seen'", "explain --json 3999", "explain --json 'Request contains an invalid'",
     "explain --json 'sent 1011 (internal error) keepalive ping timeout; no close frame received'")
runs("explain-names", *(["explain", "--json", words] for words in (
    "SETUP-1", "clientContent", "setup.generationConfig.responseModalities", "START_SENSITIVITY_HIGH", "speaking", "gemini-3.8-live", "Puck",
    '{"setup": {"model": "models/gemini-3.8-live", "tols": []}}', '{"serverContent": {"turnComplete": true}}')), out="shape")
runs("explain-words", *(["explain", words] for words in (
    "1006", "SETUP-1", "setup", "setup.responseModalities", "nonsense", "NOPE-1", "99", "{", '{"setup": {}}')), "explain", out="any")
runs("explain-stdin", "explain --json -", stdin="1011 Internal error encountered.")

# Options, devices, doctor, the page
NO_SOUND = {"LIVEWS_PORTAUDIO": "no-such-library"}
runs("help", *(f"{name} --help" for name in (
    "", "talk", "serve", "proxy", "inspect", "check", "explain", "devices", "doctor", "trace show", "trace check", "trace stats", "trace diff",
    "trace cut", "trace redact", "trace export", "trace html", "trace import", "trace replay")), out="options")
runs("devices-none", "devices --json", "devices", env=NO_SOUND)
for name, flags, played in (
    ("well", "--mute", steps(SETUP, READY)),
    ("turn", "--mute --turn", TURN),
    ("refused", "--mute", steps(SETUP, ("close", *CLOSES["key-not-valid"]))),
    ("no-sound", "", steps(SETUP, READY)),
):
    talk(f"doctor-{name}", f"--json {flags}", played, url="doctor --url {url}", out="doctor", env=NO_SOUND if name == "no-sound" else {})
runs("doctor-unreachable", "doctor --mute --json --url ws://127.0.0.1:9", out="doctor")
case("inspect", "inspect")

# The library
case("library-names", "library", part="names")
case("library-turn", "library", part="turn", steps=steps(
    SETUP, READY, ASKED, *(items for name, items in EVENTS.items() if name not in ("interrupted", "turn-reason")), REPLY))
case("library-senders", "library", part="senders", steps=steps(SETUP, READY))
case("library-tools", "library", part="tools", steps=steps(
    SETUP, READY, ASKED, call("c1", "add", a=1, how="loud"), ANSWERED, call("c2", "add", a="x"), ANSWERED, call("c3", "fails", text=["x"]), ANSWERED,
    call("c4", "none"), ANSWERED, REPLY))
case("library-offline", "library", part="offline")
case("library-closes", "library", part="closes", steps=[SETUP, ("as the path says",)],
     given=[[code, reason[:120], ready] for code, reason in CLOSES.values() for ready in (True, False)])
