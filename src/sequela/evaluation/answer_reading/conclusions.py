"""The one of a text's statements of a letter that stands for its final answer.

A stated answer is replaced only by another statement of the final answer to the same question: not by a
mention of another option (`Mitosis (option A) keeps the number`), a condition (`for solutes, it would be D`),
another's view, or a rank below the best. Two statements that both may stand leave no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, islice

from sequela.evaluation.answer_reading.clauses import CORRECTIONS, last_sentence

_REACH = 240
"""The number of characters around a statement that are looked at."""
_MOST = 40
"""The number of statements, from the last, that are compared."""


class Weight(IntEnum):
    """The plainness with which words state an answer."""

    MENTION = 0
    """The letter is named: `option A`."""
    POINTED = 1
    """Something is said to be the letter, or the letter to be good: `it is A`, `A is plausible`."""
    STATED = 2
    """The letter is called the answer or chosen: `the answer is A`, `I choose A`, `A is correct`."""


@dataclass(frozen=True)
class Statement:
    """A statement of a letter.

    Args:
        start: Where the statement begins.
        place: Where its letter stands.
        end: Where the statement ends, with the words behind the letter that belong to it.
        said: The letter that is named, as a capital.
        letter: The letter, if what is around it leaves it an answer; None if not.
        weight: How plainly the words state an answer.
        replaces: Whether the words put the letter in the place of another one: `no, A`.
        denied: Whether the text denies the letter, supposes it or reports it as another's view.
    """

    start: int
    place: int
    end: int
    said: str
    letter: str | None
    weight: Weight
    replaces: bool = False
    denied: bool = False


CORRECTION = re.compile(rf"\b(?:{CORRECTIONS}|rather|instead|mistake|but|however)\b", re.IGNORECASE)
"""Words with which a text takes back what it said."""
_THOUGHT_AGAIN = re.compile(
    r"\b(?:let\s+me|let['’]s|hold\s+on|(?:double|re)[\s-]?(?:check|consider|think|read|evaluat|examin"
    r"|calculat"
    r"|assess)\w*|on\s+second\s+thoughts?|in\s+fact|in\s+reality|again)\b",
    re.IGNORECASE,
)
_SECOND_THOUGHTS = re.compile(
    r"\b(?:wait|hold\s+on|scratch\s+that|w?h?oops|correction|my\s+(?:bad|mistake)|on\s+(?:second\s+thoughts?"
    r"|reflection)|i\s+(?:was|am)\s+(?:wrong|mistaken)|i\s+(?:made\s+a\s+mistake|misread|misspoke))\b",
    re.IGNORECASE,
)
"""Words that leave a stated answer open, whatever follows."""
_CONCLUDES = re.compile(
    r"\b(?:so|therefore|thus|hence|finally|final|consequently|accordingly|ultimately|overall"
    r"|in\s+(?:conclusion"
    r"|summary|short|the\s+end)|to\s+(?:conclude|sum\s+up)|(?:we|i)\s+conclude|this\s+means)\b",
    re.IGNORECASE,
)
_LED_BY_A_CORRECTION = re.compile(
    rf"(?:\A|[.,;:!?…\n(—-])\s*(?:(?:oh|and|well|but|um+|uh+)\b[\s,]*)*"
    rf"(?:(?:{CORRECTIONS}|rather|instead)\b[\s,.:;!…—-]*){{1,4}}"
    r"(?:(?:it|that|this)\s*(?:is|was|['’]s|should\s+be|must\s+be)\s+|the\s+|i\s+(?:choose|pick"
    r"|mean)\s+)*[(\[\"'“]?\Z",
    re.IGNORECASE,
)
_HALF_SAID = (
    r"(?:seem|appear|look|think|say|argue|assume|believe|suppose|guess|choose|pick|expect|mistake"
    r"|be\s+tempted)"
)
_SUPPOSED = re.compile(
    r"\b(?:if|unless|suppos(?:e|ing)|assuming|imagine|otherwise|whenever|were\s+(?:it|this|that|the|we)\b"
    r"|had\s+(?:it|this|that|the|we|they|you|there)\b|in\s+(?:that\s+case|the\s+example)|for\s+(?:example"
    r"|instance))"
    rf"|\b(?:might|may|could|would|can)\s+(?:\w+ly\s+|also\s+)?{_HALF_SAID}\b|\btempt\w+|\b(?:at\s+first|initially|originally|last\s+time|in\s+the\s+(?:previous|other|next)\s+\w+)\b",
    re.IGNORECASE,
)
"""Words of a clause whose statement holds only on a condition, or seems to hold."""
_OF_THE_TASK = (
    r"this|these|those|options?|choices?|alternatives?|answers?|questions?|problem|passage|text|above|given"
    r"|reasons?"
    r"|end|conclusion|summary|short|fact|view|mind|light|opinion|all|total"
)
_SCOPE = re.compile(
    r"(?:\A|[;:,])\W*(?:(?:but|and|while|whereas|now|yet)\s+)?(?:for|in|with|under|of|among|regarding|concerning"
    rf"|as\s+for|when|where|during|at|on)\s+(?!(?:\S+\s+){{0,8}}?(?:{_OF_THE_TASK})\b)"
    r"(?:[^,;]{1,80},|\S{1,30}(?:\s\S{1,30}){0,3}?)\s*(?:the\s+|my\s+)?(?:\w+\s+){0,2}\Z",
    re.IGNORECASE,
)
"""An introduction that limits the statement behind it: `For solutes, the answer is`."""
_RANK = re.compile(
    r"\b(?:my\s+first|second|third|fourth|fifth|next|previous|prior|preceding|earlier|former|other|another"
    r"|alternative|initial"
    r"|original|wrong|incorrect|false|old|common|popular|(?<!only\s)possible|tempting|opposite|worst|least"
    r"|different|usual|example"
    r"|typical|attractive|[a-z]+['’]s)(?:[\s-]+\w+){0,2}[\s-]*\Z",
    re.IGNORECASE,
)
"""Words before `best` or `answer` that make another one of it: `the second`, `the previous`."""
_BY_OTHERS = re.compile(
    r"\b(?:often|usually|commonly|sometimes|typically|frequently|mistakenly|wrongly|incorrectly|erroneously)\s+\Z",
    re.IGNORECASE,
)
"""Adverbs of a choice that others make: `visitors often choose`."""
_OWN = re.compile(r"\b(?:it|that|this|here|there|what|let|question)['’]s\b", re.IGNORECASE)
_OTHER_QUESTION = (
    r"(?:to|of|for|in|on)\s+(?:another|other|(?:a|some)\s+(?:different|similar|related)|the\s+(?:next"
    r"|previous|other|first"
    r"|second|last|earlier)|(?:question|problem|part|item)\s+\d|the\s+example)"
)
_IN_BETWEEN = re.compile(
    rf"\b(?:{_OTHER_QUESTION}|for\s+(?!(?:\S+\s+){{0,5}}?(?:{_OF_THE_TASK})\b)\w+\s+(?:\w+\s+)?(?:is|was"
    rf"|would))\b",
    re.IGNORECASE,
)
"""Words within a statement that make it one of something else: `the answer to the next question is`."""
_ELSEWHERE = re.compile(
    rf"[)\]\"'”*]*,?\s+(?:{_OTHER_QUESTION}"
    r"|(?:only\s+)?(?:if|unless|when(?:ever)?|provided|assuming|supposing)\b"
    rf"|for\s+(?!(?:\S+\s+){{0,5}}?(?:{_OF_THE_TASK}|because|that|sure|certain|which|several|two|many"
    rf"|the)\b)\w+)",
    re.IGNORECASE,
)
"""Words behind a statement that limit it: `to another question`, `if`, `for solutes`."""
_WOULD = re.compile(r"\b(?:would|might|could|may|can)\b|['’]d\b", re.IGNORECASE)


def is_led_by_a_correction(text: str, start: int) -> bool:
    """Returns whether only words of correction lead to a place from the end of a clause: `. Actually, `."""
    return bool(_LED_BY_A_CORRECTION.search(text[max(0, start - 80) : start]))


def standing(text: str, statements: Iterable[Statement]) -> Statement | None:
    """Returns the statement that stands for a text's final answer.

    Args:
        text: The text.
        statements: Its statements, from the last.

    Returns:
        The statement; one whose `letter` is None if the text leaves no answer. None if there are none.
    """
    found = [_plainest(list(same)) for _, same in islice(groupby(statements, lambda one: one.place), _MOST)]
    for index, one in enumerate(found):
        earlier = next((other for other in found[index + 1 :] if _is_firm(text, other)), None)
        if earlier is None or earlier.said == one.said or one.replaces:
            return one
        if one.weight is Weight.MENTION:
            if _SECOND_THOUGHTS.search(text, earlier.place, one.start):
                return _open(one)
        elif not (one.denied or is_limited(text, one)):
            return one if _outweighs(text, one, earlier) else _open(one)
    return None


def _plainest(same: Sequence[Statement]) -> Statement:
    """Returns the plainest of the statements of one letter; one that the text denies comes first."""
    return max(same, key=lambda one: (one.denied, one.letter is not None, one.weight))


def _open(one: Statement) -> Statement:
    return Statement(one.start, one.place, one.end, one.said, None, one.weight)


def _is_firm(text: str, one: Statement) -> bool:
    """Returns whether a statement is more than a mention, and holds without a condition."""
    return one.letter is not None and one.weight is not Weight.MENTION and not is_limited(text, one)


def is_limited(text: str, one: Statement) -> bool:
    """Returns whether a statement is of another question, of a condition, or of less than the best."""
    before = text[max(0, one.start - _REACH) : one.start]
    lead = last_sentence(before)
    if _RANK.search(_OWN.sub(" ", lead)) or _ELSEWHERE.match(text[one.end : one.end + _REACH]):
        return True
    if _IN_BETWEEN.search(text, one.start, one.place) or _BY_OTHERS.search(lead):
        return True
    supposed = [*_SUPPOSED.finditer(lead + text[one.start : one.place])]
    if supposed and not _CONCLUDES.search(lead, supposed[-1].end()):
        return True
    if _SCOPE.search(lead):
        return True
    pointed = one.weight is Weight.POINTED and bool(_WOULD.search(text, one.start, one.end))
    return pointed and not (_CONCLUDES.search(lead) or CORRECTION.search(lead))


def _outweighs(text: str, one: Statement, earlier: Statement) -> bool:
    """Returns whether a statement takes the place of an earlier one of another letter."""
    if one.letter is None:
        return False
    between = text[earlier.place : one.place]
    lead = (
        last_sentence(text[max(earlier.place, one.start - _REACH) : one.start]) + text[one.start : one.place]
    )
    if CORRECTION.search(between) or _THOUGHT_AGAIN.search(between) or _CONCLUDES.search(lead):
        return True
    return one.weight > earlier.weight or one.weight is earlier.weight is Weight.POINTED
