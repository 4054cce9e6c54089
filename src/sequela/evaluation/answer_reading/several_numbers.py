"""Several numbers where one is expected: alternatives, parts, labeled answers, amounts in two units."""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.units import MEASURE

_NEAR = 80
"""The number of characters around a number that are read."""
_MARKS = r"[$€£%°‰\"'“”‘’)\]}*_`]*"
_OPENING = r"[\"'“‘(\[$€£*_`]*-?\s?\.?"
_SPACE = r"[^\S\n]"
_CLAUSE = (
    r"(?:is|are|was|were|because|since|so|if|when|where|which|that|than|but|with|after|before|from|has|have"
    r"|had)\b"
)
_WORDS = rf"(?:(?!{_CLAUSE})[^\W\d_][^\W\d_'’-]*\.?{_SPACE}+){{0,3}}?"
_HEDGES = rf"(?:(?:maybe|perhaps|possibly|probably|even|about|another|else|only|just|the|an?){_SPACE}+)*"
_UNSPACED = "(?:或者|或是|或|还是|和|与|及|到|至|、|または|もしくは|か|と|から|또는|이나|나|와|과|에서)"
_IDEOGRAPHS = "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"

_BEHIND = re.compile(
    rf"{_MARKS}(?:"
    rf"{_SPACE}+(?:and|to|then|plus|through|&){_SPACE}+{_HEDGES}{_OPENING}\d"
    rf"|,?{_SPACE}+{_WORDS}\(?(?:and\s*/\s*or|or){_SPACE}+{_HEDGES}{_OPENING}\d"
    rf"|,?{_SPACE}+\(?(?:maybe|perhaps|possibly){_SPACE}+{_OPENING}\d"
    rf"|{_IDEOGRAPHS}{{0,3}}{_UNSPACED}\s?{_OPENING}\d"
    rf"|[^.!?\n\d]{{0,40}}\([a-h]\)[,;]?\s*(?:and\s+)?{_OPENING}\d"
    r"|[\s;,.]*(?:and\s+)?(?:\((?:[b-h]|ii|iii|[2-9])\)|(?:[b-h]|ii|iii|[2-9])\)|(?:part|question)\s+\(?\w\)?\s*[:=]?)"
    rf"\s*(?:[^\W\d_]+{_SPACE}+|[:=]\s*)?{_OPENING}\d"
    rf"|[,;]{_SPACE}+(?:and{_SPACE}+)?(?-i:[A-Z][a-z]+){_SPACE}*:?{_SPACE}*{_OPENING}\d[\d.,]*(?:{_SPACE}[^\W\d_]+)?{_SPACE}*(?:[.,;\n]|\Z)"
    rf"|\){_SPACE}+{_OPENING}\d"
    r")",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"\d(?:{_MARKS}(?:"
    rf",?{_SPACE}+{_WORDS}\(?(?:and\s*/\s*or|and|or){_SPACE}+{_HEDGES}[$(]?(?:[^\W\d_]\s*=\s*)?"
    rf"|{_SPACE}+(?:to|through|versus|vs\.?|&){_SPACE}+|&|{_IDEOGRAPHS}{{0,3}}{_UNSPACED}\s?"
    rf"){_OPENING}|{_SPACE}+{_OPENING})\Z",
    re.IGNORECASE,
)
_PART_BEFORE = re.compile(r"\d\s*[,;]?\s*(?:and\s+)?(?:part\s+)?\(?[b-h]\)\s*[:=]?\s*[$€£]?\Z", re.IGNORECASE)
_UNIT_BEFORE = re.compile(rf"\d{_SPACE}?{MEASURE}\.?,?{_SPACE}*(?:and{_SPACE}+)?\Z", re.IGNORECASE)
_UNIT_BEHIND = re.compile(rf"{_SPACE}?{MEASURE}", re.IGNORECASE)


_NAMED = re.compile(r"[^\W\d_]\w{0,2}\s*[:=]\s*\Z")
_NEXT_NAMED = re.compile(
    r"\s*(?:[,;]|\band\b|\bor\b)\s*(?:(?:and|or)\s+)?[^\W\d_]\w{0,2}\s*[:=]\s*[$€£]?-?\.?\d", re.IGNORECASE
)
_FROM = re.compile(r"\bfrom\s+[$€£]?-?[\d.,]+[^\d.!?\n]{0,40}\bto\s+[$€£]?\Z", re.IGNORECASE)


def others_follow(text: str, start: int, end: int) -> bool:
    """Returns whether further numbers stand behind one, as its alternatives or as answers beside it.

    `7% or 8%`, `"7" or "8"`, `7, or maybe 8`, `7 (or 8)`, `$7$ and $8$`, `7 (b) 8`, `7, Ann 8`, `x = 7, y =
    8`.

    Args:
        text: A text as of `common_numbers`.
        start: Where the number begins.
        end: Where it ends.
    """
    if _BEHIND.match(text, end):
        return True
    return (
        _NEXT_NAMED.match(text, end) is not None
        and _NAMED.search(text, max(0, start - 10), start) is not None
    )


def others_precede(text: str, start: int, end: int) -> bool:
    """Returns whether other numbers stand before one, as its alternatives or as parts of one amount.

    `7 or 8`, `7 and 8`, `7 to 8` (but not `from 7 to 8`), `7 hours and 8 minutes`, `7 ft 8 in`.

    Args:
        text: A text as of `common_numbers`.
        start: Where the number begins.
        end: Where the number ends.
    """
    before = text[max(0, start - _NEAR) : start]
    if _BEFORE.search(before) and not _FROM.search(before):
        return True
    if _PART_BEFORE.search(before):
        return True
    return _UNIT_BEFORE.search(before) is not None and _UNIT_BEHIND.match(text, end) is not None
