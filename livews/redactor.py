"""Redaction of credentials in text and frames.

- What must never be shown, written or raised is removed in one place, here.
- Values known to the session are removed in every spelling JSON and URLs allow; well-known shapes always.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_HIDDEN = "[redacted]"


# Shapes of credentials that must not be shown even when nobody told us that they are some.
_SHAPES = re.compile(
    rb"AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z._-]{10,}|auth_tokens/[0-9A-Za-z._-]{8,}"
    rb"|(?<=[?&]key=)[^&\s\"']+|(?<=[?&]access_token=)[^&\s\"']+|(?<=Bearer )[0-9A-Za-z._~+/=-]{8,}"
)


class Redactor:
    """What must never be shown, written or raised, and the one place that hides it."""

    def __init__(self, *values: str) -> None:
        values = tuple(value for value in values if len(value or "") >= 4)
        forms = {form for value in values for form in (value, quote(value, safe=""))}
        self._values = sorted((form.encode() for form in forms), key=len, reverse=True)
        self._plain = values
        self._escaped: list[re.Pattern[bytes]] | None = None

    def redact(self, text: str) -> str:
        return self.redact_bytes(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")

    def redact_bytes(self, raw: bytes) -> bytes:
        return _SHAPES.sub(_HIDDEN.encode(), self.redact_known(raw))

    def redact_known(self, raw: bytes) -> bytes:
        """The cheap form for frames: the values of this session alone."""
        for value in self._values:
            if value in raw:
                raw = raw.replace(value, _HIDDEN.encode())
        if b"\\u" in raw or b"\\/" in raw:
            if self._escaped is None:
                self._escaped = [_as_json_may_have_it(value) for value in self._plain]
            for escaped in self._escaped:
                raw = escaped.sub(_HIDDEN.encode(), raw)
        return raw


def _as_json_may_have_it(value: str) -> re.Pattern[bytes]:
    """A value in which any letter may be written as an escape."""

    def forms(letter: str) -> bytes:
        units = letter.encode("utf-16-be").hex()
        escape = "".join(rf"\\u(?i:{units[i : i + 4]})" for i in range(0, len(units), 4)).encode()
        return b"(?:" + re.escape(letter.encode()) + b"|" + escape + (rb"|\\/" if letter == "/" else b"") + b")"

    return re.compile(b"".join(map(forms, value)))
