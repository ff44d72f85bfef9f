"""Redaction of credentials and resumption handles in text, frames and URLs.

- What must never be shown, written or raised is removed in one place, here.
- Values known to a session are removed in every spelling that JSON and URLs allow. Well-known shapes are removed always,
  and so is what a name announces: `?apiKey=`, `X-Goog-Signature:`, `ws://USER:PASSWORD@host`.
- A resumption handle is shown as a pseudonym wherever it occurs, so that it stays visible which belong together. Only
  traces hold handles.
- `hide` is the last step of all output: of the terminal, of `--json` and of errors. It knows the sessions of this process.
- The time of a text does not grow with the handles that came before, and a text without any mark of a credential is only
  searched for these marks.
- A credential that comes in two messages is hidden from its 8th character on (`Pieces`); nothing is held back for that.
"""

import json
import re
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, overload
from urllib.parse import parse_qsl, unquote

from livews.hidden_values import HiddenHandles, HiddenValue, longest_beginning

HIDDEN = "[redacted]"
"""What stands in the place of a credential."""
_SHORTEST = 4
"""Characters of a known credential; what is shorter would be found in any text."""
_SHORTEST_VARIABLE = 8
"""Characters of a credential of the environment, which hides in the output of commands that do not use it, too."""
_SHORTEST_HANDLE = 12
_SHORTEST_PIECE = 8
"""Characters at the end of a text that are taken for the beginning of a credential; fewer would be found in any text."""
_ELLIPSIS = "…".encode()
_MOST_HANDLES = 512
"""Handles that are remembered: some models send one every two seconds."""
_MOST_PIECES = 64
"""Members whose last text ended in the beginning of a credential."""
_MAX_JOINED = 100_000
"""Bytes of a message that is searched for pieces of a credential; a longer one is media."""

# Names

