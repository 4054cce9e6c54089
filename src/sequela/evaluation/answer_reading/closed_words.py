"""Answers of a closed set, such as yes and no, and what a text puts in their place."""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.clauses import CORRECTIONS, is_withdrawn
from sequela.evaluation.answer_reading.retractions import is_alternative

_WORDS = r"(?:yes|no|true|false|valid|invalid|plausible|implausible)"
_AFFIRMING = {"yes", "true", "valid", "plausible"}
_CLOSED_WORD = re.compile(
    r"^[\s:*_\"'`“”‘’$({<\[-]*(?P<word>(?P<denied>not\s+(?:\w+ly\s+)?(?=valid\b))?(?:yes|no|true|false|valid"
    r"|invalid|plausible|implausible))"
    r"(?P<rest>(?:[\s*_\"'`“”‘’»)\]}$]*(?:$|[.,;:!…—\n](?!\w)|-(?:\s|-)|\s-+\s|\((?!\w*\s*or\b))"
    r"|[*_\"'`“”‘’)\]}]*\s+(?:because|since|as|for|given|that['’]s|which|indeed|of\s+course|in\s+(?:this|that"
    r"|all|both|fact)|under"
    r"|based|according|due|therefore|thus|hence|so|but|and\s+not|i|we|you|he|she|it|they|this|that|these"
    r"|those|there|the|all|not"
    r"|(?:it|he|she|that|they|there)['’]\w+)\b(?!['’-]\w)"
    r"|[*_\"'`“”‘’]*\s+(?:argument|deduction|inference|yes|no)\b(?!\s+(?:one|man)\b)).*)",
    re.IGNORECASE | re.DOTALL,
)
"""A word of a closed set that ends or is followed by a clause, as in `No she did not` but not in `no one`."""
_ANOTHER_CLOSED_WORD = re.compile(
    r"(?i)\W*(?:(?:and|or|and/or|nor|wait|actually|maybe|perhaps|probably|sorry|i\s+mean)\b\W*)*"
    r"(?P<other>yes|no|true|false|valid|invalid|plausible|implausible)\b(?!\s+(?:one|doubt|question|matter"
    r"|longer|(?:\w+\s+)?(?:is|was|are|were|would|could|can|cannot|will|does|has)\b)|['’-]\w)"
)
"""A second closed word directly behind the first: `yes or no`, `Yes, no`."""
_RETRACTED = re.compile(r"(?i)\W*(?:which|but\s+that)\s+(?:is\s+(?:not|wrong|incorrect|false)\b|isn['’]t\b)")

_ARGUMENT_IS = re.compile(
    r"(?i)^\W*(?:that\s+)?(?:(?:the|this)\s+(?:\w+\s+){1,2}(?:is|are)\s+)?(?:(?:deductively|logically|clearly"
    r"|definitely)\s+)?"
)
"""Words before a closed word: `that the argument is deductively valid`."""

