"""From exec of a process to its setup on the wire: what passes by the wall's clock, and the CPU it takes.

- The server notes when setup arrives and says nothing; the process is ended there, so its CPU ends there too.
- Over ws:// google-genai loads certificates it does not use and livews does not; over wss:// both need them,
  and google-genai needs no patch, so that is the fair comparison of the two.
- CPU is what wait4() reports, so this measurement wants a POSIX system.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.bench import peer
from tests.bench.children import environment, livews, script
from tests.bench.rounds import Effort, orders
from tests.bench.rows import Row, Target
from tests.bench.server import Service, serving

SOONER = Target("at least", 3.5, "times sooner")
LESS_CPU = Target("at least", 3.5, "times less CPU")
TLS_INSTALL = "pip install trustme"
_PATIENCE = 30.0


def measure(effort: Effort) -> list[Row]:
    return asyncio.run(_measure(effort))


def can_do_tls() -> bool:
    return find_spec("trustme") is not None


async def _measure(effort: Effort) -> list[Row]:
    rows = []
    service = Service()
    async with serving(service) as port:
        rows += await _rows(service, f"ws://127.0.0.1:{port}", "ws", effort, environment())
    if can_do_tls():
        async with _tls_server(service) as (port, bundle):
            rows += await _rows(service, f"wss://localhost:{port}", "wss", effort, environment(SSL_CERT_FILE=bundle))
    return rows


async def _rows(service: Service, url: str, scheme: str, effort: Effort, env: dict[str, str]) -> list[Row]:
    commands = {
        "python -m livews": livews("--mute", "--url", url, "hi"),
        "livews.connect": script("start_livews", url),
    }
    if peer.installed():
        commands["peer"] = script("start_google_genai", url)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for round_number, order in enumerate(orders(list(commands), effort.starts + 1)):
        for name in order:
            spent = await _start(service, commands[name], env)
            if round_number:  # the first one compiles what has no bytecode yet
                found[name].append(spent)
    rows = []
    for kind, of, target in (("wall", 0, SOONER), ("CPU", 1, LESS_CPU)):
        costs = {name: [spent[of] * 1e3 for spent in all_spent] for name, all_spent in found.items()}
        for name in list(commands)[:2]:
            title = f"start to setup, {scheme}, {kind}: {name}"
            rows.append(Row(title, "peer", "ms", costs[name], peer.NAME, costs.get("peer"), target))
    return rows


async def _start(service: Service, command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds by the wall's clock until setup arrived, and of CPU."""
    service.setup_at = asyncio.get_running_loop().create_future()
    with tempfile.TemporaryFile() as said:
        cpu = 0.0
        started = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        try:
            async with asyncio.timeout(_PATIENCE):
                arrived = await service.setup_at
        except TimeoutError:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"no setup within {_PATIENCE:g} s of {' '.join(command[2:])}: {last}") from None
        finally:
            cpu = _end(process)
            service.setup_at = None
    return arrived - started, cpu


def _end(process: subprocess.Popen[bytes]) -> float:
    """End it; the seconds of CPU it has used, its threads' with it."""
    process.kill()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


@asynccontextmanager
async def _tls_server(service: Service) -> AsyncIterator[tuple[int, str]]:
    """The port, and the certificates to trust: as many as any machine has, and ours."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with tempfile.TemporaryDirectory() as folder:
        bundle = _bundle(Path(folder, "bundle.pem"), authority.cert_pem.bytes())
        async with serving(service, context) as port:
            yield port, bundle


def _bundle(path: Path, ours: bytes) -> str:
    """A file with the machine's own certificates and ours."""
    usual = ssl.get_default_verify_paths().cafile
    if find_spec("certifi"):
        import certifi  # type: ignore[import-not-found,unused-ignore]

        usual = certifi.where()
    path.write_bytes((Path(usual).read_bytes() + b"\n" if usual else b"") + ours)
    return str(path)
