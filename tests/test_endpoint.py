"""Where livews dials: every form of endpoint, and the handshake as a socket sees it."""

import json
import re
from typing import Any

import pytest

import livews
from livews import endpoint, redactor
from livews.core import protocol
from livews.endpoint import Settings
from tests.kit.names import GEMINI, VERTEX
from tests.kit.servers import Recorder

VECTORS = json.loads((protocol.root() / "vectors/endpoints/endpoints.json").read_text())["tests"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_vector(vector: dict[str, Any]) -> None:
    where = endpoint.resolve(Settings(**vector["given"]), vector["model"])
    assert (where.url, dict(where.headers), where.model) == (vector["url"], vector["headers"], vector["named"])


@pytest.mark.parametrize(
    ("prefix", "options", "path", "headers"),
    [
        ("", {"api_key": "secret-key-1"}, GEMINI, {"x-goog-api-key": "secret-key-1"}),
        ("", {"token": "auth_tokens/abc"}, GEMINI.replace("v1beta", "v1alpha") + "Constrained",
         {"authorization": "Token auth_tokens/abc", "x-goog-api-key": "auth_tokens/abc"}),
        ("/gate/", {"vertex": True, "project": "p", "token": "bearer-1"}, f"/gate{VERTEX}",
         {"authorization": "Bearer bearer-1"}),
    ],
    ids=["key", "ephemeral token", "Vertex with a prefix"],
)  # fmt: skip
async def test_the_handshake(prefix: str, options: dict[str, Any], path: str, headers: dict[str, str]) -> None:
    recorder = Recorder()
    async with recorder.listening() as port:
        with pytest.raises(livews.Refused):
            await livews.connect(url=f"ws://127.0.0.1:{port}{prefix}", **options)
    line, *rest = recorder.requests[0].strip().split("\r\n")
    assert line == f"GET {path} HTTP/1.1"
    sent = {name.lower(): value for name, value in (header.split(": ", 1) for header in rest)}
    assert {**headers, "user-agent": f"livews/{livews.__version__}"}.items() <= sent.items()
    assert "origin" not in sent
    assert "sec-websocket-extensions" not in sent, "compression is not offered (WIRE-13)"


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({"api_key": "k-123456"}, "generativelanguage.googleapis.com:443"),
        ({"vertex": True, "project": "p", "location": "us-east5", "token": "t-123456"},
         "us-east5-aiplatform.googleapis.com:443"),
        ({"vertex": True, "project": "p", "location": "us", "token": "t-123456"},
         "aiplatform.us.rep.googleapis.com:443"),
        ({"vertex": True, "project": "p", "location": "global", "token": "t-123456"}, "aiplatform.googleapis.com:443"),
    ],
)  # fmt: skip
async def test_the_host_really_dialled(options: dict[str, Any], host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy of ours, so that the CONNECT line tells the host without leaving the machine."""
    recorder = Recorder(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    async with recorder.listening() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(livews.Unreachable) as caught:
            await livews.connect(**options)
    request, problem = recorder.requests[0], caught.value
    assert request.split()[:2] == ["CONNECT", host]
    assert "proxy" in problem.what
    assert "HTTPS_PROXY" in problem.fix


ENVIRONMENTS = [
    ({"GOOGLE_API_KEY": "g", "GEMINI_API_KEY": "m"}, Settings(api_key="g", both_keys=True)),
    ({"GEMINI_API_KEY": "m"}, Settings(api_key="m")),
    ({"GEMINI_API_KEY": " m \n"}, Settings(api_key="m")),
    ({"GOOGLE_API_KEY": "auth_tokens/x"}, Settings(token="auth_tokens/x")),
    ({"GOOGLE_API_KEY": "g", "GOOGLE_GENAI_API_VERSION": "beta"}, Settings(api_key="g", version="v1beta")),
    ({"GOOGLE_API_KEY": "g", "GOOGLE_GENAI_API_VERSION": "v1"}, Settings(api_key="g", version="v1")),
    ({"GOOGLE_API_KEY": "g", "GOOGLE_GEMINI_BASE_URL": "http://h"}, Settings(api_key="g", url="http://h")),
    ({"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l",
      "GOOGLE_API_KEY": "g", "GOOGLE_OAUTH_ACCESS_TOKEN": "t"},
     Settings(vertex=True, project="p", location="l", token="t")),
    ({"GOOGLE_GENAI_USE_ENTERPRISE": "1", "GOOGLE_API_KEY": "g"}, Settings(vertex=True, api_key="g")),
    ({}, Settings()),
]  # fmt: skip


@pytest.mark.parametrize(("env", "settings"), ENVIRONMENTS)
def test_environment(env: dict[str, str], settings: Settings) -> None:
    assert endpoint.from_environment(env, Settings(vertex=None)) == settings


@pytest.mark.parametrize(
    ("env", "given", "settings"),
    [
        ({"GOOGLE_API_KEY": "g", "GOOGLE_GEMINI_BASE_URL": "http://h", "GOOGLE_GENAI_API_VERSION": "v1"},
         {"url": "ws://x", "api_key": "k", "version": "v1alpha"}, Settings("ws://x", "k", version="v1alpha")),
        # a key that was given means express mode, which has no project
        ({"GOOGLE_CLOUD_PROJECT": "p"}, {"api_key": "k", "vertex": True}, Settings(api_key="k", vertex=True)),
    ],
)  # fmt: skip
def test_an_argument_beats_the_environment(env: dict[str, str], given: dict[str, Any], settings: Settings) -> None:
    assert endpoint.from_environment(env, Settings(**{"vertex": None, **given})) == settings


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (Settings(), "GOOGLE_API_KEY .*livews serve"),
        (Settings(token="ya29.something"), "--vertex"),
        (Settings(vertex=True), "GOOGLE_CLOUD_PROJECT"),
        (Settings(url="example.com"), "ws://"),
        (Settings(url="ftp://example.com"), "ws://"),
        (Settings(url="ws://host:99999"), "65535"),
        (Settings(url="ws://["), "ws://"),
        (Settings(url="ws://h", api_key="“quoted”"), "ASCII only"),
        (Settings(url="ws://h", token="two words"), "without spaces"),
    ],
)
def test_what_does_not_fit_is_told_with_a_cure(settings: Settings, word: str) -> None:
    with pytest.raises(livews.BadRequest) as caught:
        endpoint.resolve(settings, "m")
    assert re.search(word, caught.value.fix)
    assert caught.value.where


@pytest.mark.parametrize(
    "url",
    ["wss://h/x?key=AIzaSecretSecret", "wss://h/x?a=1&access_token=tok%2Fen-99&b=2", "ws://user:hunter22@h/x"],
)
def test_no_secret_of_a_url_is_shown(url: str) -> None:
    where = endpoint.resolve(Settings(url=url), "m")
    shown = f"{where.shown} {where!r} {Settings(url=url, api_key='AIzaSecretSecret', token='tok-en-9')!r}"
    for secret in ("AIzaSecretSecret", "tok%2Fen-99", "tok/en-99", "hunter22", "tok-en-9"):
        assert secret not in shown
    assert where.url.partition("?")[2] == url.partition("?")[2], "what is dialled keeps its query"


def test_secrets_are_hidden_in_every_spelling() -> None:
    secrets = redactor.Redactor("a/b+c==")
    assert secrets.redact("x a/b+c== y a%2Fb%2Bc%3D%3D z") == "x [redacted] y [redacted] z"
    assert "AIza" not in secrets.redact("key AIzaSyA1234567890123456789012345678901")
    assert secrets.redact_known(b"?a/b+c==") == b"?[redacted]"
    for written in (
        r"a\/b+c==",
        r"\u0061/b+c==",
        r"a\u002fb\u002Bc=\u003D",
        "".join(f"\\u{ord(c):04x}" for c in "a/b+c=="),
    ):
        assert json.loads(f'"{written}"') == "a/b+c=="
        assert secrets.redact_known(f'{{"x":"{written}"}}'.encode()) == b'{"x":"[redacted]"}', written
    assert redactor.Redactor("schlüssel").redact_known(rb"schl\u00FCssel") == b"[redacted]"
