"""Notations of numbers: plain digits, spaces and signs, and further notations rewritten as common ones.

The strict reading of numbers doesn't use the further ones, so that it stays that of the harness.
"""

from __future__ import annotations

import math
import re

from sequela.evaluation.answer_reading.markup import plain
from sequela.evaluation.answer_reading.scales import with_scales

_MARKS_OF_THOUSANDS = re.compile(
    r"(?<=\d)[،˙‘ʼ′ʹˈ](?=\d{3}(?!\d))|(?<=\d)·(?=0\d\d(?!\d)|\d{3}·\d{3}(?!\d))|(?<=·\d{3})·(?=\d{3}(?!\d))"
)
"""Separators of thousands other than those that `numbers` reads; `2·500` may also be a product."""
_TIMES = re.compile(r"(?<=[\d)])([^\S\n]?)(?:[⋅∙‧∗✕✖⨯⨉]\ufe0f?|·(?!\d{3}(?!\d)))([^\S\n]?)(?=[\d(])")
_OVER = re.compile(r"(?<=[\d)])([^\S\n]?)(?:∕|➗\ufe0f?)([^\S\n]?)(?=[\d(])")
"""Signs of operations other than those that `numbers` reads."""
_OTHER_BASE = re.compile(r"(?<![\w.,])0(?=[xX][0-9a-fA-F]|[bB][01]|[oO][0-7])")
"""The zero at the beginning of `0x12`, without which the rest is not read."""
_ABSOLUTE = re.compile(r"\|-(?P<value>\d[\d.,]*)\|")
_ARABIC_POINT = re.compile(r"(?<=\d)٫(?=\d)")
_ARABIC_GROUPS = re.compile(r"(?<=\d)٬(?=\d{2,3}(?!\d))")
_SPACED_WITH_COMMA = re.compile(r"(?<![\d.,])(?P<whole>\d{1,3}(?:[ '’]\d{3})+),(?P<rest>\d{1,2})(?![\d,])")
"""`1 234,56`."""

_BEGINS = r"(?=-?\s?\.?\d)"
_CODES = (
    r"USD|EUR|GBP|JPY|CNY|RMB|INR|AUD|CAD|NZD|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|BRL|MXN|ZAR|KRW|SGD|HKD|THB"
    r"|IDR|MYR|PHP|AED|SAR|ILS|NGN|KES|PKR|BDT|LKR"
)
"""Currency codes of ISO 4217."""
_ABBREVIATIONS = r"[Rr]s|Re|Rp|RM|[Kk]r|N[Kk]r|S[Kk]r|D[Kk]r|S?Fr|DM|Ft|Kč|zł"
_DOLLARS = re.compile(r"(?<![^\W_])[A-Z](?:[A-Za-z]{1,2}|\.\s?[A-Z]\.?)?\s?\$\s?" + _BEGINS)
"""The dollar or peso of a country: `US$`, `A$`, `HK$`, `U.S.$`, `Mex$`."""
_BEFORE = re.compile(rf"(?<![^\W_])(?:{_ABBREVIATIONS}|{_CODES})\.?\s?{_BEGINS}")
CURRENCY_BEHIND = re.compile(rf"\s?(?:[A-Z]{{1,3}}\$|(?:{_ABBREVIATIONS}|{_CODES})\b\.?|/-)\s*$")
"""A currency at the end of a text, which is no part of the number before it."""
_SYMBOL = re.compile(r"[¢¤৳฿៛؋﷼₠-₨₪-₫₭-₸₺-₼₾-\u20cf](?=\s?-?\s?\.?\d)")
"""A currency sign that `numbers` doesn't read."""
_ROUGHLY = re.compile(r"(?i)(?<![^\W_])(approx|appr|ca|circa|nr|num)\.\s?(?=[$€£]?-?\.?\d)")
_PLUS = re.compile(r"(?:(?<![\w)\]}%.+!$€£²³ ])|(?<![\w)\]}%$€£+] )(?<= )|(?<=[^\W\d_] ))\+(?=[$€£]?\.?\d)")
"""The plus of a positive number, as opposed to that of a sum."""
_SPACED_PLUS = re.compile(
    r"(?P<before>^[^\S\n]*|[:=(\[]\s*|\b(?:is|are|was|were|be|equals|becomes|gives|total)\s+)\+\s(?=[$€£]?\.?\d)",
    re.MULTILINE | re.IGNORECASE,
)
_FACTORIAL = re.compile(
    r"(?<![\w.,])(?P<of>\d{1,2})!(?=\)?\s*(?:[=≈*×÷^]|/\s?[\d(]|[-+]\s?\d)"
    r"|\)?,?\s+(?:(?:which|that|and\s+that)\s+)?(?:is|equals|gives|makes)\b)",
    re.IGNORECASE,
)
"""A factorial with its result or in an expression; `the answer is 4!` is an exclamation."""
_FACTORIAL_OF_NAME = re.compile(r"(?<=[A-Za-z])!(?=\)?\s*=)")
_FACTORIAL_WITH_RESULT = re.compile(
    r"(?<![\w.,])(?P<of>\d{1,2})!\s?\(\s*(?:=\s*|which\s+is\s+)?(?P<result>[\d,]{1,30})\s*\)"
)
_LARGEST_FACTORIAL = 20

