"""Read what is almost JSON: the notation of JavaScript and Python, comments, trailing commas, JSON inside of a string.

- Only what can be meant in one way is read: NaN, Infinity, a missing bracket or comma are not.
- A key that an object has twice is kept once if both values are the same or can be put together; else nothing is read.
"""

import json
import re
from ast import literal_eval
from typing import Any

_LONGEST = 1_000_000
_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>//[^\n]*|/\*.*?\*/|\#[^\n]*)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<curly>“[^”"\\]*”)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))|(?P<word>[A-Za-z_$][\w$]*)|(?P<mark>[{}\[\]:,])""",
    re.DOTALL,
)
_WORDS = {"true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null", "undefined": "null"}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|u\{([0-9a-fA-F]{1,6})\}|(\n)|(.))", re.DOTALL)  # fmt: skip
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


class NotSure(ValueError):
    """What a text means is not certain."""


def read(text: str) -> tuple[Any, list[str]]:
    """The value of a text, and what had to be repaired in it, nothing if it is JSON.

    Raises:
        NotSure: the text is not JSON, nor certainly meant as one value.
    """
    repairs: list[str] = []
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, repairs), parse_constant=_refuse)
    except json.JSONDecodeError:
        value = _read_other(text, repairs)
    except RecursionError as problem:
        raise NotSure(str(problem)) from None
    if isinstance(value, str) and value.strip().lstrip('"')[:1] in ("{", "["):
        value, inner = read(value)
        repairs += ["it was serialised twice: the JSON in the string is the message", *inner]
    return value, repairs


def merged(first: Any, second: Any) -> Any:
    """Two values of one member put together: equal ones, lists, and objects whose common members go together.

    Raises:
        NotSure: only one of them can be meant.
    """
    if json.dumps(first) == json.dumps(second):
        return first
    if isinstance(first, list) and isinstance(second, list):
        return first + second
    if isinstance(first, dict) and isinstance(second, dict):
        both = {key: merged(value, second[key]) for key, value in first.items() if key in second}
        return {**first, **second, **both}
    raise NotSure("two values")


def _refuse(word: str) -> Any:
    raise NotSure(word)


def _object(pairs: list[tuple[str, Any]], repairs: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            value = merged(result[key], value)
            repairs.append(f"{key} is given twice: its values are put together")
        result[key] = value
    return result


def _read_other(text: str, repairs: list[str]) -> Any:
    if len(text) > _LONGEST:
        raise NotSure("too long")
    bare = text.strip().rstrip(";")
    if bare[:2] in ("b'", 'b"'):  # Python's bytes
        try:
            inner = literal_eval(bare).decode()
        except (ValueError, SyntaxError, UnicodeDecodeError) as problem:
            raise NotSure(str(problem)) from None
        repairs.append("the text in Python's bytes is the message")
        value, more = read(inner)
        repairs += more
        return value
    found: set[str] = set()
    out: list[str] = []
    at = 0
    while at < len(bare):
        match = _TOKEN.match(bare, at)
        if match is None:
            raise NotSure(bare[at : at + 20])
        at = match.end()
        kind, token = str(match.lastgroup), match[0]
        if kind == "comment":
            found.add("comments are left out")
            continue
        if kind == "string":
            plain = (
                token
                if token[0] == '"' and _is_json(token)
                else json.dumps(_unescaped(token[1:-1]), ensure_ascii=False)
            )
            if plain != token:
                found.add("strings are in the quotes and escapes of JSON")
            token = plain
        elif kind == "curly":
            found.add("typographic quotes are plain ones")
            token = json.dumps(token[1:-1], ensure_ascii=False)
        elif kind == "word":
            if bare[at:].lstrip()[:1] == ":" and out and _last(out) in ("{", ","):
                found.add("keys are in double quotes")
                token = json.dumps(token)
            elif token in _WORDS:
                if _WORDS[token] != token:
                    found.add(f"{token} is written {_WORDS[token]}")
                token = _WORDS[token]
            else:
                raise NotSure(token)
        elif kind == "mark" and token in "}]" and _last(out) == ",":
            found.add("a trailing comma is left out")
            while out.pop() != ",":
                pass
            if _last(out) in ("", "{", "[", ",", ":"):
                raise NotSure("a comma without a value")
        out.append(token)
    repairs += sorted(found)
    try:
        return json.loads(
            "".join(out), object_pairs_hook=lambda pairs: _object(pairs, repairs), parse_constant=_refuse
        )
    except (json.JSONDecodeError, RecursionError) as problem:
        raise NotSure(str(problem)) from None


def _last(out: list[str]) -> str:
    """The last token that is no space."""
    return next((token for token in reversed(out) if token.strip()), "")


def _is_json(token: str) -> bool:
    try:
        json.loads(token)
    except json.JSONDecodeError:
        return False
    return True


def _unescaped(text: str) -> str:
    """What a string of JavaScript or Python holds."""

    def char(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3] or match[4]
        if code:
            return chr(int(code, 16)) if int(code, 16) < 0x110000 else match[0]
        return "" if match[5] else _ESCAPED.get(match[6], match[6])

    plain = _ESCAPE.sub(char, text)
    try:
        return plain.encode("utf-16", "surrogatepass").decode("utf-16")  # halves that belong together
    except UnicodeDecodeError:
        return plain
