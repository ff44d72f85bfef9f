"""The exit codes of the command line. They are documented and do not change."""

from enum import IntEnum


class Exit(IntEnum):
    """What each exit code of `livews` means."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    CREDENTIALS = 3
    UNREACHABLE = 4
    CLOSED = 5
    NO_SOUND = 6
    HANGUP = 129
    INTERRUPTED = 130
    QUIT = 131
    TERMINATED = 143
