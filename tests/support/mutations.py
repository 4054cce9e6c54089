"""Seeded mutations of files: flips, cuts and repeats of bytes, and the values that readers trip over."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable

TOKENS: tuple[bytes, ...] = (
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xe9",
    b"\x1b[2J",
    "\u202e".encode(),
    b"\\u0000",
    b"\\ud83d",
    b"\\x1b",
    b"NaN",
    b"-Infinity",
    b".nan",
    b"1e999",
    b"9" * 5000,
    b"0x" + b"f" * 400,
    b"1" + b":59" * 200,
    b"-1",
    b"0",
    b"1e3",
    b"99999999999999999999",
    b"2147483648",
    b"null",
    b"true",
    b"''",
    b'""',
    b'" "',
    b"[" * 3000,
    b'{"a":' * 3000,
    b"- " * 300,
    b"[]",
    b"{}",
    b'[[1, "a"], {"b": null}]',
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b"!!int abc",
    b"!!bool perhaps",
    b"!!timestamp x",
    b"!!float x",
    b"!!binary '='",
    b"!!set {a, b}",
    b"!!python/name:os.system",
    b"!function utils.f",
    b"2024-02-31",
    b"2024-02-28 25:61:61",
    b"~nobody-at-all/x",
    b"a" * 5000,
    b"../" * 50,
    b"{{ 1/0 }}",
    b"{% for",
    b"{}",
    b"%00%d?",
    b"\r",
    b"\n",
    b"\t",
    b"\n---\n",
    b"\n...\n",
    b": ",
    b"#",
    b"|",
)
"""Texts to insert, or to put in the place of a value."""

_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|\'[^\']*\'|-?\d+(?:\.\d+)?|\b(?:true|false|null)\b|(?<=: )[\w./-]+')


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Returns the content with one to three mutations."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = rng.choice(_MUTATIONS)(content, rng)
    return content


def damage(content: bytes, rng: random.Random) -> bytes:
    """Returns the content with one bit flipped, or cut off somewhere: what a disk or a copy may do to it."""
    at = rng.randrange(len(content))
    if rng.random() < 0.3:
        return content[:at]
    return content[:at] + bytes((content[at] ^ 1 << rng.randrange(8),)) + content[at + 1 :]


def mutate_gzip(content: bytes, rng: random.Random) -> bytes:
    """Returns a gzip file of mutated content, or one that is damaged itself."""
    if rng.random() < 0.5:
        return gzip.compress(mutate(content, rng), compresslevel=1, mtime=0)
    return rng.choice((_cut, _flip, _drop))(gzip.compress(content, mtime=0), rng)


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _slice(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 8, 64, 512)))


def _drop(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    return content[:start] + content[stop:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    return content[:stop] + content[start:stop] * rng.choice((1, 2, 20)) + content[stop:]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(TOKENS) + content[at:]


def _replace(content: bytes, rng: random.Random) -> bytes:
    values = list(_VALUE.finditer(content))
    if not values:
        return _insert(content, rng)
    found = rng.choice(values)
    token = rng.choice(TOKENS)
    if found[0][:1] in (b'"', b"'") and rng.random() < 0.5:  # within the quotes
        token = found[0][:1] + token + found[0][:1]
    return content[: found.start()] + token + content[found.end() :]


def _exchange(content: bytes, rng: random.Random) -> bytes:
    values = list(_VALUE.finditer(content))
    if len(values) < 2:
        return _flip(content, rng)
    one, other = rng.sample(values, 2)
    return content[: one.start()] + other[0] + content[one.end() :]


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _cut,
    _drop,
    _repeat,
    _insert,
    _insert,
    _replace,
    _replace,
    _replace,
    _exchange,
)
