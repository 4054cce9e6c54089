"""Statements behind an answer that give another one: `Rome. The correct answer is Paris`.

Words are another answer if they are a name, as their capitals show, or a number; behind an answer in small
letters, other words are one if they are called the answer. A statement that repeats the answer takes nothing
back, and neither does one that says more about it (`Rome. In fact, it is old`).
"""

from __future__ import annotations

import re

_BE = r"(?:\s*(?:is|was|are|were|['’]s|['’]re|(?:should|would|must)\s+be|has\s+to\s+be)\b|\s*[:=])"
_RIGHT = r"(?:correct|right|actual|real|true|proper|accurate)"
_FALSE = (
    r"(?:wrong|incorrect|false|untrue|inaccurate|mistaken|erroneous|(?:an?\s+)?(?:mistake|error|lie|myth)"
    r"|not\s+(?:right|correct|true|accurate|the\s+case))"
)
_INDEED = (
    r"(?:actually|really|truly|in\s+(?:actual\s+)?fact|in\s+truth|in\s+reality|in\s+actuality|instead|rather"
    r"|the\s+truth\s+is|to\s+be\s+(?:precise|exact|accurate|correct))"
)
_PRONOUN = r"(?:it|this|that|he|she|they)"
_NOUN = (
    r"(?!(?:name|title|spelling|pronunciation|form|term|word|reason|cause|problem|question|number|date|year|size"
    r"|population|bank|side|part|half|time|way|order|owner|story)\b)\w+"
)
"""A noun for the answer, rather than for something else about it."""
_THE_ANSWER = (
    r"(?:(?:the|my)\s+)?(?:(?:final|best|only)\s+)?(?:(?P<right>"
    + _RIGHT
    + rf")(?:\s+{_NOUN})?|answer|response|solution)"
    r"(?:\s+to\s+(?:the|this|that|your)\s+(?:question|prompt|problem))?"
)
_BREAK = r"[\s\"'“”’»)\]*_`]*[,.;:!?…(\[\n–—-][\s\"'“”’(\[*_`,.;:!?…–—-]*"
_SO = (
    r"(?:(?:(?:please\s+)?note(?:\s+that)?|but|and|so|well|oh|however|though|although|yet|hence|therefore)"
    r"[\s,:]+)*"
)
_BUT = r"(?:[^.!?\n]{0,60}?[\s,;–—-])(?:but|however,?|though|although)[\s,]+"
_IN = r"(?:\s*(?:in|at)\s)?"

_JUDGMENT = re.compile(
    rf"{_BREAK}{_SO}(?:{_PRONOUN}|(?:the|my|this|that)\s+(?:(?:above|previous|last|first)\s+)?"
    r"(?:statement|answer|claim|sentence|assertion|response|information|premise|fact))"
    rf"(?:{_BE}\s+(?:\w+ly\s+|also\s+|just\s+|of\s+course\s+)*{_FALSE}\b(?!\s+(?:to|for|of|about)\s)"
    r"|\s+(?:isn|wasn|aren)['’]?t\s+(?:right|correct|true|accurate|the\s+case)\b"
    r"|\s+contains?\s+(?:an?\s+|some\s+)?(?:\w+\s+)?(?:errors?|mistakes?)\b)",
    re.IGNORECASE,
)
_STATED = re.compile(
    rf"(?:{_BREAK}{_SO}|{_BUT})(?:{_INDEED}[\s,]+)?{_THE_ANSWER}{_BE}(?:\s+{_INDEED}\b)?{_IN}", re.IGNORECASE
)
_IN_ITS_PLACE = re.compile(
    rf"{_BREAK}{_SO}(?:(?:{_PRONOUN}\s+)?(?:should|must|ought\s+to)\s+(?:be|have\s+been|say|read)"
    rf"|{_PRONOUN}{_BE}\s+{_INDEED}\b){_IN}",
    re.IGNORECASE,
)
_IN_FACT = re.compile(rf"{_BREAK}{_SO}{_INDEED}[\s,:]+{_PRONOUN}{_BE}(?:\s+{_INDEED}\b)?{_IN}", re.IGNORECASE)
_IN_FACT_ALONE = re.compile(rf"(?:{_BREAK}{_SO}|{_BUT}){_INDEED}[\s,:]+{_IN}", re.IGNORECASE)
_CONTRAST = re.compile(
    rf"(?:{_BUT}|{_BREAK}(?:but|however)[\s,]+)(?:{_INDEED}[\s,]+)?{_PRONOUN}{_BE}(?:\s+{_INDEED}\b)?{_IN}",
    re.IGNORECASE,
)
_RIGHT_INSTEAD = re.compile(
    rf"(?:{_BREAK}(?:{_SO}{_INDEED}[\s,:]+)|{_BUT})(?P<other>[^.!?,:\n]{{1,40}}?){_BE}"
    rf"\s+(?:{_RIGHT}|the\s+(?:{_RIGHT}\s+)?(?:answer|one))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!])\s+(?=\S)")
