"""Where a command listens: the flags of it, and what is said when it cannot.

A wrong address and a taken port are told apart: the cure differs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livews.errors import Unreachable


def port(text: str) -> int:
    """The type of --port."""
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: a number from 0 to 65535")
    return int(text)


def cannot(options: argparse.Namespace, problem: OSError) -> Unreachable:
    """The failure to listen on --host and --port."""
    import errno

    from livews.errors import Unreachable

    taken = problem.errno in (errno.EADDRINUSE, errno.EACCES)
    return Unreachable(
        f"cannot listen on {options.host}:{options.port}",
        why=problem.strerror or str(problem),
        fix="--port 0 picks a free port" if taken else "--host names an address of this machine",
    )
