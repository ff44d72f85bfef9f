"""What counts as a credential, and what is shown in its place."""

import json
from urllib.parse import quote

import pytest

from livews import redactor
from livews.conversation import Conversation
from livews.errors import BadRequest
from livews.hidden_values import HiddenHandles, HiddenValue
from livews.redactor import Redactor, hide, hide_in, is_secret_name, pseudonym, redact_url, with_pseudonyms
from tests.kit.names import KEY

SECRETS = (
    "key apiKey APIKEY api_key X-Api-Key auth Auth sig X-Goog-Signature X-Amz-Credential password PASS passwd access_token "
    "idToken GH_TOKEN clientSecret keyId myauth Cookie apiKeyString token2 Proxy-Authorization passphrase"
)
ORDINARY = (
    "maxOutputTokens inputTokens author authorAttribution keyboard keyframe monkey tokenCount totalTokenCount tokens tokenizer "
    "design signal vadSignalType assign compass passage passenger secretary authority authType thoughtSignature mimeType alt "
    "Sec-WebSocket-Key"
)


@pytest.mark.parametrize("name", SECRETS.split())
def test_a_name_announces_a_credential(name: str) -> None:
    assert is_secret_name(name)
    assert redact_url(f"wss://h/x?a=1&{name}=VALUE&b=2#c") == f"wss://h/x?a=1&{name}=[redacted]&b=2#c"


@pytest.mark.parametrize("name", ORDINARY.split())
def test_a_name_announces_no_credential(name: str) -> None:
    assert not is_secret_name(name)
    assert redact_url(f"wss://h/x?{name}=VALUE") == f"wss://h/x?{name}=VALUE"


def test_in_messages_a_key_is_a_word_of_any_application() -> None:
    assert not any(is_secret_name(name, is_member=True) for name in ("key", "sortKey", "pass", "primary_key"))
    assert all(is_secret_name(name, is_member=True) for name in ("apiKey", "secret_key", "token", "key_password"))


@pytest.mark.parametrize(
    "url",
    [
        "ws://SECRET@h", "ws://user:SECRET@h/p", "ws://user:SEC%40SECRET@h", "ws://user:SEC@SECRET@h", "ws://user:/SECRET@h:1",
        "ws://user:?SECRET@h", "user:SECRET@h:80", "ws://h?%61piKey=SECRET", "ws://h/#access_token=SECRET", "ws://h?a=1;sig=SECRET",
        "ws://[::1/?key=SECRET", "ws://h?next=ws%3A%2F%2Fx%3Fkey%3DSECRET%26b%3D1", "ws://h?a=b\\u0026key\\u003dSECRET",
        "http:\\/\\/user:SECRET@h\\/",
    ],
)  # fmt: skip
def test_a_url_is_shown_without_credentials_also_one_that_is_invalid_or_within_a_text(url: str) -> None:
    for shown in (
        redact_url(url),
        Redactor().redact(f'it says "{url}" there') if "//" in url or "\\/" in url else "",
    ):
        assert "SEC" not in shown


@pytest.mark.parametrize(
    "url", ["ws://h:80/a@b", "ws://[::1]:80/x@y", "wss://h/ws/google.x?alt=sse&n=1#top", "nonsense"]
)
def test_a_url_without_credentials_stays(url: str) -> None:
    assert redact_url(url) == url


def test_headers_in_a_text() -> None:
    text = "Authorization: Bearer SECRET12 x-goog-api-key: SECRET, Cookie: a=SECRET; b=SECRET"
    assert Redactor().redact(text) == "Authorization: [redacted] x-goog-api-key: [redacted], Cookie: [redacted]"
    assert Redactor().redact("set the header: it names the author; key: C minor") == (
        "set the header: it names the author; key: C minor"
    )


@pytest.mark.parametrize("value", ["AIzaSyX-y_z/1+==", 'with"and\\in-it', "schlüssel-1"])
def test_a_known_value_is_hidden_however_it_is_written(value: str) -> None:
    known = Redactor(value)
    once = json.dumps(value)[1:-1]
    written = [
        value, once, json.dumps(once)[1:-1], quote(value, safe=""), quote(value), quote(quote(value, safe=""), safe=""),
        "".join(f"\\u{ord(c):04X}" for c in value), "".join(f"\\\\u{ord(c):04x}" for c in value),
        "".join(f"%{byte:02x}" for byte in value.encode()), value.replace("/", "\\/"), quote(value, safe="").lower(),
    ]  # fmt: skip
    for text in written[: -1 if value != value.lower() else None]:
        assert value[-4:-2] not in known.redact(f"<{text}>").replace("[redacted]", ""), text
        assert hide(f"<{text}>") == known.redact(f"<{text}>"), text


