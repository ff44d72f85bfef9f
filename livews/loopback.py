"""Hosts: which characters they have, which are loopback, and the network's proxy for all others.

- Every part of livews that dials asks `proxy_for`: a loopback host is never dialled through a proxy.
"""

import contextlib
import re
import socket
from urllib.parse import urlsplit

_LOCALHOST = re.compile(r"([a-z0-9_-]+\.)*localhost")
_NOT_IN_HOST = re.compile(r"[!-,/:-@\[-^`{-\x7f]")
"""ASCII besides letters, digits, dots, hyphens and underscores."""
_ADDRESS = re.compile(r"[0-9a-fx:.]+(%[a-z0-9_.-]+)?")


def bad_characters(url: str) -> str:
    """Why no URL has these characters: spaces and control characters, which `urlsplit` keeps or removes without a word,
    and others in its host; "" if it has none."""
    if re.search(r"[\s\x00-\x1f\x7f-\x9f]", url):
        return "it contains a space, a line break or a control character"
    authority = re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]
    host = re.sub(r"(:[^:\[\]]*)?$", "", authority.rpartition("@")[2], count=1)
    if not host.startswith("[") and (match := _NOT_IN_HOST.search(host)):
        return f"a host contains no {match[0]}"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: 127.0.0.0/8, ::1 in any spelling, localhost, *.localhost.

    Args:
        host: a name or an address without a port; an IPv6 address may be in brackets.
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


def is_local(host: str) -> bool:
    """Whether dialling a host ends on this machine: a loopback host, or 0.0.0.0, which servers print as their own."""
    return is_loopback(host) or host in ("0.0.0.0", "::")


def is_local_url(url: str) -> bool:
    """Whether a URL is of a server on this machine."""
    return is_local(urlsplit(url).hostname or "")


def proxy_for(host: str, port: int, secure: bool) -> str | None:
    """The URL of the network's proxy for a host; None to dial it directly.

    The environment (HTTPS_PROXY, NO_PROXY and so on; on Windows and macOS the system's settings) is read as websockets
    reads it. A host that is this machine is always dialled directly: a proxy would look for it on its own machine.

    Args:
        host: a name or an address.
        port: the port.
        secure: with TLS (wss).
    """
    if is_local(host):
        return None
    from websockets.proxy import get_proxy
    from websockets.uri import WebSocketURI

    return get_proxy(WebSocketURI(secure, host, port, "", ""))
