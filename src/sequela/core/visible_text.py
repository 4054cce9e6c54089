"""Texts from models and data, made safe to show: characters that steer a terminal become visible."""

from __future__ import annotations

import re
import unicodedata

_STEERING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed; they begin escape sequences
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks and overrides of the writing direction
    "\ud800-\udfff"  # halves of surrogate pairs, which no encoding can write
    "\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
    "\ufff9-\ufffb\U000e0000-\U000e0fff"  # interlinear marks, tags and other invisible characters
    "]"
)


def visible(text: str) -> str:
    r"""Returns a text with control characters, direction marks and lone surrogates written out, as in `\x1b`.

    Tabs and line feeds are kept, so that a text of several lines stays one. A text that is shown on one line
    is brought to one line by whoever shows it.
    """
    return _STEERING.sub(_written_out, text)


def is_blank(text: str) -> bool:
    """Returns whether a text has only white space, characters without width, and marks without a letter."""
    return all(
        one.isspace() or unicodedata.category(one)[0] == "M" or unicodedata.category(one) in _INVISIBLE
        for one in text
    )


_INVISIBLE = ("Cc", "Cf", "Cn", "Cs")


def shortened(text: str, most: int) -> str:
    """Returns a text of at most `most` characters, with an ellipsis in place of what is left out."""
    return text if len(text) <= most else f"{text[:most]}…"


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_in_json(text: str) -> str:
    r"""Returns a JSON text with the same value in which such characters are escaped, as in `\u001b`."""
    return _STEERING.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