_SENTENCE_ENDS = r"(?=[\s*_\"'`“”‘’»)\]}$]*(?:$|[.,;!…\n](?!\w)))"
_IN_ITS_PLACE = re.compile(
    rf"(?i)[\s.,;:!?…*_\"'”’)–—-]*(?:(?:{CORRECTIONS}|hold\s+on|however|but|oh|and|well|rather|instead"
    rf"|in\s+fact)\b[\s,.:;!…–—-]*)+"
    r"(?P<said>(?:it|that|this|the\s+(?:\w+\s+)?answer)\s*(?:is|was|['’]s|should\s+be|must\s+be)\s*:?\s*)?"
    r"(?:(?:really|actually|in\s+fact|indeed)[\s,]+)*"
    rf"[*_\"'`“”‘’$({{\[]*(?P<other>{_WORDS})\b{_SENTENCE_ENDS}"
)
"""A word in the place of another one: `. Wait, it is yes`, `. Actually, no.`"""
_DOUBTED = re.compile(
    r"(?i)[\s.,;:!?…*_–—-]*(?:(?:but|oh|no)[\s,]+)?(?:wait|hold\s+on|hmm+|actually"
    r"|w?h?oops)\b[\s,.!:…–—-]*(?:no[\s,.]+)?"
    r"(?:(?:that|this|it)\s*(?:is|was|['’]s)\s+(?:\w+ly\s+)?(?:wrong|incorrect|not\s+(?:right|correct|true)"
    r"|a\s+mistake)"
    r"|(?:that|this|it)\s*(?:isn|wasn)['’]t\s+(?:right|correct)|let\s+me\s+(?:re|think|check|correct)"
    r"|i\s+(?:was\s+wrong|made\s+a|misread))"
)
"""Words that take an answer back without another one in its place."""
_LEAD = re.compile(
    r"(?i)^\W*(?:(?:so|therefore|thus|hence|then|overall|in\s+conclusion)\b[\s,:]*)?"
    r"(?:(?:it|this|that|the\s+(?:argument|deduction|inference|conclusion|statement|sentence|expression"
    r"|result))"
    r"\s*(?:is|['’]s)\s+(?:(?:deductively|logically|clearly|definitely)\s+)?)?"
)
"""Words that lead to an answer without calling it one: `Therefore,`, `It is`."""
_DENIED_FOR = re.compile(
    rf"(?i)\banswer\s*(?:is\s+not|isn['’]t|was\s+not|wasn['’]t|can(?:not"
    rf"|['’]t)\s+be)\s+[\"'“]?(?P<word>{_WORDS})\b[\"'”]?"
    r"[\s,;.–—-]*(?:(?:but|rather|instead)\b[\s,]*)?(?:(?:it|the\s+answer)\s*(?:is|['’]s)\s+)?(?:rather\s+)?"
    rf"[*_\"'“]*(?P<other>{_WORDS})\b{_SENTENCE_ENDS}"
)
"""A denied word and the one in its place: `the answer isn't no, it's yes`."""


def closed_word(text: str) -> str | None:
    """Returns the closed word that a text begins with; none if it is denied, doubted or one of several.

    `not valid` is `invalid`, the other answer of the only task with that pair. No other denial is an answer.
    A word that takes the place of the first counts instead (`No. Wait, it is yes.`).
    """
    word = _CLOSED_WORD.match(text)
    if word is None:
        return None
    rest = word["rest"]
    instead = _IN_ITS_PLACE.match(rest)
    if instead and (instead["said"] or instead["other"].casefold() != word["word"].casefold()):
        return closed_word(text[word.start("rest") + instead.start("other") :])
    another = _ANOTHER_CLOSED_WORD.match(rest)
    if another and (another["other"].casefold() in _AFFIRMING) != (word["word"].casefold() in _AFFIRMING):
        return None
    if re.match(r"\W*\?|\.?\s*#?\d", rest):
        return None
    if _RETRACTED.match(rest) or _DOUBTED.match(rest) or is_alternative("", rest) or is_withdrawn(rest):
        return None
    return "invalid" if word["denied"] else word["word"]


def stated_closed_word(text: str) -> str | None:
    """Returns the closed word in a statement of an answer, as in `that the argument is valid`."""
    return closed_word(_ARGUMENT_IS.sub("", text))


def denies_validity(text: str) -> bool:
    """Returns whether a statement calls an argument not valid."""
    return bool(re.match(r"(?i)\W*not\s+(?:\w+ly\s+)?valid\b", _ARGUMENT_IS.sub("", text)))


def begins_with_closed_word(text: str) -> bool:
    """Returns whether a statement begins with a closed word, whatever follows."""
    return bool(_CLOSED_WORD.match(_ARGUMENT_IS.sub("", text)))


def first_closed_word(text: str) -> str | None:
    """Returns the closed word that a text begins with, or that its only sentence says (`Therefore, no.`)."""
    if (asked := _ASKED.match(text)) and (answer := closed_word(text[asked.end() :])):
        return answer
    lead = _LEAD.match(text)
    if lead and lead[0].strip() and re.fullmatch(rf"(?i)(?:not\s+)?{_WORDS}\W*", text[lead.end() :]):
        return closed_word(text[lead.end() :])
    return closed_word(text)


def word_in_place_of_a_denied_one(text: str) -> str | None:
    """Returns the closed word that a text states in the place of one that it denies."""
    found = [*_DENIED_FOR.finditer(text)]
    return (
        found[-1]["other"]
        if found and found[-1]["word"].casefold() != found[-1]["other"].casefold()
        else None
    )


_ASKED = re.compile(r"\s*(?:is|are|does|do|did|can|was|were)\b[^.!?\n]{1,300}\?\s*", re.IGNORECASE)
"""A question that a text begins with, and answers."""
