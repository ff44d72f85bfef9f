"""A throw-away certificate authority, so that clients that insist on wss:// can dial this machine.

- Made new at every start, valid for loopback names and the address listened on; its key never touches the disk.
- trustme does the work, and is imported here alone (extra `tls`).
"""

from __future__ import annotations

import ssl
from pathlib import Path

from livews.errors import MissingDependency


def context(ca_file: str | Path, host: str = "127.0.0.1", name: str = "stand-in") -> ssl.SSLContext:
    """A server's TLS context; the authority's certificate is written to `ca_file` (PEM). OSError, MissingDependency.

    `name` is what serves: whoever looks at the certificate reads `livews NAME`.
    """
    try:
        import trustme
    except ImportError:
        raise MissingDependency(
            "--tls needs the package trustme, which is not installed", where="--tls", fix="pip install trustme"
        ) from None

    authority = trustme.CA(organization_name=f"livews {name}", organization_unit_name="throw-away")
    names = dict.fromkeys(
        ("localhost", "127.0.0.1", "::1", host if host not in ("0.0.0.0", "::", "") else "localhost")
    )
    certificate = authority.issue_cert(*names)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    authority.cert_pem.write_to_path(str(ca_file))
    return made