def test_all_output_is_without_the_credentials_of_all_sessions() -> None:
    sessions = [Redactor("first-secret"), Redactor("123456789012")]
    assert hide("first-secret, 123456789012") == "[redacted], [redacted]"
    assert hide("cut in the middle: first-sec… and first…") == "cut in the middle: [redacted]… and [redacted]…"
    assert hide_in({"a first-secret": [123456789012, 1.5, None, True, "x"]}) == {
        "a [redacted]": ["[redacted]", 1.5, None, True, "x"]
    }
    assert redactor.unfinished("it is first-se") == 8 and redactor.unfinished("it is") == 0
    sessions.clear()
    assert hide("first-secret") == "first-secret"


def test_an_error_is_safe_to_print() -> None:
    known = Redactor("first-secret")
    problem = BadRequest(
        "bell \x07 \x1b[31m\u202e\nfirst-secret", why="\x1b]0;x\x07\ntwo", fix=KEY, where="ws://u:p@h"
    )
    assert problem.what == "bell \\x07 \\x1b[31m\\u202e\\n[redacted]" and problem.args == (problem.what,)
    assert str(problem) == f"{problem.what}\nwhere: ws://[redacted]@h\nwhy: \\x1b]0;x\\x07\ntwo\ndo: [redacted]"
    assert BadRequest(problem.what).what == problem.what, "escaped once"
    assert known


def test_a_handle_is_shown_as_a_pseudonym() -> None:
    handle = "a3f1-handle-of-a-session"
    shown = "handle:" + __import__("hashlib").sha256(handle.encode()).hexdigest()[:12]
    assert pseudonym(handle) == pseudonym(shown) == shown
    for message in (
        {"setup": {"sessionResumption": {"handle": handle}, "tools": [{"handle": "mine"}]}},
        {"setup": {"session_resumption": {"handle": handle}}},
        {"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}},
        {"session_resumption_update": {"new_handle": handle}},
    ):
        before = json.dumps(message)
        assert json.dumps(with_pseudonyms(message)) == before.replace(handle, shown)
        assert json.dumps(message) == before, "it does not change"
        step = Conversation().step("client" if "setup" in message else "server", json.dumps(message))
        redactor.remember_handles(step)
        known = Redactor()
        assert hide(f"resumed {handle}") == f"resumed {shown}"
        assert known.redact_known(handle.encode()) == handle.encode(), "traces hold the bytes of the wire"
    ordinary = {"toolCall": {"functionCalls": [{"args": {"handle": handle, "newHandle": handle}}]}}
    assert with_pseudonyms(ordinary) == ordinary


SPLIT = "tok-Ab3/x_9-longer-than-that"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([f"it is {SPLIT[:12]}", f"{SPLIT[12:]}, yes"], ["it is [redacted]", ", yes"]),
        ([f"it is {SPLIT[:5]}", f"{SPLIT[5:]}, yes"], [f"it is {SPLIT[:5]}", "[redacted], yes"]),
        ([SPLIT[:4], SPLIT[4:8], SPLIT[8:12], SPLIT[12:], "!"], [SPLIT[:4], "[redacted]", "", "", "!"]),
        ([SPLIT[:-1], SPLIT[-1:]], ["[redacted]", ""]),
        ([SPLIT[:12], "", SPLIT[12:] + SPLIT[:9], SPLIT[9:]], ["[redacted]", "", "[redacted]", ""]),
        ([SPLIT[:12], "another word"], ["[redacted]", "another word"]),
        (["tok", "tok-", "Ab3/x_9-longer", "-than-that"], ["tok", "tok-", "[redacted]", ""]),
        (["a tok", "en is", " a word"], ["a tok", "en is", " a word"]),
    ],
)
def test_a_credential_in_pieces(pieces: list[str], shown: list[str]) -> None:
    known = Redactor(SPLIT)
    for redaction in (redactor.Pieces(known), redactor.Pieces()):
        assert [redaction.hide(piece) for piece in pieces] == shown
    one = redactor.Pieces(known)
    messages = [{"a": [{"text": piece}], "thought": True, "b": 1} for piece in pieces]
    assert [one.hide_in(message, "server")["a"][0]["text"] for message in messages] == shown
    assert one.hide_in(ordinary := {"a": ["x", {"b": None}]}, "server") is ordinary, (
        "what does not change is not copied"
    )


