"""Loopback addresses: hosts that only this machine can reach.

- One answer for all of livews: such a host is never dialled through a proxy, and only it is served without a warning.
"""

from __future__ import annotations

import contextlib
import re
import socket

_LOCALHOST = re.compile(r"([a-z0-9_-]+\.)*localhost")
_ADDRESS = re.compile(r"[0-9a-fx:.]+(%[a-z0-9_.-]+)?")


def is_loopback(host: str) -> bool:
    """Whether only this machine can be reached at a host: 127.0.0.0/8, ::1 in any spelling, localhost, *.localhost.

    `host` is a name or an address without a port; an IPv6 address may be in brackets.
    """
    from ipaddress import ip_address

    host = host.lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if _LOCALHOST.fullmatch(host):
        return True
    if not _ADDRESS.fullmatch(host):
        return False
    try:
        address = ip_address(host)
    except ValueError:  # 127.1, 2130706433 and 0x7f.1 are dialled as 127.0.0.1, too
        with contextlib.suppress(OSError):
            return socket.inet_aton(host)[0] == 127
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
