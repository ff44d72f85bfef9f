"""Broken inputs, made from good ones. The same seed and number make the same input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from tests.fuzz.server import broken_bytes, mutated

MOST = 64_000
"""Bytes of an input."""


def mutation(seed: int, number: int, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Input `number` of a seed."""
    source = Random(f"{seed}/{number}")
    data = source.choice(seeds)
    for _ in range(source.choice((1, 1, 1, 2, 3, 6))):
        data = _mutated_once(source, data, seeds, tokens)[:MOST]
    return data


def _mutated_once(source: Random, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    at, to = sorted((source.randrange(len(data) + 1), source.randrange(len(data) + 1)))
    kind = source.randrange(12)
    if kind < 4:
        return _in_json(source, data)
    if kind < 7:
        return broken_bytes(source, data)
    if kind == 7:  # the same again and again: what is not linear shows
        piece = data[at : min(to, at + source.choice((1, 2, 8, 40, 300)))] or b" "
        return data[:at] + piece * source.choice((10, 500, MOST // len(piece))) + data[at:]
    if kind == 8:
        return data[:at] + source.choice(tokens) * source.choice((1, 1, 2, 1000)) + data[source.choice((at, to)) :]
    if kind == 9:
        other = source.choice(seeds)
        return data[:at] + other[source.randrange(len(other) + 1) :]
    if kind == 10:  # a number or a length, in binary
        return data[:at] + source.choice((b"\xff", b"\0", b"\x7f", b"\x80")) * 4 + data[at + 4 :]
    return data[:at] + source.choice((b"[", b'{"a":', b'"')) * source.choice((3, 99, 130, 300, 20_000)) + data[at:]


def _in_json(source: Random, data: bytes) -> bytes:
    """One of the JSON values of the input changed: all of it, or a line of it."""
    lines = data.split(b"\n")
    i = source.randrange(len(lines))
    for place, text in ((i, lines[i]), (-1, data)):
        try:
            changed = json.dumps(mutated(source, json.loads(text))).encode()
        except (ValueError, RecursionError, AttributeError, TypeError):
            continue
        return changed if place < 0 else b"\n".join([*lines[:place], changed, *lines[place + 1 :]])
    return broken_bytes(source, data)
