"""Say what bytes are that should be JSON, and where and why a JSON document breaks.

- Other encodings, archives and media are recognised by their first bytes and named with what to do; nothing is converted.
- A broken document has one cause: the first place at which a strict parser stops, with the mistake that is made there.
- The place is that of the character to change, with its line and column from 1.
"""

import json
import re
from ast import literal_eval
from collections.abc import Iterator
from typing import Any, NamedTuple

BEGIN = 64
"""Bytes by which a format is recognised."""
_FORMATS = (
    (b"\x1f\x8b", "gzip", "decompress it: gzip -d FILE, or gzip -dc FILE | livews ... -"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it, and name the file in it"),
    (b"BZh", "bzip2", "decompress it: bzip2 -dc FILE"),
    (b"\xfd7zXZ\x00", "xz", "decompress it: xz -dc FILE"),
    (b"\x28\xb5\x2f\xfd", "zstd", "decompress it: zstd -dc FILE"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture (pcapng)", "record the messages with livews proxy --trace FILE: a capture has TLS"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture (pcap)", "record the messages with livews proxy --trace FILE: a capture has TLS"),
    (b"RIFF", "a WAV, AVI or WebP file", "name a file of messages; livews --speak FILE sends a WAV file"),
    (b"OggS", "Ogg audio", "name a file of messages"),
    (b"ID3", "MP3 audio", "name a file of messages"),
    (b"\xff\xd8\xff", "a JPEG picture", "name a file of messages; livews --image FILE sends a picture"),
    (b"\x89PNG", "a PNG picture", "name a file of messages; livews --image FILE sends a picture"),
    (b"%PDF", "a PDF document", "name a file of messages"),
    (b"SQLite format 3\x00", "an SQLite database", "name a file of messages"),
    (b"\x7fELF", "a program", "name a file of messages"),
    (b"<!DOCTYPE", "an HTML page", "name the file itself: this is a page about it, or of an error"),
    (b"<html", "an HTML page", "name the file itself: this is a page about it, or of an error"),
)  # fmt: skip
_TO_UTF8 = (
    "convert it to UTF-8: iconv -f {name} -t UTF-8 FILE, or in PowerShell 5: ... | Out-File -Encoding ascii FILE"
)


class Format(NamedTuple):
    """What a file is instead of JSON in UTF-8."""

    name: str
    fix: str


BINARY = Format("binary data", "name a file of JSON in UTF-8")


class Break(NamedTuple):
    """Where a document stops being JSON."""

    line: int
    column: int
    why: str
    fix: str
    excerpt: str
    """The line with the place, cut to what can be read, and a line with a caret below it."""
    is_value: bool = True
    """Whether a value breaks there; False for what stands after one."""


_VISIBLE = re.compile(r"\S")


class _Object(dict[str, Any]):
    """An object that has keys twice."""

    twice: tuple[str, ...] = ()


def other_format(begin: bytes) -> Format | None:
    """What a file is whose first `BEGIN` bytes are these; None if it may be JSON in UTF-8."""
    for mark, name, fix in _FORMATS:
        if begin.startswith(mark):
            return Format(name, fix)
    for mark, name in ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):  # fmt: skip
        if begin.startswith(mark):
            return Format(name, _TO_UTF8.format(name=name))
    for zeros, others, name in ((begin[1::2], begin[0::2], "LE"), (begin[0::2], begin[1::2], "BE")):
        if len(zeros) > 1 and 4 * zeros.count(0) >= 3 * len(zeros) and 0 not in others:
            return Format(f"UTF-16 ({name}, without a byte order mark)", _TO_UTF8.format(name=f"UTF-16{name}"))
    return None


