"""--tls and --ca: a command that listens does it over TLS, and says how clients come to trust it.

- The certificate of the authority is a file as long as the command runs; one that was named with --ca stays.
- Each client is told in its own words: a variable it reads, with a value that works as it stands.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    from livews.cli.console import Console


def add_flags(add: Callable[..., Any]) -> None:
    """`add` is the add_argument of a parser or of a group of it."""
    add("--tls", action="store_true", help="wss://, with a throw-away certificate authority made on the spot")
    add("--ca", default="", metavar="FILE", help="with --tls: write the authority's certificate here")


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.ca and not options.tls:
        parser.error("--ca goes with --tls")


@contextlib.contextmanager
def ca_file(options: argparse.Namespace) -> Iterator[Path]:
    """Where the authority's certificate goes: the file that was named, or one that goes when the server does."""
    import tempfile

    if options.ca:
        yield Path(options.ca)
    else:
        with tempfile.TemporaryDirectory(prefix="livews-") as folder:
            yield Path(folder) / "ca.pem"


def context(ca: Path, host: str, name: str) -> ssl.SSLContext:
    """The TLS of a server at `host`; `name` is what the authority says it is of. BadRequest."""
    from livews.errors import BadRequest
    from livews.server import certificate

    try:
        return certificate.context(ca, host, name)
    except OSError as problem:
        raise BadRequest(
            f"cannot write {ca}: {problem.strerror}", where="--ca", fix="name a file in a folder that exists"
        ) from None


def tell(console: Console, url: str, ca: Path) -> None:
    """How clients dial the wss:// `url`, and trust it."""
    https = re.sub(r"^wss://(127\.0\.0\.1|\[::1\]|0\.0\.0\.0|\[::\])", "https://localhost", url)
    console.note(f"its certificate authority, for as long as it runs: {ca}")
    console.note(f"  google-genai (Python)    GOOGLE_GEMINI_BASE_URL={https} SSL_CERT_FILE={ca}")
    console.note(f"  @google/genai (Node)     GOOGLE_GEMINI_BASE_URL={https} NODE_EXTRA_CA_CERTS={ca}")
    console.note(f"  livews                   SSL_CERT_FILE={ca} livews --url {url}")
