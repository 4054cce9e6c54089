"""Plain text behind the markup that models write: HTML, LaTeX, Markdown and typographic variants."""

from __future__ import annotations

import html
import re
import unicodedata

DASHES = "‐‑‒–−﹣－"
"""Hyphens, the dash of ranges, and minus signs, all of which are written for a minus."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, marks of direction, and spaces without width."""
_VULGAR = re.compile(r"(\d?)\s?([¼-¾⅐-⅞↉])")
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)")
_ROOT = re.compile(r"\\sqrt\s*(?:\[[^\]]*\])?\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\(?!sqrt)[a-zA-Z]+\*?\s*\{([^{}]*)\}")
_DELIMITER = re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle|quad|qquad)\b|\\[,;:! ]")
_PAIRED_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)(?:\s[^<>]*)?>(.*?)</\1\s*>", re.DOTALL)
_BREAK = re.compile(r"<(?:br|hr)\s*/?>|</?p\s*>", re.IGNORECASE)
_CONTROL = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<(?:bos|eos|pad|unk|(?:start|end)_of_turn)>|</[a-z]+>\s*$", re.IGNORECASE
)
"""Control tokens written out, and an end without a beginning (`B</s>`)."""
_STRUCK = re.compile(r"~~.*?~~|<(s|del|strike)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_EMPHASIS = re.compile(
    r"(?<!\d)\*\*+|\*\*+(?!\d)|`+|(?<!\w)(?:[*_]+(?=[^\s\d])|_+(?=\d))|(?<=\S)[*_]+(?![*\w]| ?\d)"
)
"""Marks around words; not the operators of `2*3` and `2**3`."""
_LATEX_SIGNS = {
    r"\times": "*",
    r"\cdot": "*",
    r"\div": "/",
    r"\approx": "≈",
    r"\$": "$",
    r"\%": "%",
    r"\&": "&",
    r"\#": "#",
    r"\_": "_",
    r"\{": "{",
    r"\}": "}",
    "{,}": ",",
    "~": " ",
}


def composed(text: str) -> str:
    """Returns the text in the compatibility form of Unicode, with powers as `^3` and `½` as ` 1/2`."""
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = _VULGAR.sub(lambda match: f"{match[1]} {unicodedata.normalize('NFKC', match[2])}", text)
    return unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).replace("⁄", "/")


def with_plain_dashes(text: str) -> str:
    """Returns the text with a plain `-` for every hyphen, dash of a range and minus sign."""
    return re.sub(f"[{DASHES}]", "-", text)


def plain(text: str) -> str:
    """Returns the text without HTML, LaTeX and emphasis; what is struck through is left out."""
    text = _BREAK.sub("\n", html.unescape(_STRUCK.sub("", text)))
    while text != (unwrapped := _PAIRED_TAG.sub(r"\2", text)):
        text = unwrapped
    text = _CONTROL.sub("\n", text)
    if "\\" in text or "{,}" in text:
        text = _SHORT_FRACTION.sub(r" \1/\2 ", _FRACTION.sub(r" \1/\2 ", text))
        text = _ROOT.sub(r"√(\1)", text)
        while text != (unwrapped := _COMMAND.sub(r"\1", text)):
            text = unwrapped
        text = _DELIMITER.sub(" ", text)
        for sign, written in _LATEX_SIGNS.items():
            text = text.replace(sign, written)
    return _EMPHASIS.sub("", with_plain_dashes(composed(text)))
