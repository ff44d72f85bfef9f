"""Create the files that livews writes: recordings, traces, exports, certificates.

- A new file can be read by its owner only; a file that exists keeps its mode.
- A symbolic link is not followed: in a folder that others can write to, it would lead what was said into another file.
  Links to devices and pipes are, and those to descriptors of the process, such as /dev/stdout.
- A descriptor of the process is not opened anew: that would begin at the start of the file in which its output is.
"""

import errno
import os
import re
import stat

_DESCRIPTOR = re.compile(
    r"/dev/(?P<name>stdin|stdout|stderr)|(/dev|/proc/(?P<pid>\d+)(/task/\d+)?)/fd/(?P<number>\d+)"
)
_STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}
_MOST_LINKS = 40
"""Links after links that are followed, as in Linux."""


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """The descriptor of this process that a path names, as /dev/stdout does, or a link to it; None for another path."""
    name = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        name = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
        if match := _DESCRIPTOR.fullmatch(name):
            is_ours = match["pid"] in (None, str(os.getpid()))
            return _STANDARD.get(match["name"], int(match["number"] or 0)) if is_ours else None
        if not os.path.islink(name):
            break
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return None


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path, also through a link, is a device, a pipe or a descriptor of the process; not if it does not exist."""
    if descriptor_of(path) is not None:
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
    number = descriptor_of(path)
    if number is not None:
        return _duplicate(number)
    check_link(path)
    followed = is_stream(path)
    if not followed:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags | (os.O_CREAT if create and not followed else 0), 0o600)


def can_rewrite(number: int) -> bool:
    """Whether what was written to a descriptor can be changed: not in a pipe, nor in a file that is appended to (`>>`)."""
    import fcntl  # as below

    try:
        os.lseek(number, 0, os.SEEK_CUR)
    except OSError:
        return False
    return not fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND


def _duplicate(number: int) -> int:
    """A descriptor for the same open file, with the same offset. Raises OSError if it cannot be written to."""
    import fcntl  # a system with such paths has it

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, f"file descriptor {number} is open for reading only")
    return os.dup(number)
