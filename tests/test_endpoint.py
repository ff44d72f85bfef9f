"""Where livews dials: every form of endpoint, and the handshake as a socket sees it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import livews
from livews import endpoint, redactor
from livews.core import protocol
from livews.endpoint import Settings
from tests.kit.servers import Recorder

VECTORS = json.loads((protocol.root() / "vectors/endpoints/endpoints.json").read_text())["tests"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_vector(vector: dict[str, Any]) -> None:
    where = endpoint.resolve(Settings(**vector["given"]), vector["model"])
    assert (where.url, dict(where.headers), where.model) == (vector["url"], vector["headers"], vector["named"])


async def handshake(**options: Any) -> tuple[str, dict[str, str]]:
    """The request line and headers (lower case) that `connect` sends to a base URL of ours."""
    recorder = Recorder()
    async with recorder.listening() as port:
        with pytest.raises(livews.LivewsError):
            await livews.connect(url=f"ws://127.0.0.1:{port}{options.pop('prefix', '')}", **options)
    line, *rest = recorder.requests[0].strip().split("\r\n")
    return line, {name.lower(): value for name, value in (header.split(": ", 1) for header in rest)}


async def test_handshake_of_a_key() -> None:
    line, headers = await handshake(api_key="secret-key-1")
    assert line == "GET /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent HTTP/1.1"
    assert headers["x-goog-api-key"] == "secret-key-1"
    assert "sec-websocket-extensions" not in headers, "compression is not offered (WIRE-13)"
    assert "origin" not in headers
    assert headers["user-agent"] == f"livews/{livews.__version__}"


async def test_handshake_of_an_ephemeral_token() -> None:
    line, headers = await handshake(token="auth_tokens/abc")
    assert line.split()[1].endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
    assert headers["authorization"] == "Token auth_tokens/abc"
    assert headers["x-goog-api-key"] == "auth_tokens/abc"


async def test_handshake_of_vertex_with_a_prefix() -> None:
    line, headers = await handshake(prefix="/gate/", vertex=True, project="p", token="bearer-1")
    assert line.split()[1] == "/gate/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
    assert headers["authorization"] == "Bearer bearer-1"


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
    assert endpoint.from_environment(env) == settings


def test_a_key_that_was_given_means_express_mode() -> None:
    settings = endpoint.from_environment({"GOOGLE_CLOUD_PROJECT": "p"}, api_key="given", vertex=True)
    assert dict(endpoint.resolve(settings, "m").headers) == {"x-goog-api-key": "given"}


def test_a_flag_beats_the_environment() -> None:
    env = {"GOOGLE_API_KEY": "g", "GOOGLE_GEMINI_BASE_URL": "http://h", "GOOGLE_GENAI_API_VERSION": "v1"}
    settings = endpoint.from_environment(env, url="ws://x", api_key="k", version="v1alpha")
    assert (settings.url, settings.api_key, settings.version) == ("ws://x", "k", "v1alpha")


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
    for shown in (
        where.shown,
        repr(where),
        repr(Settings(url=url, api_key="AIzaSecretSecret", token="tok-en-9")),
    ):
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
