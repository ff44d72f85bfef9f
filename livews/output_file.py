"""Create the files that livews writes: recordings, traces, exports, certificates.

- A new file can be read by its owner only; a file that exists keeps its mode.
- A symbolic link is not followed: in a folder that others can write to, it would lead what was said into another file.
  Links to devices and pipes are, and those to descriptors of the process, such as /dev/stdout.
"""

import errno
import os
import re
import stat

_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path, also through a link, is a device, a pipe or a descriptor of a process; not if it does not exist."""
    if _DESCRIPTOR.fullmatch(os.path.abspath(path)):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def check_link(path: str | os.PathLike[str]) -> None:
    """Raise OSError if a path is a link that is not followed."""
    if os.path.islink(path) and not is_stream(path):
        raise OSError(errno.ELOOP, "it is a symbolic link, which livews does not write through")


def open_output(path: str | os.PathLike[str], flags: int, *, create: bool = True) -> int:
    """Open a file for writing; its descriptor.

    Args:
        path: the file.
        flags: as of `os.open`, without O_CREAT.
        create: whether it may be created.

    Raises:
        OSError: it cannot be opened, or is a link that is not followed.
    """
    check_link(path)
    followed = is_stream(path)
    if not followed:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags | (os.O_CREAT if create and not followed else 0), 0o600)
