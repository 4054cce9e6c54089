"""Surroundings that make a number a part of something else: arithmetic in words, bounds, ranges, labels.

A number in `3 times 6`, `at least 18`, `sqrt(16)` or `18..20` is not the number that a text states.
"""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.scales import NUMBER_WORD, SCALE_LEFT
from sequela.evaluation.answer_reading.units import ATTACHED_UNIT, MEASURE

_NEAR = 80
"""The number of characters before a number that are read."""
_NUMBER = r"(?:the\s+)?[-+(√∛$€£¥₹]{0,3}\s?\.?\d[\d.,]*"
_OPERAND = rf"(?:{_NUMBER}|{NUMBER_WORD}\b|(?-i:[xyznk])\b)"
_OPERATOR = r"[*×÷^⋅∙‧·•∗✕✖⨯⨉∕∶➗➕➖]"
_MONTH = (
    r"(?-i:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
_UP_OR_DOWN = (
    r"(?:more|less|fewer|greater|above|below|over|under|higher|lower|up|upwards?|beyond|larger|smaller|bigger|older"
    r"|younger|longer|shorter|earlier|later)\b"
)

_ARITHMETIC = (
    rf"\s+(?:plus|minus|multiplied|divided|added\s+to|subtracted\s+from|taken\s+(?:away\s+)?from|raised\s+to"
    rf"|(?:increased|decreased|reduced|diminished|multiplied)\s+by|doubled|tripled|quadrupled|halved|into\s+{_OPERAND}"
    rf"|and\s+(?:an?|one|two|three|four)[\s-](?:half|thirds?|quarters?|fourths?|fifths?|eighths?|tenths?)"
    rf"|to\s+the\s+(?:\w+\s+)?power|to\s+the\s+\d|modulo|mod|squared|cubed|factorial|(?:in\s+)?base\s+{_OPERAND}"
    rf"|(?:choose|over|less|by(?!\s+[12]\d{{3}}\b)|per|for\s+every)\s+{_OPERAND}"
    rf"|times\s+(?:{_OPERAND}|as|the|that|what|his|her|its|their|more|less|fewer|greater|larger|bigger|higher|longer))\b"
    rf"|\s?(?:%|percent|per\s+cent)\s+(?:of|off|(?:more|less|fewer|greater|higher|lower)\s+than)\s+{_NUMBER}"
    rf"|\s+(?:(?!rather\b|is\b|was\b|are\b|were\b|which\b|that\b|because\b|or\b)[^\W\d_]+\s+){{1,3}}than\s+{_OPERAND}"
    rf"|\s*,?\s*(?:r|rem\.?|(?:with\s+|and\s+)?(?:a\s+)?remainder(?:\s+of)?)\s*\d"
)
_SIGNS = (
    rf"[^\S\n]*{_OPERATOR}[^\S\n]*(?:[\d(√∛{{-]|[^\W\d_]\b|\\?(?:pi|sqrt|log|ln|sin|cos|tan)\b)"
    r"|[^\S\n]*\+[^\S\n]*[^\W\d_(√∛]|\+(?!\s?[\d$€£(])|[^\S\n]-[^\S\n]?(?-i:[xyznk])\b"
    r"|[^\S\n]?/[^\S\n]?(?-i:[bcefijknopqrtuvwxyz]|[A-Z])\b|[^\S\n]*(?:[±∓√∛∜]|\\pm\b|\\mp\b|\+/?-)|[({[]\d"
    r"|[^\S\n]?\\(?:pi|sqrt|cdot|times|div|log|ln|sin|cos|tan|binom|sim|to|rightarrow)\b"
)
_RANGES = (
    r"[^\S\n]?(?:\.{2,}|~|;|\||&|→|-+>|∼|〜|～)[^\S\n]?[-(]?[$€£]?\.?\d|[^\S\n]?:[^\S\n]?\d|[^\S\n]+\d"
    r"|,[^\S\n]*-?\d[\d.]*[^\S\n]*(?:[,.;)\]}\n]|and\b|or\b|\Z)|[\"'”’],\s*[\"'“‘]\s*-?\d"
    rf"|[^\S\n]?(?:[^\W\d_]+[^\S\n]){{1,2}}(?:and|plus|&)[^\S\n]+(?:another\s+)?[$€£]?\d"
    rf"|[^\S\n]?{MEASURE}\.?,?[^\S\n]*\d[\d.]*[^\S\n]?{MEASURE}|['’′][^\S\n]?\d"
)
_LETTERS = (
    rf"(?-i:(?!{ATTACHED_UNIT}|k\b)[^\W\d_])|[^\S\n](?-i:[xyznπ]|st|nd|rd|th)\b(?![-'’.])|[^\S\n](?-i:B)\b(?![-'’.])|[\s-]?fold\b|-(?:ish|th)\b"
    rf"|[\s-]?{SCALE_LEFT}"
)
_BOUNDS = (
    rf"(?:[^\S\n][^\W\d_]+)?[^\S\n]+(?:or|and)[^\S\n]+{_UP_OR_DOWN}"
    r"|(?:[^\S\n][^\W\d_]+)?,?[^\S\n]+at[^\S\n]+(?:the[^\S\n]+|an?[^\S\n]+)?(?:very[^\S\n]+)?(?:most|least|max\w*|min\w*)\b"
    r"|[^\S\n]+(?:max|maximum|minimum)\b"
)
_BEHIND = re.compile(
    rf"(?:{_ARITHMETIC}|{_SIGNS}|{_RANGES}|{_LETTERS}|{_BOUNDS}|(?<!\d{{3}}),?[^\S\n]+(?:of[^\S\n]+)?{_MONTH}(?:[^\S\n,]|\Z))",
    re.IGNORECASE,
)

_FUNCTION = (
    r"(?:sqrt|cbrt|log|ln|lg|exp|sin|cos|tan|cot|sec|csc|arc(?:sin|cos|tan)|abs|floor|ceil|round|gcd|lcm"
    r"|binom)"
)
_OPERATION = (
    r"(?:sums?|products?|difference|quotient|ratio|square|cube|factorial|reciprocal|inverse|negation|root|logarithm|log"
    r"|absolute\s+value|multiples?|factors?|divisors?|remainder|power)\s+(?:of|between)"
)
_PART_OF = (
    r"half|(?:an?|one|two|three|four|five)[\s-](?:half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth)s?"
    r"|(?:half|thirds?|quarters?|fourths?|fifths?|tenths?)|percent|per\s+cent|%"
)
_BEFORE = re.compile(
    rf"(?:\bthan\s+(?:(?:or\s+equal\s+to|about|exactly|only|just)\s+)*"
    r"|\bclos(?:e|er|est)\s+to\s+|\bat\s+(?:the\s+)?(?:very\s+)?(?:most|least)\s+|\bup\s+to\s+|\b(?:maximum|minimum)\s+of\s+"
    r"|\b(?:over|under|above|below|beyond|exceed(?:s|ing)?|almost|nearly|within|unlike)\s+"
    r"|(?:(?<![-=>])>|(?<!<)<|\b[a-z]\s?(?:>>|<<)|[≤≥≦≧⩽⩾≪≫±∓≠])=?\s*|\\(?:leq?|geq?|leqslant|geqslant|lt|gt|neq?|pm|mp|ll|gg)\s*"
    rf"|(?<![^\W_])\\?{_FUNCTION}\s*[({{]?\s*|\w\(\s*|[√∛∜⌊⌈]\s?[({{]?\s*|[-+*/×÷^]\s*\(\s*|(?:\b[a-z]|[)\]])\s?{_OPERATOR}\s?|\b[a-z]/\s?"
    rf"|\b{_OPERATION}\s+(?:the\s+)?|(?:{_PART_OF})\s+of\s+(?:the\s+)?|\bhalf\s+"
    rf"|\b(?:twice|double|triple|thrice|quadruple)\s+|(?:\d|\b{NUMBER_WORD})\s+(?:more\s+)?times\s+"
    rf"|(?:\d|\b{NUMBER_WORD}|\b[xyzn])\s+(?:plus|minus|multiplied\s+by|divided\s+by|added\s+to|subtracted\s+from|over|less|by|per"
    rf"|mod|modulo|choose|to\s+the\s+power\s+of)\s+|\b(?:hundred|thousand|million|billion)\s+(?:and\s+)?"
    rf"|\d{_OPERATOR}\s*|\d,\s+|\d\s*[;|~&]\s*"
    r")\Z",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"(?:\b(?:room|page|chapter|step|section|figure|table|volume|verse|apartment|flight|gate|platform|route|highway"
    rf"|question|problem|exercise|example|item|option|choice)|\b{_MONTH})\s+\Z",
    re.IGNORECASE,
)
"""Words before a number that is a name or a day: `Room 18`, `May 18`."""
_DAY_OR_MONTH = re.compile(rf"\b{_MONTH}\s+(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?\Z")
_YEAR = re.compile(r"[12]\d{3}(?![\d,.]*\d)")
_MINUS_WORD = re.compile(r"(?:minus)\b", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")
_OPENS_A_LIST = re.compile(r"[\[{][\"'“‘]?\s*\Z")
_LEFT_BEHIND = re.compile(
    r"[^\S\n]?[‰‱]|!\s?[.,;:]|[^\S\n]?月|[^\S\n]?\w{0,2}(?:以上|以下|以内|未満|余)"
    r"|[^\S\n]?[^\W\d_]{0,2}?(?:ではな|ではあ|じゃな|でな)"
)
"""Marks that leave a number before them unread: permilles, `6!.`, a month, bounds and denials."""
_LEFT_BEFORE = re.compile(
    r"(?:不是|并非|不等于|不会是|第|超过|不超过|至少|最少|最多|至多|不到|不足|少于|多于|大于|小于|高于|低于|将近|接近|[年月])\s?\Z"
)
_CLOSES_A_LIST = re.compile(r"\s*[\"'”’]?\s*[\]}]")


def goes_on(text: str, end: int) -> bool:
    """Returns whether what stands behind a number makes it a part of something else.

    Args:
        text: A text as of `common_numbers`.
        end: Where the number ends.
    """
    return _BEHIND.match(text, end) is not None


def has_begun(text: str, start: int) -> bool:
    """Returns whether what stands before a number makes it a part of something else.

    Args:
        text: A text as of `common_numbers`.
        start: Where the number begins, with its sign.
    """
    before = _before(text, start)
    if _YEAR.match(text, start) and _DAY_OR_MONTH.search(before):
        return False
    return bool(_BEFORE.search(before) or (re.search(r"\d\s\Z", before) and _MINUS_WORD.match(text, start)))


def is_label(text: str, start: int) -> bool:
    """Returns whether a number at a place is a label or the day of a month: `Room 18`, `May 18`."""
    return _YEAR.match(text, start) is None and _LABEL.search(_before(text, start)) is not None


def _before(text: str, start: int) -> str:
    return _TAG.sub("", text[max(0, start - _NEAR) : start])


def is_part(text: str, start: int, end: int) -> bool:
    """Returns whether a number between two places of a text is a part of something else."""
    if has_begun(text, start) or is_label(text, start) or goes_on(text, end):
        return True
    if _LEFT_BEHIND.match(text, end) or _LEFT_BEFORE.search(_before(text, start)):
        return True
    listed = _OPENS_A_LIST.search(text, max(0, start - _NEAR), start)
    return listed is not None and _CLOSES_A_LIST.match(text, end) is None
