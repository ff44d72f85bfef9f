"""What the command line refuses before anything is sent: exit code 2 (or 4 and 6 for addresses and devices), one reason."""

from __future__ import annotations

import shlex

import pytest

from livews.cli import main
from livews.cli.options import DATA as OPTIONS
from tests.docs.generate import parsers
from tests.kit.names import DATA, KEY

NOWHERE = "--url ws://127.0.0.1:1"
BARE = f"{DATA}/no_message.jsonl"
TABLE = f"""
--text --wav x.wav hi                                         | leave out
--offline --url ws://h hi                                     | leave out
--nonsense                                                    | unrecognized
--timeout soon hi                                             | invalid duration soon: expected seconds, 0 < s <= 3600
--wav '' hi                                                   | --wav is empty
--url= hi                                                     | --url is empty
--trace= hi                                                   | --trace= needs a file name
- hi                                                          | stdin
--mute --device 3 hi                                          | --mute plays nothing
--push-to-talk {NOWHERE}                                      | add --mic
--half-duplex hi {NOWHERE}                                    | add --mic
--mic-device 3 hi {NOWHERE}                                   | add --mic
--mic --half-duplex --echo-cancel {NOWHERE}                   | choose one
--mic --echo-cancel --mute {NOWHERE}                          | leave out
--mic a.wav --mic {NOWHERE}                                   | choose one
--mic= {NOWHERE}                                              | --mic=FILE.wav
--mic - {NOWHERE}                                             | leave out --mic
--camera-device /dev/video1 {NOWHERE}                         | add --camera
--picture-size 3 {NOWHERE}                                    | invalid size 3: expected pixels from 16 to 8192
--tool-timeout 0 {NOWHERE}                                    | seconds
--tool noequals hi {NOWHERE}                                  | =
--mic speech.mp3 hi {NOWHERE}                                 | speech.mp3
--mic=a.wav --echo-cancel {NOWHERE}                           | a file hears no echo
--mic=a.wav --mic-device 3 {NOWHERE}                          | without a file
--screen --camera hi {NOWHERE}                                | choose --screen or --camera
--tool-schema a.json hi {NOWHERE}                             | add --tool
--setup /nonexistent/none.json hi --offline                   | No such file
explain                                                       | required
explain SETUP-99                                              | rules.json
explain ''                                                    | close code
check /nonexistent/file                                       | No such file
serve --port 99999                                            | invalid port 99999: expected a whole number from 0 to 65535
serve --port 0 --wire transcript=nonsense                     | transcript is one of first, interleaved, with-audio
serve --port 0 --wire chunkMs=abc                             | chunkMs is written like 240
serve --port 0 --wire nothing=1                               | NAME one of mimeType
serve --port 0 --trace session.jsonl                          | --trace names a folder
serve --port 0 --as-of march                                  | invalid month march
serve --port 0 --fast                                         | --fast needs a trace
serve --port 0 --ca x.pem                                     | --ca needs --tls
serve --port 0 --fault close=nosuch                           | nosuch is not in protocol/closes.json
serve --port 0 --voice nobody                                 | nobody
serve --port 0 --host nosuchhost.invalid                      | --host names an address
serve --go-away 1 protocol/scenarios/audio-turn.json          | --go-away cannot be combined with a script
serve --require-key k protocol/scenarios/audio-turn.json      | --require-key cannot be combined with a script
serve --wire chunkMs=40 protocol/scenarios/audio-turn.json    | --wire cannot be combined with a script
completion cmd                                                | 'bash', 'zsh', 'fish', 'powershell'
inspec                                                        | did you mean `livews inspect`?
explian 1011                                                  | livews talk explian
stats {__file__}                                              | did you mean `livews trace stats`?
prox                                                          | did you mean `livews proxy`?
proxy --inject-key --host 0.0.0.0                             | to the network
proxy --ca x.pem                                              | --ca needs --tls
proxy --upstream nonsense                                     | invalid upstream URL
proxy --upstream 'ws://ex ample'                              | it contains a space
proxy --upstream http://one,two                               | a host contains no ,
--url 127.0.0.1:1 hi                                          | it must start with ws://, wss://, http:// or https://
--api-version v1/x hi --url ws://h                            | invalid API version: v1/x
--api-version BOGUS --url 127.0.0.1:1 hi                      | no API version BOGUS
serve --port 0 {BARE}                                         | no session of this trace has a message
trace replay {BARE} --offline                                 | there is nothing to play
trace show {DATA}/tool.jsonl --side client --kind nope        | there is no kind nope
proxy --allow-origin mine.example                             | invalid origin mine.example
proxy --allow-origin https://mine.example/page                | invalid origin
proxy --trace -                                               | every message is shown already
proxy --upstream http://localhost:18799 --port 18799          | would dial itself
inspect a.jsonl --upstream ws://127.0.0.1:1                   | --upstream is about the proxy
inspect --offline --vertex                                    | leave out --vertex
inspect /                                                     | name a file
inspect --trace -                                             | name a file after --trace
inspect {__file__}                                            | it is not a trace
trace replay a.jsonl --fast --speed 2                         | --fast has no speed
trace replay a.jsonl --speed 0                                | invalid speed
trace replay a.jsonl --patience 0                             | invalid duration
trace replay {DATA}/tool.jsonl --trace {DATA}/tool.jsonl      | another file
trace replay a.jsonl --trace -                                | --show
trace replay a.jsonl --offline --to ws://x                    | leave out --to
trace replay a.jsonl --offline --url ws://x                   | leave out --url
proxy --token {KEY}                                           | unrecognized arguments: --token [redacted]
proxy --client-secret=hunter2 --out x                         | arguments: --client-secret=[redacted] --out x
--api-key={KEY} hi                                            | unrecognized arguments: --api-key=[redacted]
--api-key hi                                                  | unrecognized arguments: --api-key
trace show a.jsonl --key hunter2                              | livews trace show: error: unrecognized arguments: --key [redacted]
trace show a.jsonl --turn {KEY}                               | invalid number [redacted]
trace {KEY}                                                   | invalid choice: '[redacted]'
serve --port 0 --trace /dev/full                              | cannot write the trace
serve --port {KEY}                                            | invalid port [redacted]
serve --as-of {KEY}                                           | invalid month [redacted]
serve --wire {KEY}=1                                          | invalid value [redacted]=1
proxy --allow-origin {KEY}                                    | invalid origin [redacted]
--color {KEY} hi                                              | invalid choice: '[redacted]'
completion {KEY}                                              | invalid choice: '[redacted]'
help {KEY}                                                    | no page has the name [redacted]
explain {KEY}                                                 | [redacted] is not defined
proxy --upstream http://{KEY}.example.com                     | refused to send a credential to [redacted]
trace replay a.jsonl --to ws://x --url ws://y                 | --to and --url mean the same
"""