_CALCULATION = re.compile(r"<<(?P<sides>[^<>\n]{0,200})>>(?P<again>[^\S\n]?(?=[$€£¥₹]?\s?-?\.?\d))?")
"""A mark of GSM8K's calculator, `<<5+3=8>>`, behind which the result mostly stands again."""
_QUOTED = re.compile(r"^[^\S\n]*(?:>[^\S\n]|>>+[^\S\n]?)(?=[$€£*]*-?\.?\d)", re.MULTILINE)
"""Markdown's mark of a quotation before a number, which is no bound."""
_ANGLED = re.compile(r"(?<![<\w])<\s?(?P<number>[$€£]?-?\d[\d.,]*)\s?>(?!>)")
_DEGREES = re.compile(r"\^\s?(?:\{\s*\\circ\s*\}|\\circ\b)")
_RAISED_ENDING = re.compile(r"\^\s?\{\s*(?:\\[a-z]+\s*\{\s*)?(?P<ending>st|nd|rd|th)\s*\}{1,2}")
_POWER = re.compile(r"\^\s?\{\s*(?P<power>[^{}\n]{1,40}?)\s*\}")
"""A power in the braces of LaTeX."""
_SPACED_DASH = re.compile(
    r"(?<=[\d%])[^\S\n][–—][^\S\n](?=[$€£]?\d[\d.,]*[^\S\n]+[^\W\d_]{2}[^=≈\n.]{0,100}(?:[.\n]|\Z))"
)
"""A dash before words about a number (`18 – 9 eggs at $2`), which is no minus."""
_IDEOGRAPH_BEFORE = re.compile(r"(?<=[\u3040-\u30ff\u3400-\u9fff])(?<!第)(?=-?[$€£¥]?\.?\d)")
"""The place between a Han or kana character and a number, where these scripts have no space."""


def plain_numbers(text: str) -> str:
    """Returns a text without markup, in which numbers have plain digits, spaces and signs."""
    text = re.sub(r"(?<=\s)—(?=[$€£]?\d)", "-", plain(text))
    return re.sub(r"[^\S\n]", " ", text).replace("$$", "$")


def common_numbers(text: str) -> str:
    """Returns a text as `plain_numbers` does, with further notations of numbers rewritten as common ones.

    `US$18`, `Rs. 18` and `CHF18` become `18`, `+3` becomes `3`, `10٬000` becomes `10,000`, `3⋅4` becomes
    `3*4`, `3 dozen` becomes `36`, `2^{3}` becomes `2^3`, and `4! = 24` becomes `24 = 24`. `0x12` becomes
    `x12`, which is not read. The marks of GSM8K's calculator (`<<5+3=8>>8`) become their results.
    """
    bare = text.replace("\u00b4", "'")  # an acute accent, which Unicode decomposes
    bare = plain_numbers(_with_plain_powers(_SPACED_DASH.sub(". ", bare)))
    if "<" in bare or ">" in bare:
        bare = _QUOTED.sub("", _ANGLED.sub(r"\g<number>", _CALCULATION.sub(_calculated, bare)))
    if not bare.isascii():
        bare = _IDEOGRAPH_BEFORE.sub(" ", bare)
        bare = _ARABIC_GROUPS.sub(",", _ARABIC_POINT.sub(".", bare))
        bare = _OVER.sub(r"\1/\2", _TIMES.sub(r"\1*\2", _MARKS_OF_THOUSANDS.sub("'", bare)))
        bare = _SYMBOL.sub("", bare)
    bare = with_scales(_ABSOLUTE.sub(r"\g<value>", _OTHER_BASE.sub("", bare)))
    bare = _SPACED_WITH_COMMA.sub(_with_point, bare)
    bare = _ROUGHLY.sub(r"\1 ", _BEFORE.sub("", _DOLLARS.sub("", bare)))
    bare = _SPACED_PLUS.sub(lambda match: match["before"], _PLUS.sub("", bare))
    bare = _FACTORIAL_WITH_RESULT.sub(_result_of_factorial, bare)
    return _FACTORIAL_OF_NAME.sub("", _FACTORIAL.sub(_product, bare))


def _with_plain_powers(text: str) -> str:
    """Returns a text with LaTeX's powers in plain text: `2^{3}` as `2^3`, `18^{th}` as `18th`."""
    if "^" not in text:
        return text
    text = _RAISED_ENDING.sub(r"\g<ending>", _DEGREES.sub("°", text))
    return _POWER.sub(lambda match: f"^{_power(match['power'])}", text)


def _power(written: str) -> str:
    return written if re.fullmatch(r"-?[\w.]+", written) else f"({written})"


def _calculated(mark: re.Match[str]) -> str:
    """Returns the result of a calculator's mark; nothing if it stands behind the mark again."""
    sides = mark["sides"]
    if not re.search(r"\d", sides):
        return mark[0]
    return "" if mark["again"] is not None else sides.rpartition("=")[2].strip()


def _result_of_factorial(match: re.Match[str]) -> str:
    of = int(match["of"])
    known = of <= _LARGEST_FACTORIAL and str(math.factorial(of)) == match["result"].replace(",", "")
    return match["result"] if known else match[0]


def _with_point(match: re.Match[str]) -> str:
    return re.sub(r"[ '’]", "", match["whole"]) + "." + match["rest"]


def _product(match: re.Match[str]) -> str:
    of = int(match["of"])
    return str(math.factorial(of)) if of <= _LARGEST_FACTORIAL else match[0]