def values(raw: bytes, most: int | None = None) -> tuple[list[tuple[int, Any]], Break | None]:
    """The JSON values that stand one after the other in some bytes, each with its line, and where the rest breaks.

    No more than `most` values are read. NaN and Infinity, which Python's parser takes, break it. Of a key given twice the last value counts: `repeated` has them.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as bad:
        text = raw.decode(errors="replace")
        why = f"byte 0x{raw[bad.start]:02x} is not UTF-8"
        return [], _at(text, len(raw[: bad.start].decode()), why, "Save the file as UTF-8.")
    found: list[tuple[int, Any]] = []
    decoder = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_object)
    end, line = 0, 1
    while True:
        rest = _VISIBLE.search(text, end)
        start = rest.start() if rest else len(text)
        line += text.count("\n", end, start)
        if start == len(text) or len(found) == most:
            return found, None
        if found and start == end and text[start] in '-0123456789"tfn':  # a thousand numbers are not as many messages
            place = _at(text, start, "something follows the value", "Put each message on a line.")
            return found, place._replace(is_value=False)
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as problem:
            place = _at(text, *_cause(text, start, problem.pos, problem.msg))
            return found, place._replace(is_value=not found or text[start] in "{[")
        except RecursionError:
            return found, _at(text, start, "it is nested too deep", "Send objects of at most 100 levels.")
        except ValueError:
            word = re.compile(r"(?:-?Infinity|NaN)\b").search(text, start)
            return found, _at(text, *_cause(text, start, word.start() if word else start, "Expecting value"))
        found.append((line, value))
        line += text.count("\n", start, end)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        value = _Object(value)
        value.twice = tuple(key for key in value if keys.count(key) > 1)
    return value


def repeated(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The keys that an object in one of `values` has twice, as JSON pointers, each with the value that counts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            at = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if isinstance(value, _Object) and key in value.twice:
                yield at, inner
            yield from repeated(inner, at)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from repeated(inner, f"{path}/{i}")


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _at(text: str, at: int, why: str, fix: str) -> Break:
    line, begin = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    column = at - begin + 1
    left = max(column - 60, 0)
    shown = re.sub(r"[\x00-\x1f]", " ", text[begin + left : len(text) if end < 0 else end][:76]).rstrip()
    return Break(line, column, why, fix, f"{shown}\n{' ' * (column - 1 - left)}^")


_WORDS = {
    "True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "None": "null", "NULL": "null", "nil": "null",
    "undefined": "null", "NaN": "null", "Infinity": "null", "-Infinity": "null",
}  # fmt: skip
"""Values of other languages, and what JSON has in their place."""
_LANGUAGES = {
    "True": "Python", "False": "Python", "None": "Python", "nil": "Swift, Ruby or Go", "NULL": "C, PHP or R",
    "undefined": "JavaScript", "NaN": "JavaScript, or Python's json.dumps,", "Infinity": "JavaScript, or Python's json.dumps,",
    "-Infinity": "JavaScript, or Python's json.dumps,",
}  # fmt: skip
_QUOTES = {**dict.fromkeys("'`", "single"), **dict.fromkeys("‘’“”„«", "typographic")}
_TOKEN = re.compile(r"[\w$.+-]*")


def _cause(text: str, start: int, at: int, message: str) -> tuple[int, str, str]:
    """The place of the mistake, what it is, and what to do.

    Args:
        text: the document.
        start: where its broken value begins.
        at: where the parser stopped.
        message: what the parser says.
    """
    here, before = text[at : at + 1], text[start:at].rstrip()
    last, is_adjacent = before[-1:], start + len(before) == at
    match = _TOKEN.match(text, at)
    name = match[0][:40] if match else ""
    if text.startswith("[object Object]", start):
        why = "[object Object] is what JavaScript makes of an object in a text"
        return start, why, "Serialise the message: JSON.stringify(message)."
    if text[start:].strip() in _WORDS:
        why = f"{text[start:].strip()} is what {_LANGUAGES.get(text[start:].strip(), 'a program')} prints of a value that is not set"
        return start, why, "Serialise the message itself, and look why it has no value."
    if text.startswith(("b'", 'b"'), start):
        return (
            start,
            "this is what Python prints of bytes, and not JSON",
            "Write the bytes themselves: message.decode().",
        )
    if text.startswith("map[", start):
        return start, "this is what Go prints of a map, and not JSON", "Write it with json.Marshal(message)."
    if text.startswith(("//", "/*", "#"), at):
        return at, "a comment, which JSON does not have", "Remove the comment."
    if text[start] not in "{[":
        if text[start] in "}]":
            return start, f"a {text[start]} too many", f"Remove the {text[start]}, or open what it closes."
        if text[start] in ",;":
            return start, f"a {'comma' if text[start] == ',' else 'semicolon'} after the value", "Remove it."
        return (
            start,
            "this is no JSON: a message begins with {",
            "Give JSON objects; of a log, only the messages in it.",
        )
    if _is_python(text[start:]):
        why = "this is what Python prints of an object, with single quotes and None, and not JSON"
        return at, why, "Write it with json.dumps(message)."
    if last == "," and here and here in "}]":
        return start + len(before) - 1, f"a trailing comma before {here}", "Remove the comma."
    if message.startswith(("Invalid control", "Unterminated")):
        if message.startswith("Invalid") and here not in "\n\r":
            return at, "a control character in a text", "Write it as an escape, such as \\t."
        why = "a text without the double quote that ends it"
        return text.rfind('"', start, at + 1), why, "Add the quote; a line break in a text is written \\n."
    if message.startswith("Invalid \\"):
        why = f"{text[at : at + 2]} in a text is an escape that JSON does not have"
        return at, why, "Write a backslash in a text twice."
    if not here:
        return _cut_off(text, start)
    if here in _QUOTES:
        return at, f"{_QUOTES[here]} quotes", 'Write plain double quotes: "...".'
    if name in _WORDS:
        by = f": {_LANGUAGES[name]} writes it so" if name in _LANGUAGES else ""
        return at, f"{name} is no JSON value{by}", f"Write {_WORDS[name]}, or leave the member out."
    if is_adjacent and last == '"' and name:
        return at, "a text ends here, and goes on", 'Write a double quote in a text as \\".'
    if here in ".+" or (is_adjacent and last.isdigit() and name):
        return at, "a number that JSON does not have", "Write a decimal number: 0.5, 1000, 1e-3."
    if "property name" in message:
        if here == ",":
            return at, "a comma without a member before it", "Remove the comma."
        by = ", as in JavaScript" if name and text[at + len(name) :].lstrip().startswith(":") else ""
        return at, f"the key {name or here} is not in double quotes{by}", f'Write "{name or "key"}".'
    if "':'" in message:
        return at, f"a colon is missing before {name or here}", "Write a colon between a key and its value."
    if "','" in message and here not in "}]":
        key = re.compile(r'"(?:[^"\\\n]|\\.){0,40}"').match(text, at)
        end = start + len(before)
        line, column = text.count("\n", 0, end) + 1, end - text.rfind("\n", 0, end) - 1
        why = f"a comma is missing before {key[0] if key else name or here}: after column {column} of line {line}"
        return at, why, "Put a comma there."
    if "','" in message:
        wanted = "]" if here == "}" else "}"
        return at, f"a {here} where {wanted} has to come first", f"Close what is open with {wanted}."
    if here in ",}]":
        return at, f"a value is missing before {here}", "Write the value, or remove its key."
    return at, f"{name or here} is no JSON value", 'Write a text in double quotes: "...".'


def _cut_off(text: str, start: int) -> tuple[int, str, str]:
    """The cause of a document that ends too early."""
    opened: list[str] = []
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', text[start:]):
        if token[0] in "{[":
            opened.append("}" if token[0] == "{" else "]")
        elif token[0] in "}]" and opened:
            opened.pop()
    missing = "".join(reversed(opened))[:20]
    at = start + len(text[start:].rstrip())
    return at, f"it is truncated: {missing or 'the rest'} is missing at its end", "Give the whole message."


def _is_python(text: str) -> bool:
    """Whether a text is what Python prints for an object."""
    if len(text) > 1_000_000 or "'" not in text:
        return False
    try:
        return isinstance(literal_eval(text.strip()), (dict, list))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
