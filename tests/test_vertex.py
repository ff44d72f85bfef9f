"""A bearer token for Vertex from google-auth: the real package, against a token server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import livews
from livews import google_credentials
from tests.kit.servers import Recorder

NEEDS = "pip install 'livews[vertex]' to test it"


@pytest.fixture
def token_server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"access_token": "bearer-of-the-test", "expires_in": 3600}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore")  # google-auth's own
async def test_application_default_credentials(
    token_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.auth.transport.requests", reason=NEEDS)
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "token_uri": token_server}
    account |= {"private_key": key.decode(), "private_key_id": "1", "project_id": "p"}
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    recorder = Recorder()
    async with recorder.listening() as port:
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
    assert "--token" in caught.value.fix
