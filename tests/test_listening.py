"""What the servers share: which web pages may use them, and running out of file descriptors."""

import asyncio
import contextlib
import errno
import socket
import sys
from pathlib import Path

import pytest

from livews.cli.server_command import who_can_connect
from livews.listening import PageAccess, is_out_of_descriptors, url_to_dial
from livews.loopback import is_loopback
from livews.server.server import serve_stand_in
from tests.kit.command import running
from tests.kit.names import GEMINI

linux = pytest.mark.skipif(sys.platform != "linux", reason="sets the limits of another process")
UPGRADE = (
    f"GET {GEMINI} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    ("headers", "upgrade", "refused"),
    [
        ({"host": ["127.0.0.1:8765"]}, False, ""),
        ({"host": ["rebound.example"]}, True, ""),  # a program that is no browser
        ({"host": ["[::1]:8765"], "origin": ["http://localhost:3000"]}, False, ""),
        ({"host": ["localhost"], "origin": ["https://[::1]:1"]}, True, ""),
        ({"host": ["localhost"], "origin": ["http://127.0.0.1"]}, True, ""),
        ({"host": ["localhost"], "origin": ["https://mine.example"]}, True, ""),
        ({"host": ["localhost"], "origin": ["http://127.999.999.999"]}, True, "127.999.999.999"),
        ({"host": ["localhost"], "origin": ["http://127.0.0.1.evil.example"]}, True, "evil.example"),
        ({"host": ["localhost"], "origin": ["https://mine.example.evil.example"]}, True, "--allow-origin https://mine"),
        ({"host": ["localhost"], "origin": ["null"]}, True, "of null"),
        ({"host": ["localhost"], "origin": [""]}, True, "may not use"),
        ({"host": ["localhost"], "origin": ["http://localhost", "http://a.example"]}, True, "a.example"),
        ({"host": ["localhost"], "sec-fetch-site": ["cross-site"]}, False, "another site"),
        ({"host": ["rebound.example:8765"]}, False, "not rebound.example"),
        ({"host": ["127.999.999.999"]}, False, "not 127.999"),
        ({"host": ["localhost", "rebound.example"]}, False, "not localhost, rebound"),
        ({}, False, "dial it as 127.0.0.1"),
    ],
)  # fmt: skip
def test_which_web_pages_are_let_in(headers: dict[str, list[str]], upgrade: bool, refused: str) -> None:
    access = PageAccess("stand-in", "127.0.0.1", ["https://mine.example"])
    refusal = access.refusal(lambda name: headers.get(name, []), is_upgrade=upgrade)
    assert bool(refusal) is bool(refused) and refused in " ".join(refusal or ())
    if "origin" in headers:
        assert (
            PageAccess("stand-in", "0.0.0.0", ["*"]).refusal(lambda name: headers.get(name, []), is_upgrade=upgrade)
            is None
        )


@pytest.mark.parametrize(
    ("host", "url", "who"),
    [
        ("0.0.0.0", "wss://127.0.0.1:8765", "everyone who reaches this machine"),
        ("", "wss://127.0.0.1:8765", "everyone who reaches this machine"),
        ("::", "wss://[::1]:8765", "everyone who reaches this machine"),
        ("192.168.1.7", "wss://192.168.1.7:8765", "everyone who reaches 192.168.1.7"),
        ("::1", "wss://[::1]:8765", ""),
        ("localhost", "wss://localhost:8765", ""),
    ],
)
def test_the_url_can_be_dialled_and_others_are_named(host: str, url: str, who: str) -> None:
    assert url_to_dial(host, 8765, tls=True) == url
    assert who_can_connect(host) == who


async def test_a_stand_in_on_every_address_names_one_to_dial() -> None:
    async with serve_stand_in("0.0.0.0") as server:
        assert server.url.startswith("ws://127.0.0.1:")


def test_addresses_that_are_none_are_not_loopback() -> None:
    assert not any(
        map(is_loopback, ("127.999.999.999", "127.0.0.256", "127.0.0.0.1", "127..1", "127.0.0.08", "127."))
    )


# File descriptors


@linux
@pytest.mark.parametrize("command", ["serve", "proxy", "inspect"])
async def test_without_file_descriptors_it_is_reported_once_and_goes_on_when_there_are_some(command: str) -> None:
    import resource

    ports = ("--port", "0", *(["--proxy-port", "0", "--offline"] if command == "inspect" else []))
    with running(command, *ports) as (url, process):
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (40, 40))
        address = ("127.0.0.1", int(url.partition("/?")[0].rpartition(":")[2]))
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(socket.create_connection(address, timeout=5))
            used = cpu_seconds(process.pid)
            await asyncio.sleep(1.3)  # asyncio tries again after a second
            assert cpu_seconds(process.pid) - used < 0.5, "nothing spins"
        async with asyncio.timeout(20):
            while not (await answer_of(address)).startswith(b"HTTP/1.1 "):
                await asyncio.sleep(0.1)
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert errors.count("no file descriptors are left") == 1 and "ulimit -n" in errors
    assert len(errors) < 5_000 and "Traceback" not in errors


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def answer_of(address: tuple[str, int]) -> bytes:
    """The first bytes of the answer to an upgrade; b"" if the connection ends without one."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(UPGRADE.encode())
    try:
        async with asyncio.timeout(10):
            return await reader.read(1000)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


@linux
def test_a_server_may_open_as_many_files_as_the_system_allows() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 500), hard))
    try:
        with running("serve", "--port", "0", "--quiet") as (_, process):
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_failure_for_want_of_descriptors_is_known_by_its_origin() -> None:
    with pytest.raises(ValueError, match="the trace") as caught:
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError:
            raise ValueError("cannot write the trace") from None
    assert is_out_of_descriptors(caught.value)
    assert not is_out_of_descriptors(OSError(errno.ENOSPC, "No space left")) and not is_out_of_descriptors(None)