_NO = re.compile(r"(?:\A|[.!?\n])\s*(?:no|nope)\s*,\s+(?:the\s+)?\Z", re.IGNORECASE)
_ITS = re.compile(rf"{_PRONOUN}{_BE}(?:\s+{_INDEED}\b)?{_IN}", re.IGNORECASE)
_NAME = re.compile(
    r"[\s\"'“‘«(\[*_`]*(?:(?:the|an?)\s+)?[\"'“‘«(\[*_`]*(?P<name>\w[^.!?,;:\n()]*)", re.IGNORECASE
)
_ABOUT = re.compile(r"\S+(?:['’]s\b|\s+(?:who|that|which)\b)")
"""Words about a name that belong to the answer: `Italy's capital`, `Romulus who founded it`."""
_NO_ANSWER = re.compile(
    r"(?:it|this|that|given|based|found|clear|obvious|simple|easy|unknown|not|in|on|to|below|above|as|also|yes|no|so)\b",
    re.IGNORECASE,
)
_FEW = 3
"""The number of words up to which words are a name on their own."""


def states_another(before: str, said: str, after: str) -> bool:
    """Returns whether the text behind an answer judges it wrong, or states another one as the answer.

    Args:
        before: The text before the answer.
        said: The answer in the spelling of the text.
        after: The text behind it, with its capitals.
    """
    if _JUDGMENT.match(after):
        return True
    if any(_states(rule.match(after), said, after) for rule in (_STATED, _CONTRAST, _IN_FACT, _IN_ITS_PLACE)):
        return True
    alone = _IN_FACT_ALONE.match(after)
    if alone and _is_another(after[alone.end() :], said, alone=True):
        return True
    right = _RIGHT_INSTEAD.match(after)
    if right and _is_another(right["other"], said):
        return True
    paragraph = re.split(r"[?？\n]", after, maxsplit=1)[0]
    denied = _NO.search(before)
    return any(
        _states(_STATED.match(". " + sentence), said, ". " + sentence)
        or (denied and (its := _ITS.match(sentence)) and _is_another(sentence[its.end() :], said, alone=True))
        for sentence in _SENTENCE.split(paragraph)[1:]
    )


def _states(found: re.Match[str] | None, said: str, text: str) -> bool:
    if found is None:
        return False
    rest = text[found.end() :]
    called = "right" in found.re.groupindex
    if denied := re.match(r"\s*not\s+", rest):
        return called and _repeats(rest[denied.end() :], said)
    return _is_another(rest, said) or (called and _is_other_words(rest, said))


def _is_another(text: str, said: str, *, alone: bool = False) -> bool:
    """Returns whether a text begins with a name or a number that is not the answer.

    Args:
        text: The text.
        said: The answer.
        alone: Whether no other words may follow the name in its clause.
    """
    found = _NAME.match(text)
    if found is None or _ABOUT.match(found["name"]) or _repeats(found["name"], said):
        return False
    first = found["name"][0]
    if first.islower():
        return False
    names = found["name"].split()
    return not alone or (len(names) <= _FEW and not any(one.islower() and len(one) > _FEW for one in names))


def _is_other_words(text: str, said: str) -> bool:
    """Returns whether a text begins with a few words that are not an answer in small letters."""
    found = _NAME.match(text)
    if found is None or said[:1].isupper() or _NO_ANSWER.match(found["name"]):
        return False
    return len(found["name"].split()) <= _FEW and not _repeats(found["name"], said)


def _repeats(name: str, said: str) -> bool:
    first, second = (re.sub(r"[\W_]+", " ", one).strip().casefold() for one in (name, said))
    return re.match(rf"{re.escape(re.sub(r'^(?:the|an?) ', '', second))}\b", first) is not None
