"""A bearer token for Vertex from google-auth: the real package, against a token server on loopback."""

import asyncio
import json
from pathlib import Path

import pytest

import livews
from livews import google_credentials
from tests.kit.servers import Recorder, tcp

NEEDS = "pip install 'livews[vertex]' to test it"


async def give_token(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    body = json.dumps({"access_token": "bearer-of-the-test", "expires_in": 3600})
    head_of_answer = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(f"{head_of_answer}{body}".encode())
    await writer.drain()


@pytest.mark.filterwarnings("ignore")  # google-auth's own
async def test_application_default_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("google.auth.transport.requests", reason=NEEDS)
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com"}
    account |= {"private_key": key.decode(), "private_key_id": "1", "project_id": "p"}
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    recorder = Recorder()
    async with tcp(give_token) as url, recorder.listening() as port:
        (tmp_path / "account.json").write_text(json.dumps({**account, "token_uri": f"{url}/token"}))
        with pytest.raises(livews.LivewsError):
            await livews.connect(vertex=True, project="p", location="l", url=f"ws://127.0.0.1:{port}")
    assert "authorization: bearer bearer-of-the-test" in recorder.requests[0].lower()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", [None, b"", b'{"private_key":"TESTSECRET\xe9"', b"{}"])
async def test_no_credentials_on_the_machine(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.auth.transport.requests", reason=NEEDS)
    path = tmp_path / "account.json"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(livews.BadRequest, match="no Google credentials") as caught:
        await google_credentials.bearer()
    assert "gcloud auth" in caught.value.fix
    assert "TESTSECRET" not in str(caught.value)
    assert caught.value.exit_code == 3


async def test_without_google_auth_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
    with pytest.raises(livews.BadRequest) as caught:
        await google_credentials.bearer()
    assert "pip install google-auth" in caught.value.fix
    assert "GOOGLE_OAUTH_ACCESS_TOKEN" in caught.value.fix
