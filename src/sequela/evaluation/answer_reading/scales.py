"""Scale words behind the digits of a number: `5 hundred`, `3 dozen`, `2 lakh`, `5 M`, `2 thousand 500`."""

from __future__ import annotations

import re
from fractions import Fraction

from sequela.evaluation.answer_reading.digits import DECIMAL, MOST_CHARACTERS, decimal

_WORDS: dict[str, int] = {
    r"dozens?|Dutzend|douzaines?|docenas?": 12,
    r"hundreds?|hundert": 100,
    r"thousands?|tausend|mille|Tsd\.?|тыс\.|тысяч[аи]?": 10**3,
    r"lakhs?|lacs?": 10**5,
    r"millions?|millionen|millones|milhões|milioni|Mio\.?|mln\.?|mn|млн\.?|миллион(?:а|ов)?": 10**6,
    r"crores?": 10**7,
    r"billions?|bn|milliarden?|milliards?|miliardi|Mrd\.?|млрд\.?|миллиард(?:а|ов)?": 10**9,
    r"trillions?": 10**12,
}
_LETTERS = {"k": 10**3, "K": 10**3, "M": 10**6}
_LETTERS_OF_CURRENCY = {"m": 10**6, "b": 10**9, "B": 10**9}
"""Letters that mean units unless the number is a price: `$5m`, but `5 m`."""
_READ_BY_NUMBERS = re.compile(r"\s(?:thousand|million|billion|trillion)s?|k", re.IGNORECASE)

_WORD = "|".join(_WORDS)
_SCALE = rf"(?:[^\S\n]?-?(?i:{_WORD})(?![\w-])|[^\S\n]?[kKM](?![\w&'’/^*.]\w|[\w&'’/^*-]))"
_SCALED = re.compile(rf"(?P<digits>{DECIMAL})(?P<scales>(?:{_SCALE})+)")
_DIGITS = re.compile(rf"(?<![\w.,/:^'’]){DECIMAL}")
_PRICE = re.compile(rf"(?P<digits>{DECIMAL})(?P<letter>[^\S\n]?[mbB])(?![\w&'’/^*${{}}\\])")
_CURRENCY_BEFORE = re.compile(r"(?:[$€£¥₹]|(?:USD|EUR|GBP|CHF|Rs\.?))\s?-?\Z")
_NEXT = re.compile(r"(?:,?[^\S\n]+and)?,?[^\S\n]+(?=\d)")
_REST = re.compile(rf"(?P<digits>{DECIMAL})(?![\w%])")

NUMBER_WORD = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    r"|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand"
    r"|million|billion)"
)
_REST_IN_WORDS = re.compile(rf"(?:[^\S\n]+and)?[\s-]+{NUMBER_WORD}\b", re.IGNORECASE)
SCALE_LEFT = (
    rf"(?:(?:{_WORD}|score|cr|mil|tn|trn|bil|hal(?:f|ves)|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?"
    r"|eighths?|ninths?|tenths?|hundredths?|thousandths?|quadrillions?|gross)(?!\w)|[十百千万萬億亿兆십백천만억조])"
)
"""Scale words that are left behind a number, and fractions in words: what they make of it isn't read."""


def with_scales(text: str) -> str:
    """Returns a text in which numbers with scale words are written in digits.

    `5 hundred and 20` becomes `520` and `3 dozen` becomes `36`. A single `thousand`, `million`, `billion` or
    `trillion` stays, which `numbers` reads. A number whose parts don't fit stays too (`5 hundred 600`).
    """
    parts, place = [], 0
    for digits in _DIGITS.finditer(text):
        found = _scaled(text, digits.start()) if digits.start() >= place else None
        if found is not None:
            parts += [text[place : digits.start()], found[0]]
            place = found[1]
    return "".join((*parts, text[place:])) if parts else text


def _scaled(text: str, start: int) -> tuple[str, int] | None:
    """Returns the digits of the scaled number at a place, and where it ends."""
    if _CURRENCY_BEFORE.search(text, max(0, start - 6), start) and (price := _PRICE.match(text, start)):
        factor = _LETTERS_OF_CURRENCY[price["letter"].strip()]
        return _written(decimal(price["digits"]) * factor), price.end()
    value, end, below, count = Fraction(0), start, 0, 0
    while part := _SCALED.match(text, end if not count else _next(text, end)):
        if len(part["digits"]) > MOST_CHARACTERS:
            return None
        factors = [_factor(one) for one in re.findall(_SCALE, part["scales"])]
        scale = factors[0]
        for factor in factors[1:]:
            scale *= factor
        of_part = decimal(part["digits"]) * scale
        if count and of_part >= below:
            return None
        value, end, below, count = value + of_part, part.end(), factors[-1], count + 1
        last = part
    if not count:
        return None
    rest = _REST.match(text, _next(text, end))
    if rest is not None and rest.start() > end:
        if below <= 12 or decimal(rest["digits"]) >= below or rest["digits"][0] in "0.":
            return None
        value, end = value + decimal(rest["digits"]), rest.end()
    elif count == 1 and _READ_BY_NUMBERS.fullmatch(last["scales"]):
        return None
    return None if _REST_IN_WORDS.match(text, end) else (_written(value), end)


def _next(text: str, end: int) -> int:
    """Returns where the next part of a number begins: behind a space and perhaps `and`."""
    following = _NEXT.match(text, end)
    return following.end() if following else end


def _factor(scale: str) -> int:
    bare = scale.strip(" -\t")
    if bare in _LETTERS:
        return _LETTERS[bare]
    return next(value for words, value in _WORDS.items() if re.fullmatch(words, bare, re.IGNORECASE))


def _written(value: Fraction) -> str:
    """Returns a number in digits; decimal fractions stay such, since all scales are whole."""
    if value.denominator == 1:
        return str(value.numerator)
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = str((value * 10**digits).numerator).rjust(digits + 1, "0")
    return f"{whole[:-digits]}.{whole[-digits:]}"
