"""Plain text behind the markup that models write: HTML, LaTeX, Markdown and typographic variants."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Collection

from sequela.evaluation.answer_reading.long_texts import with_short_spaces

DASHES = "‐‑‒–−﹣－"
"""Hyphens, the dash of ranges, and minus signs, all of which are written for a minus."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, marks of direction, and spaces without width."""
_VULGAR = re.compile(r"(\d?)\s?([¼-¾⅐-⅞↉])")
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)")
_ROOT = re.compile(r"\\sqrt\s*(?:\[[^\[\]]*\])?\s*\{([^{}]*)\}")
_BRACE = re.compile(r"(\\(?!sqrt)[a-zA-Z]+\*?\s*)?\{|\}")
"""A brace, with the command whose argument it begins."""
_DELIMITER = re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle|quad|qquad)\b|\\[,;:! ]")
_TAG = re.compile(r"<(?:([a-zA-Z][a-zA-Z0-9]*)(?:\s[^<>]*)?|/([a-zA-Z][a-zA-Z0-9]*)\s*)>")
"""The tag that begins or ends an element, with its name."""
_BREAK = re.compile(r"<(?:br|hr)\s*/?>|</?p\s*>", re.IGNORECASE)
_CONTROL = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<(?:bos|eos|pad|unk|(?:start|end)_of_turn)>|</[a-z]+>\s*$", re.IGNORECASE
)
"""Control tokens written out, and an end without a beginning (`B</s>`)."""
_STRIKE = re.compile(r"~~|<(?:s|del|strike)>", re.IGNORECASE)
"""The beginning of a text that is struck through."""
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
    """Returns the text without HTML, LaTeX and emphasis; what is struck through is left out.

    The time is proportional to the length of the text, however its marks repeat and nest.
    """
    text = _BREAK.sub("\n", html.unescape(_without_struck(text)))
    text = _CONTROL.sub("\n", _without_paired_tags(text))
    if "\\" in text or "{,}" in text:
        text = _SHORT_FRACTION.sub(r" \1/\2 ", _FRACTION.sub(r" \1/\2 ", text))
        text = _without_commands(_ROOT.sub(r"√(\1)", text))
        text = _DELIMITER.sub(" ", text)
        for sign, written in _LATEX_SIGNS.items():
            text = text.replace(sign, written)
    # Marks of breaks and spaces make runs of white space, which readers would go through again and again.
    return with_short_spaces(_EMPHASIS.sub("", with_plain_dashes(composed(text))))


def _without_struck(text: str) -> str:
    """Returns the text without what is struck through, from each mark to the next that ends it."""
    struck: list[tuple[int, int]] = []
    unended: set[str] = set()
    position = 0
    while (begin := _STRIKE.search(text, position)) is not None:
        position = begin.end()
        mark = begin[0].lower()
        if mark in unended:
            continue
        last = mark if mark == "~~" else f"</{mark[1:]}"
        end = re.compile(re.escape(last), re.IGNORECASE).search(text, position)
        if end is None:  # nor is there one after a later mark
            unended.add(mark)
        else:
            position = end.end()
            struck.append((begin.start(), position))
    return _without(text, struck)


def _without_paired_tags(text: str) -> str:
    """Returns the text without the tags of elements that begin and end in it.

    An end belongs to the first beginning since the end before it; if there is none, to the first one left.
    """
    tags: list[tuple[int, int]] = []
    new: defaultdict[str, list[re.Match[str]]] = defaultdict(list)
    left: defaultdict[str, deque[re.Match[str]]] = defaultdict(deque)
    for tag in _TAG.finditer(text):
        begun, ended = tag[1], tag[2]
        if begun:
            new[begun].append(tag)
        elif new[ended] or left[ended]:
            begin = new[ended][0] if new[ended] else left[ended].popleft()
            left[ended] += new.pop(ended, [])[1:]
            tags += (begin.span(), tag.span())
    return _without(text, tags)


def _without_commands(text: str) -> str:
    """Returns the text with the arguments of LaTeX's commands in place of the commands.

    A command stays if other braces stay in its argument.
    """
    removed: list[tuple[int, int]] = []
    opened: list[re.Match[str]] = []
    with_braces: set[int] = set()
    for brace in _BRACE.finditer(text):
        if brace[0] != "}":
            opened.append(brace)
        elif opened:
            begin = opened.pop()
            if begin[1] and begin.start() not in with_braces:
                removed += (begin.span(), brace.span())
            elif opened:
                with_braces.add(opened[-1].start())
    return _without(text, removed)


def _without(text: str, spans: Collection[tuple[int, int]]) -> str:
    """Returns the text without some parts of it, which don't overlap."""
    kept, position = [], 0
    for start, stop in sorted(spans):
        kept.append(text[position:start])
        position = stop
    return "".join([*kept, text[position:]])
