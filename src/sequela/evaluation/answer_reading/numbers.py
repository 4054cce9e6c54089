"""Reading of the numbers in a text: signs, separators, fractions, powers, scale words and equations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from sequela.evaluation.answer_reading.digits import DECIMAL, MOST_CHARACTERS, decimal
from sequela.evaluation.answer_reading.notations import CURRENCY_BEHIND, common_numbers

_CURRENCY = r"(?:(?:US|CA|AU|NZ|HK|R|A|C)?\$|[€£¥₹₽₩]|\b(?:USD|EUR|GBP|Rs\.?)\s?)"
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NUMBER = re.compile(
    rf"(?P<sign>(?:(?<![\w)%])(?:-(?=[\d.$€£¥₹])|(?<![\w)%]\s)-\s(?=[\d.$€£¥₹]))|\b(?:minus|negative)\s+)?)"
    rf"(?:(?P<currency>{_CURRENCY})\s?(?P<inner>-?))?(?P<whole>{DECIMAL})"
    r"(?:(?P<exponent>[eE][+-]?\d+(?!\w))"
    r"|(?P<mixed>\s\d+/\d+(?![\d/]))|\)?\s?/\s?\(?(?P<over>\d+(?:\.\d+)?)(?![\d/]|\s?/\s?\d|\.\d))?"
    rf"(?:\s(?P<scale>{'|'.join(_SCALES)})s?\b|(?P<kilo>k)\b)?",
    re.IGNORECASE,
)
"""One number; spaces of all kinds are plain ones, dashes and minus signs are `-`."""
_NO_NUMBER_BEFORE = re.compile(r"[\w^_√]$|\d[:/.,]$|√\(?$")
_NO_NUMBER_AFTER = re.compile(r":\d|\.\d|/\s?\d|,\d")
_OPERATION = re.compile(r"\s*(?P<sign>\*\*|[-+*/×÷^]|x(?=\s?[$\d(]))\s*")
_MORE = re.compile(r"\s*(?:-|to|or|and|and/or|,\s*(?:or|and))\s*(?=[$€£]?-?\d)|,(?=\d)|\s?±")


@dataclass(frozen=True)
class Quantity:
    """A number in a text.

    Args:
        value: Its value.
        text: How it is written.
        start: Where it begins in the text.
        end: Where it ends.
    """

    value: Fraction
    text: str
    start: int
    end: int


def numbers_in(text: str) -> Iterator[Quantity]:
    """Yields the numbers of a plain text: those that are not part of a word, a time, a date or a version."""
    for match in _NUMBER.finditer(text):
        quantity = _quantity(match)
        if quantity is not None:
            yield quantity


def as_number(text: str) -> Fraction | None:
    """Parses a text that is one number or one expression of numbers; None if it is anything else."""
    bare = CURRENCY_BEHIND.sub("", common_numbers(text)).strip(" \n(")
    quantity = value_at(bare, 0)
    if quantity is None or bare[quantity.end :].strip(" \n.$€£%)"):
        return None
    return quantity.value


def value_at(text: str, start: int) -> Quantity | None:
    """Returns the value of the number, expression or equation that begins at a place of a plain text.

    The value of an equation is that of its last side (`2 + 3 = 5`), or of its first if only that is a number
    (`5 = 2 + 3`). A range, a list and alternatives have none.
    """
    sides = []
    place = start
    while True:
        side = _expression(text, place)
        if side is None:
            break
        sides.append(side)
        equals = re.compile(r"[\s)]*[=≈]\s*").match(text, side.end)
        if equals is None:
            break
        place = equals.end()
    if not sides:
        return None
    chosen = next((side for side in reversed(sides) if side.text.strip() and is_number(side)), sides[-1])
    end = sides[-1].end
    if _MORE.match(text, end):
        return None
    return Quantity(chosen.value, chosen.text, chosen.start, end)


def is_number(side: Quantity) -> bool:
    """Returns whether a side of an equation is a number and no expression."""
    return not re.search(r"\d\s*(?:[-+*×÷^x]|\*\*)\s*[$\d(]", side.text)


def _expression(text: str, start: int) -> Quantity | None:
    """Returns the value of numbers joined by operators, by the usual precedence."""
    terms: list[Fraction] = []
    signs: list[str] = []
    place, first = start, start
    while True:
        opening = re.compile(r"[\s(]*").match(text, place)
        place = opening.end() if opening and terms else place
        match = _NUMBER.match(text, place)
        quantity = _quantity(match, inside=bool(terms)) if match else None
        if quantity is None:
            break
        if opening and terms and "(" in opening[0] and not text[quantity.end :].lstrip().startswith(")"):
            return None  # an expression in brackets has a precedence of its own
        if not terms:
            first = quantity.start
        terms.append(quantity.value)
        end = quantity.end
        closing = re.compile(r"\s*\)").match(text, end) if terms[1:] else None
        operation = _OPERATION.match(text, closing.end() if closing else end)
        if operation is None or (operation["sign"] == "-" and operation[0] == "-"):
            break  # "10-18" is a range
        signs.append(operation["sign"])
        place = operation.end()
    if not terms:
        return None
    value = _computed(terms, signs[: len(terms) - 1])
    return None if value is None else Quantity(value, text[first:end].strip(), first, end)


def _computed(terms: list[Fraction], signs: list[str]) -> Fraction | None:
    values, operators = list(terms), list(signs)
    for level in (("^", "**"), ("*", "/", "×", "÷", "x"), ("+", "-")):
        i = 0
        while i < len(operators):
            if operators[i] not in level:
                i += 1
                continue
            result = _operate(values[i], operators[i], values[i + 1])
            if result is None:
                return None
            values[i : i + 2] = [result]
            del operators[i]
    return values[0]


def _operate(left: Fraction, operator: str, right: Fraction) -> Fraction | None:
    if operator in ("^", "**"):
        small = right.denominator == 1 and abs(right) <= 64 and abs(left) < 10**6
        return left ** int(right) if small and (left or right > 0) else None
    if operator in ("/", "÷"):
        return left / right if right else None
    return {"*": left * right, "×": left * right, "x": left * right, "+": left + right, "-": left - right}[
        operator
    ]


def _quantity(match: re.Match[str], inside: bool = False) -> Quantity | None:
    text = match.string
    start = match.start("whole")
    lead = match.start("sign") if match["sign"] else match.start("currency") if match["currency"] else start
    if not inside and _NO_NUMBER_BEFORE.search(text[max(0, lead - 2) : lead]):
        return None
    if _NO_NUMBER_AFTER.match(text, match.end()) or len(match[0]) > MOST_CHARACTERS:
        return None
    value = decimal(match["whole"])
    if match["exponent"]:
        power = int(match["exponent"][1:])
        if abs(power) > 64:
            return None
        value *= Fraction(10) ** power
    if match["mixed"]:
        above, below = match["mixed"].split("/")
        if not int(below):
            return None
        value += Fraction(int(above), int(below))
    if match["over"]:
        below = Fraction(match["over"])
        if not below:
            return None
        value /= below
    if match["scale"]:
        value *= _SCALES[match["scale"].casefold()]
    if match["kilo"]:
        value *= 1000
    if match["sign"] or match["inner"]:
        value = -value
    return Quantity(value, match[0].strip(), match.start(), match.end())
