"""Where livews dials: every form of endpoint, and the handshake as a socket sees it."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

import livews
from livews import endpoint
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
    ({"GOOGLE_API_KEY": "g", "GOOGLE_GEMINI_BASE_URL": "http://h"}, Settings(api_key="g", url="http://h", url_from="GOOGLE_GEMINI_BASE_URL")),
    ({"LIVEWS_INSECURE": "1"}, Settings(insecure=True)),
    ({"LIVEWS_INSECURE": "Yes"}, Settings(insecure=True)),
    ({"LIVEWS_INSECURE": "0"}, Settings()),
    ({"GOOGLE_GEMINI_BASE_URL": "http://h\n"}, Settings(url="http://h", url_from="GOOGLE_GEMINI_BASE_URL")),
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
        (Settings(url="ws://ex ample"), "ws://"),
        (Settings(url="ws://exa\r\nmple/path"), "ws://"),
        (Settings(url="ws://host/a\tb"), "ws://"),
        (Settings(url="ws://host\\.example"), "ws://"),
        (Settings(url="ws://one,two"), "ws://"),
        (Settings(url="ws://h", version="v1/../x"), "v1beta, v1alpha"),
        (Settings(url="ws://SECRET@host"), "GOOGLE_API_KEY"),
        (Settings(url="ws://h", api_key="“quoted”"), "ASCII only"),
        (Settings(url="ws://h", token="two words"), "without spaces"),
    ],
)
def test_what_does_not_fit_is_told_with_a_cure(settings: Settings, word: str) -> None:
    with pytest.raises(livews.BadRequest) as caught:
        endpoint.resolve(settings, "m")
    assert re.search(word, caught.value.fix)
    assert caught.value.where
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["wss://h/x?key=AIzaSecretSecret", "wss://h/x?a=1&access_token=tok%2Fen-99&b=2", "wss://user:hunter22@h/x",
     "wss://h/x?apiKey=tok-en-9", "wss://h/x?X-Goog-Signature=hunter22"],
)  # fmt: skip
def test_no_secret_of_a_url_is_shown(url: str) -> None:
    where = endpoint.resolve(Settings(url=url), "m")
    shown = f"{where.shown} {where!r} {Settings(url=url, api_key='AIzaSecretSecret', token='tok-en-9')!r}"
    for secret in ("AIzaSecretSecret", "tok%2Fen-99", "tok/en-99", "hunter22", "tok-en-9"):
        assert secret not in shown
    assert where.url.partition("?")[2] == url.partition("?")[2], "what is dialled keeps its query"


def test_a_variable_that_says_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(livews.BadRequest, match="LIVEWS_INSECURE=perhaps"):
        endpoint.from_environment({"LIVEWS_INSECURE": "perhaps"}, Settings())


KEYED = Settings(api_key="k-123456")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (replace(KEYED, url="ws://host"), "--url"),
        (replace(KEYED, url="http://10.0.0.1:80/p"), "--url"),
        (
            replace(KEYED, url="ws://127.0.0.1.example.com", url_from="GOOGLE_GEMINI_BASE_URL"),
            "GOOGLE_GEMINI_BASE_URL",
        ),
        (replace(KEYED, url="ws://127.0.0.1:x@host"), "--url"),
        (Settings(url="ws://host?apiKey=abc"), "--url"),
        (Settings(url="ws://user:word@host"), "--url"),
        (Settings(url="ws://host", token="auth_tokens/x", url_from="url"), "url"),
        (Settings(url="ws://host", token="ya29.x", vertex=True, project="p"), "--url"),
        (Settings(url="ws://host/gateway", token="ya29.x", vertex=True), "--url"),
    ],
)
def test_no_credential_goes_to_another_host_without_tls(settings: Settings, name: str) -> None:
    with pytest.raises(livews.BadRequest, match="without TLS") as caught:
        endpoint.resolve(settings, "m")
    assert caught.value.where == name and "--insecure" in caught.value.fix
    assert caught.value.why.startswith(settings.url.partition(":")[0] + "://"), "the scheme that was given"
    assert endpoint.resolve(replace(settings, insecure=True), "m").url.startswith("ws://")


@pytest.mark.parametrize(
    "url",
    ["wss://host", "https://host", *(f"ws://{host}:1" for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0"))],
)
def test_a_credential_goes_with_tls_and_to_this_machine(url: str) -> None:
    assert endpoint.resolve(replace(KEYED, url=url), "m").headers
    assert not endpoint.resolve(Settings(url="ws://host"), "m").headers, "without one it may be any server"


async def test_the_library_sends_no_credential_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(livews.BadRequest, match="without TLS") as caught:
        await livews.connect(url="ws://there.invalid", api_key="k-123456")
    assert caught.value.where == "url"
    with pytest.raises(livews.Unreachable):
        await livews.connect(url="ws://there.invalid", api_key="k-123456", insecure=True)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://there.invalid")
    with pytest.raises(livews.BadRequest) as caught:
        await livews.connect(api_key="k-123456")
    assert caught.value.where == "GOOGLE_GEMINI_BASE_URL"
