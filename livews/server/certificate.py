"""A temporary certificate authority, for clients that insist on wss://.

- Made anew at every start, valid for loopback names and the address listened on; its key is never written to disk.
- Uses trustme, which only this module imports (extra `tls`).
"""

import os
import ssl
from pathlib import Path

from livews.errors import MissingDependency
from livews.output_file import open_output


def context(ca_file: str | Path, host: str = "127.0.0.1", name: str = "stand-in") -> ssl.SSLContext:
    """A server's TLS context.

    - `ca_file`: where to write the authority's certificate (PEM). OSError if that fails.
    - `host`: the address listened on, which the certificate is valid for besides the loopback names.
    - `name`: what serves; the certificate's organisation is `livews NAME`.

    MissingDependency without trustme.
    """
    try:
        import trustme
    except ImportError:
        raise MissingDependency(
            "--tls needs the package trustme, which is not installed", where="--tls", fix="pip install trustme"
        ) from None

    authority = trustme.CA(organization_name=f"livews {name}", organization_unit_name="throw-away")
    any_address = host in ("0.0.0.0", "::", "")
    certificate = authority.issue_cert(
        *dict.fromkeys(("localhost", "127.0.0.1", "::1", "localhost" if any_address else host))
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    with os.fdopen(open_output(ca_file, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(authority.cert_pem.bytes())
    return tls