def test_pieces_of_other_members_and_senders_do_not_belong_together() -> None:
    known = Redactor(SPLIT)
    pieces = redactor.Pieces(known)
    start, rest = SPLIT[:4], SPLIT[4:]
    pieces.hide_in({"a": start}, "server")
    assert pieces.hide_in({"b": rest}, "server") == {"b": rest} and pieces.hide_in({"a": rest}, "client") == {
        "a": rest
    }
    assert pieces.hide_in({"a": rest}, "server") == {"a": "[redacted]"}


def test_a_handle_is_found_in_any_spelling_and_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redactor, "_handles", HiddenHandles())
    handles = [f"Cig{n}/handle-{n}-of-many" for n in range(300)]
    for handle in handles:
        message = json.dumps({"sessionResumptionUpdate": {"newHandle": handle}})
        redactor.remember_handles(Conversation().step("server", message))
    for handle in (handles[0], handles[-1]):
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in handle)
        for spelled in (
            handle,
            quote(handle, safe=""),
            handle.replace("/", "\\/"),
            escaped,
            escaped.replace("\\", "\\\\"),
        ):
            assert hide(f"50% {spelled} \\n") == f"50% {pseudonym(handle)} \\n"
    compiled = sum(known._escaped is not None for known in redactor._handles.values())
    assert compiled <= 2, "no pattern for a handle that does not occur"
    assert hide(f"cut off: {handles[7][:12]}…") != f"cut off: {handles[7][:12]}…"


@pytest.mark.parametrize("credential", [
    "AIza" + "S" * 35, "AQ." + "S" * 30, "ya29." + "s" * 20, "auth_tokens/" + "s" * 12, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.sig",
])  # fmt: skip
def test_the_shape_of_a_credential_is_hidden_wherever_it_is(credential: str) -> None:
    assert redactor.hide(f"a {credential} b") == f"a {redactor.HIDDEN} b"


def test_the_time_of_a_text_does_not_grow_with_the_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 512 handles none is compared with a text that has none of them, and the right one is found."""
    monkeypatch.setattr(redactor, "_handles", HiddenHandles())
    monkeypatch.setattr(redactor, "_redactors", ())  # those of other tests
    handles = [f"Cig{n % 7}{n:08x}{n * 7919:08x}" for n in range(600)]
    for handle in handles:
        redactor.remember_handles(
            Conversation().step("server", json.dumps({"sessionResumptionUpdate": {"newHandle": handle}}))
        )
    compared: list[bytes] = []
    for how in ("replaced", "begins_at_end"):
        monkeypatch.setattr(HiddenValue, how, lambda self, raw: compared.append(self.plain) or raw)
    assert hide("nothing of it 00000000, %41 \\u0041") == "nothing of it 00000000, %41 \\u0041"
    assert redactor.Pieces().hide("a text that ends in C") == "a text that ends in C"
    assert hide("cut off… and on…") == "cut off… and on…" and redactor.unfinished("nothing") == 0
    assert compared == []
    hide(f"a{handles[400]}b and {handles[50]}")  # the oldest 88 are forgotten
    assert compared == [handles[400].encode()]
    monkeypatch.undo()


def test_of_many_handles_each_beginning_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redactor, "_handles", HiddenHandles())
    handles = ["Cig" + "x" * n + f"/{n:09d}" for n in range(40)]
    for handle in [*handles, handles[3][:-1]]:
        redactor._handles.add(handle, "instead", 100)
    for handle in handles:
        for cut in range(1, len(handle) + 1):
            text = f"so {handle[:cut]}"
            alone = max(known.begins_at_end(text.encode()) for known in redactor._handles.values())
            assert redactor._handles.beginning_at_end(text.encode())[0] == alone


def test_a_long_text_after_a_short_beginning_is_not_searched_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that ends in a letter of a shape is the rule; the next one is looked at only where the two meet."""
    places: list[int] = []

    class Shapes:
        def match(self, raw: bytes, at: int) -> None:
            places.append(at)

    monkeypatch.setattr(redactor, "_SHAPES", Shapes())
    pieces, long = redactor.Pieces(), "eyJ AIza AQ. " * 10_000
    assert pieces.hide("a banana", "x") == "a banana" and pieces.hide(long, "x") == long
    assert places == []
    pieces.hide("ends in AI", "x")
    pieces.hide("za" + long, "x")
    assert places == [0]
