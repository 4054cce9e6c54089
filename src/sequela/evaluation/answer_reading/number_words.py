"""Numbers that are written in English words: `twenty-five`, `one hundred and six`, `a dozen`."""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.scales import with_scales

_DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"thousand": 10**3, "million": 10**6}
_VALUES = {
    "zero": 0,
    "a": 1,
    **{word: value for value, word in enumerate((*_DIGITS, *_TEENS), start=1)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
}

_GAP = r"[^\S\n]*-?[^\S\n]*"
_DIGIT = rf"(?:{'|'.join(_DIGITS)})"
_BELOW_HUNDRED = rf"(?:(?:{'|'.join(_TENS)})(?:{_GAP}{_DIGIT}\b)?|(?:{'|'.join(reversed(_TEENS))})|{_DIGIT})"
_AND = r"(?:,?[^\S\n]+(?:and[^\S\n]+)?)"
_BELOW_THOUSAND = rf"(?:(?:a|{_BELOW_HUNDRED}){_GAP}hundred(?:{_AND}{_BELOW_HUNDRED}\b)?|{_BELOW_HUNDRED})"
_THOUSANDS = rf"(?:a|{_BELOW_THOUSAND}){_GAP}thousand"
_MILLIONS = rf"(?:a|{_BELOW_THOUSAND}){_GAP}million"
_WORDS = (
    rf"(?:{_MILLIONS}(?:{_AND}{_THOUSANDS}\b)?(?:{_AND}{_BELOW_THOUSAND}\b)?"
    rf"|{_THOUSANDS}(?:{_AND}{_BELOW_THOUSAND}\b)?|{_BELOW_THOUSAND}|zero|a(?=[^\S\n]dozen\b))"
)
_NUMBER = re.compile(rf"(?<![\w'’-]){_WORDS}\b(?!-)(?![’'](?!s?[^\w]|$))", re.IGNORECASE)
_ENDS = r"(?=[\s\"'”’*_)]*(?:[.,;:!?\n]|\Z)|[^\S\n]+[^\W\d_]+[\"'”’*_)]*[^\S\n]*(?:[.!;\n]|\Z))"
_PRONOUN = re.compile(
    rf"(?:one|a)\b(?!{_GAP}(?:hundred|thousand|million|dozen|minus|plus|more|less)\b)", re.IGNORECASE
)
_PRONOUN_ENDS = re.compile(rf"one\b{_ENDS}", re.IGNORECASE)
_LEAD = re.compile(
    r"[\s\"'“‘*_(:]*(?:(?:not|exactly|precisely|about|around|approximately|roughly|only|just|simply|probably"
    r"|at\s+(?:least|most)|(?:more|less|fewer)\s+than|over|under|up\s+to|minus|negative|either|between)\s+)*",
    re.IGNORECASE,
)
_UNREAD = re.compile(
    rf"(?!one\b(?!-)|a\b){_WORDS}\b|half\b|(?:an?|one)[\s-](?:half|third|quarter|fourth|fifth|sixth|eighth|tenth)\b"
    r"|(?:hundreds|thousands|millions|dozens)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]{0,300}")
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)


def with_digits(text: str) -> str | None:
    """Returns a text that begins with a number in words, with the numbers of its first sentence in digits.

    None if it begins with something else, or if the sentence has digits of its own (`seven (7)`). `one` is a
    number where the clause ends behind it or its unit, but not in `one of them`.

    Args:
        text: What a statement says, perhaps with words such as `exactly` or `not` before the number.
    """
    start = _LEAD.match(text)
    place = start.end() if start else 0
    if _NUMBER.match(text, place) is None:
        return None
    if _PRONOUN.match(text, place) and not _PRONOUN_ENDS.match(text, place):
        return None
    sentence = _SENTENCE.match(text, place)
    end = sentence.end() if sentence else place
    if re.search(r"\d", text[place:end]):
        return None
    digits = _NUMBER.sub(lambda words: str(value_of(words[0])), text[place:end])
    return text[:place] + with_scales(digits) + text[end:]


def begins_in_words(text: str) -> bool:
    """Returns whether a text begins with a number in words that `with_digits` doesn't read: `two-thirds`."""
    start = _LEAD.match(text)
    return _UNREAD.match(text, start.end() if start else 0) is not None


def value_of(words: str) -> int:
    """Returns the value of a number in words.

    Args:
        words: The words of one number, from zero to millions, such as `two hundred and five`.
    """
    total, current = 0, 0
    for word in _WORD.findall(words.casefold()):
        if word == "hundred":
            current *= 100
        elif word in _SCALES:
            total += current * _SCALES[word]
            current = 0
        elif word != "and":
            current += _VALUES[word]
    return total + current