_SECRET_WORD = re.compile(
    r"sig|pwd|jwt|bearer|passcode|(?:db|user|http|proxy|admin|my)?pass|authcode|(?:secret(?!ar)|password|apikey)[a-z]*"
    r"|[a-z]*(?:token|secrets?|passwords?|passwd|passphrase|signature|credentials?|cookies?|authorization|auth"
    r"|(?<!mon)(?<!don)(?<!tur)(?<!hoc)(?<!joc)(?<!whis)key)"
)
_ABOUT_IT = {
    "count", "type", "config", "details", "version", "name", "length", "limit", "budget", "uri", "url", "ttl", "mode", "provider",
}  # fmt: skip
"""Last words of a name that is about a credential, or about tokens of text."""
_SECRET_KEYS = {"api", "private", "access", "secret", "auth", "signing", "encryption", "subscription", "shared"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@lru_cache(4096)
def is_secret_name(name: str, *, is_member: bool = False) -> bool:
    """Whether a query parameter, a header, a variable or a member of a message holds a credential by its name.

    So do `apiKey`, `X-Goog-Signature`, `GH_TOKEN` and `password`; `maxOutputTokens`, `tokenCount`, `author`, `keyboard` and
    `thoughtSignature` do not. In messages `key`, `sortKey` and `pass` are words of any application.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT_IT or words[0] == "thought" or name.lower().startswith("sec-websocket-"):
        return False
    secret = {word for word in words if _SECRET_WORD.fullmatch(word)}
    if is_member and _SECRET_KEYS.isdisjoint(words):
        secret -= {"key", "pass"}
    return bool(secret)


# Shapes of credentials that are removed even when they are not among the known values.
_SHAPES = re.compile(
    rb"(?i:AIza)[0-9A-Za-z_-]{30,}|\b(?i:AQ)\.[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z._-]{10,}|auth_tokens/[0-9A-Za-z._-]{8,}"
    rb"|\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]*"
)
_SHAPE_MARKS = (b"AIza", b"aiza", b"AQ.", b"aq.", b"ya29.", b"auth_tokens/", b"eyJ")
"""One of them is in each of these shapes, which a host name has in small letters: looking for them first is thirty times as
fast."""
_ANY_MARK = re.compile(b"|".join(map(re.escape, _SHAPE_MARKS)))
_SHORT = 1_000
"""Characters of a text in which a pattern finds the first of several marks sooner than one search for each does."""
_SHAPE_MARK = re.compile("|".join((*(re.escape(mark.decode()) for mark in _SHAPE_MARKS), "@", "%40")))
"""One of them is in what `without_shapes` removes."""
_NAME_MARK = re.compile(f"{_SHAPE_MARK.pattern}|Bearer |[:=]|\\\\u003|%3")
"""One of them is in what `_without_named` removes."""
_SHAPE_START = re.compile(rb"(?i:AIza)|\b(?i:AQ)\.|ya29\.|auth_tokens/|\beyJ")
_SHAPE_CUT = re.compile(rb"(?:(?i:AIza)|\b(?i:AQ)\.|ya29\.|auth_tokens/|\beyJ)[0-9A-Za-z._-]{4,}(?=\xe2\x80\xa6)")
"""The beginning of one that a text was cut in, which an ellipsis follows."""
_SHAPE_BEGUN = re.compile(
    rb"(?:AIza|\bAQ\.|ya29\.|auth_tokens/|\beyJ)[0-9A-Za-z._-]{0,1000}\Z"
    rb"|(?:AI?z?|\bAQ|ya?2?9?|\bey?|au?t?h?_?t?)\Z"  # of what these begin with: too short to be hidden
)
_MAY_BEGIN = re.compile(rb"[AIza29Qeyuth_]\"(?!\s*:)")
"""The end of a text in JSON that may be the beginning of one, without its mark; what a colon follows is a name."""
_ESCAPE = re.compile(rb"%(?:25){0,3}([0-9A-Fa-f]{2})|\\{1,4}u00([0-7][0-9A-Fa-f])|\\+(?=[/\"])")
_BEARER = re.compile(rb"(?<=Bearer )[0-9A-Za-z._~+/=-]{8,}")
# `name=value` in a URL, which may itself be escaped in JSON, HTML or another URL
_QUERY = re.compile(rb"(?:[?&;#]|\\u0026|%26|%3[Ff])(?P<name>[^=&;#?\s\"'<>\\]{1,100}?)(?:=|\\u003[dD]|%3[Dd])")
_QUERY_VALUE = re.compile(rb"(?:(?!%26|\\u0026|;[\w.%-]{1,100}=)[^&#\s\"'<>])*")
_HEADER = re.compile(
    rb"(?<![\w-])(?P<name>(?i:(?:proxy-)?authorization|(?:set-)?cookie|(?:x|api|access|auth)-[\w-]{1,100}))"
    rb"[\"']?\s?:\s?[\"']?"
)
_HEADER_VALUE = re.compile(rb"(?:[A-Z][a-z]+ )?[^\s\"',;]+(?:; ?[^\s\"',;]+)*")
_NAMED = (((b":",), _HEADER, _HEADER_VALUE), ((b"=", b"\\u003", b"%3"), _QUERY, _QUERY_VALUE))
"""What one of is in each of these, its name and its value."""
_USERINFO = re.compile(
    rb"(?P<before>://|:\\/\\/|%3[Aa]%2[Ff]%2[Ff])"
    rb"(?!USER:PASSWORD@)"  # that is advice
    rb"(?:[^\s/?#\"'<>\\]+@|[^\s/?#\"'<>\\%]+%40"
    # a password with a slash or a question mark in it: what follows the colon is no port
    rb"|(?!\[)[^\s/?#\"'<>@:]*:(?!\d{1,5}(?:[/?#\s\"'<>]|$))[^\s\"'<>]*@)"
)


class Redactor:
    """Removes the credentials of one session, and shows its resumption handles as pseudonyms.

    Args:
        values: credentials that are known, as they are or as a URL spells them. Values of fewer than 4 characters are
            ignored, "" too.
    """

    def __init__(self, *values: str) -> None:
        spellings = {form for value in values for form in (value, unquote(value)) if len(form) >= _SHORTEST}
        self.known = [HiddenValue(value, HIDDEN) for value in sorted(spellings, key=len, reverse=True)]
        global _redactors
        with _lock:
            _redactors = (*(each for each in _redactors if each()), weakref.ref(self))

    @overload
    def redact(self, text: str) -> str: ...
    @overload
    def redact(self, text: bytes) -> bytes: ...
    def redact(self, text: str | bytes) -> str | bytes:
        """The text without known credentials, without anything in the shape of one, and with pseudonyms of handles."""
        if isinstance(text, str):
            return self.redact(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")
        return _without_named(self.replaced(text))

    def redact_known(self, raw: bytes) -> bytes:
        """The cheap form for the frames of a trace: removes the known credentials only."""
        for value in self.known:
            raw = value.replaced(raw)
        return raw

    def replaced(self, raw: bytes) -> bytes:
        """Removes the known credentials, and replaces the handles of this process."""
        return with_handles_hidden(self.redact_known(raw))


CREDENTIALS = (
    "GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN", "LIVEWS_REQUIRE_KEY",
)  # fmt: skip
"""Environment variables that hold a credential for the service."""


def environment_credentials(variables: Mapping[str, str]) -> list[str]:
    """The credentials in environment variables, those of proxies included; a short one would be found in any text."""
    found = [variables.get(name, "").strip() for name in CREDENTIALS]
    for name, value in variables.items():
        if name.upper().endswith(("_PROXY", "_BASE_URL")):
            found += url_credentials(value)
    return [value for value in found if len(value) >= _SHORTEST_VARIABLE]


_redactors: "tuple[weakref.ref[Redactor], ...]" = ()
"""Those of the sessions of this process; replaced, never changed, so that every line can go through them."""
_handles = HiddenHandles()
_lock = threading.Lock()


def hide(text: str) -> str:
    """`text` as it may leave the process: without the credentials and handles of all its sessions, and without anything
    that is certainly a credential."""
    if not _handles and len(text) <= _SHORT and _SHAPE_MARK.search(text) is None and not _has_credentials():
        return text
    raw = _without_known(text.encode(errors="surrogatepass"))
    raw = _without_cut(with_handles_hidden(raw), _handles.beginning_at_end)
    return without_shapes(raw).decode(errors="surrogatepass")


def hide_named(text: str) -> str:
    """The same, and without what is a credential because of its name."""
    text = hide(text)
    if len(text) <= _SHORT and _NAME_MARK.search(text) is None:
        return text
    return _without_named(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")


def without_credentials(raw: bytes) -> bytes:
    """Bytes as a trace may hold them: without the credentials of all sessions of this process, and without anything that
    is certainly a credential. Handles stay."""
    return without_shapes(_without_known(raw))


def hide_json(line: str, *, compact: bool = False) -> str:
    """The same for a JSON value that is written already: within its texts only, so that it stays JSON.

    `compact`: it is written without spaces, as by orjson.
    """
    if hide(line) == line:
        return line
    return json.dumps(hide_in(json.loads(line)), ensure_ascii=False, separators=(",", ":") if compact else None)


def with_handles_hidden(raw: bytes) -> bytes:
    """`raw` with pseudonyms of the handles of this process, wherever they are."""
    if not _handles:
        return raw
    # a pattern for all spellings of a value takes milliseconds to compile
    plain = _ESCAPE.sub(_unescaped, raw) if b"\\" in raw or b"%" in raw else raw
    for handle in _handles.in_text(raw) if plain is raw else _handles.in_text(b"\n".join((raw, plain))):
        if handle.plain in plain or handle.plain in raw:
            raw = handle.replaced(raw)
    return raw


def is_known(text: str) -> bool:
    """Whether a text contains a credential of a session of this process; a short one would be found in any text."""
    raw = text.encode(errors="surrogateescape")
    known = (value for redactor in _all() for value in redactor.known)
    return any(len(value.plain) >= 8 and value.replaced(raw) != raw for value in known)


def unfinished(text: str) -> int:
    """How many characters at the end of a text may be the beginning of a credential, the rest of which is to come."""
    raw = text.encode(errors="surrogatepass")
    return max(longest_beginning(raw, _credentials()), _handles.beginning_at_end(raw))[0]


def hide_in(value: Any) -> Any:
    """The same for a JSON value: its texts, the names of its members and, where they spell a credential, its numbers."""
    if isinstance(value, dict):
        return {hide(name): hide_in(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hide_in(item) for item in value]
    text = value if isinstance(value, str) else str(value)
    return value if (hidden := hide(text)) == text else hidden


def _all() -> list[Redactor]:
    return [redactor for each in _redactors if (redactor := each()) is not None]


def _without_known(raw: bytes) -> bytes:
    for redactor in _all():
        raw = _without_cut(redactor.redact_known(raw), partial(longest_beginning, known=redactor.known))
    return raw


def _credentials() -> list[HiddenValue]:
    return [value for redactor in _all() for value in redactor.known]


def hidden_now() -> tuple[Any, ...]:
    """What is equal as long as `hide` makes the same of the same text."""
    return _redactors, _handles.changes


def _has_credentials() -> bool:
    return any((redactor := each()) is not None and redactor.known for each in _redactors)


def _without_cut(raw: bytes, beginning_at_end: Callable[[bytes], tuple[int, bytes]]) -> bytes:
    """Without the beginning of a credential that a text was cut in, which an ellipsis follows."""
    if _ELLIPSIS not in raw:
        return raw
    *cut, rest = raw.split(_ELLIPSIS)
    for i, part in enumerate(cut):
        if (longest := beginning_at_end(part)[0]) >= _SHORTEST:
            cut[i] = part[:-longest] + HIDDEN.encode()
    return _ELLIPSIS.join([*cut, rest])


def without_shapes(raw: bytes) -> bytes:
    """Without what is a credential wherever it is."""
    if _has_shape(raw):
        raw = _SHAPES.sub(HIDDEN.encode(), raw)
        raw = _SHAPE_CUT.sub(HIDDEN.encode(), raw) if _ELLIPSIS in raw else raw
    if b"@" in raw or b"%40" in raw:
        raw = _USERINFO.sub(rb"\g<before>" + HIDDEN.encode() + b"@", raw)
    return raw


def _has_shape(raw: bytes) -> bool:
    return _ANY_MARK.search(raw) is not None if len(raw) <= _SHORT else _has(_SHAPE_MARKS, raw)


def _has(marks: tuple[bytes, ...], raw: bytes) -> bool:
    for mark in marks:  # noqa: SIM110  every line that leaves comes here, and `any` takes three times as long
        if mark in raw:
            return True
    return False


def _without_named(raw: bytes) -> bytes:
    """Without what is a credential because of its name, too."""
    raw = without_shapes(raw)
    if b"Bearer " in raw:
        raw = _BEARER.sub(HIDDEN.encode(), raw)
    for marks, names, values in _NAMED:
        if not _has(marks, raw):
            continue
        done, kept = 0, []
        for match in names.finditer(raw):
            value = values.match(raw, match.end())
            if value and match.start() >= done and is_secret_name(unquote(match["name"].decode(errors="replace"))):
                kept += [raw[done : match.end()], HIDDEN.encode() if value[0] else b""]
                done = value.end()
        raw = b"".join([*kept, raw[done:]])
    return raw


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1] or match[2]
    return bytes.fromhex(code.decode()) if code else b""


# Pieces


class Pieces:
    """Hides credentials that come in pieces: one text ends in the beginning, the next one of the same member continues it.

    What is hidden of a piece is known when it comes: all from the 8th character of a credential on.

    Args:
        redactor: whose credentials to hide; without one those of all sessions of this process, its handles, and what has
            the shape of a credential.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor
        self._begun: dict[Hashable, bytes] = {}
        """Member to the beginning of a credential in which its last texts ended."""

    def step(self, step: Any) -> Any:
        """The step (`core.conversation.Step`) of a message, without the pieces in its texts."""
        raw = step.raw
        if step.template is not None or not 0 < len(raw) <= _MAX_JOINED or step.kind == "unreadable":
            return step
        if self.are_none_in(raw):
            return step
        message = step.as_sent or step.body
        hidden = self.hide_in(message, step.sender)
        if hidden is message:
            return step
        raw = json.dumps(hidden, ensure_ascii=False).encode(errors="surrogatepass")
        return replace(step, raw=raw, parsed=None, as_sent=None)

    def are_none_in(self, raw: bytes) -> bool:
        """Whether the JSON of a value certainly has no piece: nothing has begun, and none of its texts ends in a beginning."""
        if self._begun or self._redactor is not None or _handles or _has_credentials():
            return False
        return b"\\" not in raw and not _has_shape(raw) and _MAY_BEGIN.search(raw) is None

    def hide_in(self, value: Any, member: Hashable) -> Any:
        """A JSON value without the pieces in its texts; the same object if there are none. `member`: where it is."""
        if isinstance(value, str):
            return self.hide(value, member)
        changed: Any = None
        if isinstance(value, dict):
            is_thought = value.get("thought") is True
            for key, item in value.items():
                if isinstance(item, (str, dict, list)):
                    hidden = self.hide_in(item, (member, key, is_thought))
                    if hidden is not item:
                        changed = {**value} if changed is None else changed
                        changed[key] = hidden
        elif isinstance(value, list):
            for i, item in enumerate(value):
                if isinstance(item, (str, dict, list)):
                    hidden = self.hide_in(item, member)
                    if hidden is not item:
                        changed = [*value] if changed is None else changed
                        changed[i] = hidden
        return value if changed is None else changed

    def hide(self, text: str, member: Hashable = "") -> str:
        """The next text of a member, without what belongs to a credential that began earlier or is not complete."""
        before, raw = self._begun.pop(member, b"") if self._begun else b"", text.encode(errors="surrogatepass")
        whole = before + raw
        start, instead = self._beginning_at_end(whole)
        if start < len(whole):
            self._begun[member] = whole[start:]
            while len(self._begun) > _MOST_PIECES:
                del self._begun[next(iter(self._begun))]
        elif not before:
            return text
        end = len(whole) if len(whole) - start < _SHORTEST_PIECE else max(start, len(before))
        first = self._end_after(len(before), whole) if before else 0
        if first <= len(before) and end == len(whole):
            return text
        is_shown = len(before) < _SHORTEST_PIECE  # else it was replaced in an earlier piece
        parts = [HIDDEN.encode()] if first > len(before) and is_shown else []
        parts += [whole[max(first, len(before)) : end]]
        parts += [instead] if end < len(whole) and (start >= len(before) or is_shown) else []
        return b"".join(parts).decode(errors="surrogatepass")

    def _beginning_at_end(self, raw: bytes) -> tuple[int, bytes]:
        """Where the beginning of a credential starts in which `raw` ends, or its length; and what to show instead."""
        if self._redactor is not None:
            length, instead = longest_beginning(raw, self._redactor.known)
            return len(raw) - length, instead
        length, instead = max(longest_beginning(raw, _credentials()), _handles.beginning_at_end(raw))
        begun = _SHAPE_BEGUN.search(raw, max(0, len(raw) - 1100))
        if begun and len(raw) - begun.start() > length:
            return begun.start(), HIDDEN.encode()
        return len(raw) - length, instead

    def _end_after(self, at: int, raw: bytes) -> int:
        """Where the credential ends that begins before `at` and ends after it; 0 if there is none."""
        ends = [0]
        for value in [*_credentials(), *_handles.in_text(raw)] if self._redactor is None else self._redactor.known:
            size = len(value.plain)
            found = raw.find(value.plain, max(0, at - size + 1), at + size - 1)
            ends += [found + size] if found >= 0 else []
        if self._redactor is None:
            # what comes after may be long: only where one may begin before `at` it is looked at
            starts = (mark.start() for mark in _SHAPE_START.finditer(raw, 0, at + len("auth_tokens")))
            matches = (_SHAPES.match(raw, start) for start in starts if start < at)
            ends += [match.end() for match in matches if match and at < match.end()]
        return max(ends)


# Resumption handles


def remember_handles(step: Any) -> None:
    """Remember the resumption handle of a step's message, if it has one, so that `hide` and `Redactor.redact` know it."""
    for _, handle in _handles_in(step.body) if has_handle(step) else ():
        if len(handle) >= _SHORTEST_HANDLE and handle not in _handles:
            with _lock:
                _handles.add(handle, pseudonym(handle), _MOST_HANDLES)


def has_handle(step: Any) -> bool:
    """Whether the message of a step may have a resumption handle."""
    return "sessionResumptionUpdate" in step.signals or "setup" in step.signals


def pseudonym(handle: str) -> str:
    """What is shown of a resumption handle: `handle:` and the first 12 hex digits of its SHA-256."""
    from hashlib import sha256

    if not handle or re.fullmatch(r"handle:[0-9a-f]{12}|\[.*\]", handle):  # it is one, or a trace was redacted
        return handle
    return f"handle:{sha256(handle.encode(errors='surrogatepass')).hexdigest()[:12]}"


def with_pseudonyms(message: Any) -> Any:
    """A message with the pseudonym of its resumption handle in the place of the handle. The message does not change."""
    for path, handle in _handles_in(message):
        message = _with(message, path, pseudonym(handle))
    return message


_HANDLE_MEMBERS = {"setup", "sessionresumptionupdate"}


def _handles_in(message: Any) -> list[tuple[list[str], str]]:
    """Path and value of each resumption handle: the client's in a setup, the server's in an update."""
    found: list[tuple[list[str], str]] = []
    if isinstance(message, dict) and _HANDLE_MEMBERS.isdisjoint(key.replace("_", "").lower() for key in message):
        return found  # nearly all messages
    for names in (("setup", "sessionresumption", "handle"), ("sessionresumptionupdate", "newhandle")):
        values: list[tuple[list[str], Any]] = [([], message)]
        for name in names:  # each in camelCase or snake_case
            values = [
                ([*path, key], item)
                for path, value in values
                if isinstance(value, dict)
                for key, item in value.items()
                if key.replace("_", "").lower() == name
            ]
        found += [(path, value) for path, value in values if isinstance(value, str) and value]
    return found


def _with(value: Any, path: list[str], leaf: str) -> Any:
    return {**value, path[0]: _with(value[path[0]], path[1:], leaf)} if path else leaf


# URLs


def query_credentials(query: str) -> list[str]:
    """The credentials in the query of a URL, decoded and as they are written: clients differ in what they escape."""
    decoded = [value for name, value in parse_qsl(query) if is_secret_name(name)]
    pairs = (pair.partition("=") for pair in re.split("[&;]", query))
    return [*decoded, *(value for name, _, value in pairs if is_secret_name(unquote(name)))]


def url_credentials(url: str) -> list[str]:
    """All credentials in a URL, valid or not and with a scheme or without: of its user, its query and its fragment."""
    before, at, _ = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("@")
    user, colon, password = before.rpartition("//")[2].partition(":")
    found = [f"{user}:{password}", password] if colon else [user] if at else []
    return [*found, *(value for part in re.split(r"[?#]", url)[1:] for value in query_credentials(part))]


def valid_url(redacted: str) -> str:
    """A redacted URL as other programs can read it: without its user, and with a word in the place of a hidden host."""
    scheme, slashes, rest = redacted.partition("//")
    authority = re.match(r"[^/?#]*", rest)[0]  # type: ignore[index]
    host = authority.rpartition("@")[2].replace(HIDDEN, "redacted")
    return f"{scheme}{slashes}{host}{rest[len(authority) :]}" if slashes else redacted


def redact_url(url: str) -> str:
    """A URL, valid or not, without user and password and without the values of secret names in its query."""
    head, question, query = url.partition("?")
    if "@" in head and "//" not in head:  # as a proxy may be written
        head = f"{HIDDEN}@{head.rpartition('@')[2]}"
    raw = f"{head}{question}{query}".encode(errors="surrogatepass")
    return _without_named(raw).decode(errors="surrogatepass")