@pytest.mark.parametrize("row", TABLE.strip().splitlines())
def test_refusals(row: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, reason = (part.strip() for part in row.split(" | "))
    code = main(shlex.split(words))
    out, err = capsys.readouterr()
    assert code == (4 if "nosuchhost" in words else 2)
    assert out == ""
    assert reason in " ".join(err.split())
    assert KEY.lower() not in err.lower() and "hunter2" not in err
    assert "nothing is listening" not in err and "Traceback" not in err


def test_a_wrong_option_of_a_tool_names_the_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "cut", "a.jsonl", "-o", "b.jsonl"]) == 2
    assert "livews trace cut: error: name what to keep" in capsys.readouterr().err


def test_contradictions_are_about_options_that_exist() -> None:
    everywhere: set[str] = set()
    for command, parser in parsers().items():
        options = {name for action in parser._actions for name in (*action.option_strings, action.dest)}
        own = {name for *terms, _ in parser.get_default("contradictions") for name in names_in(terms)}
        assert own <= options, command
        everywhere |= options
    assert {name for *terms, _ in OPTIONS["contradictions"] for name in names_in(terms)} <= everywhere


def names_in(terms: list[str]) -> list[str]:
    return [name.partition("=")[0] for term in terms for name in term.removeprefix("not ").split("|")]
