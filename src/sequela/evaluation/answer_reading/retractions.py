"""Denials and alternatives: what stands around an answer and takes it back.

A denied answer, and one of several alternatives, counts as no answer. Where a text can be read either way
(`Rome was not built in a day`), it is taken as denied, so that no text counts as right that may not be.
"""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.clauses import (
    ASSURED,
    NOT_OF_A_PLACE,
    NOT_OF_AN_ACT,
    is_in_a_question,
    is_left_open,
    is_taken_back,
)
from sequela.evaluation.answer_reading.languages import (
    EITHER,
    EITHER_UNSPACED,
    corrects,
    denies,
    names_an_alternative,
)

_NEAR = 160
"""The number of characters around an answer that are read."""

_ADVERBS = (
    r"(?:(?:definitely|certainly|clearly|surely|obviously|probably|likely|actually|really|necessarily|simply"
    r"|always|also|therefore|thus|then|just|in\s+fact|of\s+course|at\s+all)[\s,]+)*"
)
_COPULA = r"(?:is|was|are|were|be|been|being|seems?|appears?|looks?|sounds?)"
_MODAL = r"(?:can|could|will|would|should|must|may|might|does|do|did|has|have|had|shall|need)"
_HARMLESS = r"(?!\s+(?:only|just|merely|simply|to\s+be\s+confused|far|surprising(?:ly)?|unlike)\b)"
"""`not only` denies nothing."""
_WRONG = (
    r"(?:wrong|incorrect|false|untrue|inaccurate|mistaken|impossible|erroneous|unlikely|implausible|invalid"
    r"|(?:(?:ruled|crossed|struck)\s+)?out\b(?!\s+(?:of|there)\b)|eliminated|excluded|rejected|a\s+(?:distractor|mistake|trap)"
    r"|an?\s+(?:wrong|incorrect|false)\b)"
)
_NOT = rf"(?:not\b{_HARMLESS}|never\b|no\s+longer\b|neither\b|anything\s+but\b|hardly\b|scarcely\b)"
_NOT_VERB = (
    rf"(?:(?:is|was|are|were|ai|ca|could|wo|would|should|must|might|may|does|do|did|has|have|need)n\s?['’]?\s?t\b{_HARMLESS}"
    rf"|cannot\b|{_MODAL}\s+{_ADVERBS}(?:not\b{_HARMLESS}|never\b))"
)
_DENIED_BEHIND = re.compile(
    rf"[\s\"'“”‘’»«)\]*_`]*(?:"
    rf"(?:[^.!?,;:\n]{{0,40}}?\s)??{_NOT_VERB}"
    rf"|(?:,?\s*(?:which|that|(?:but|though|although)\s+(?:that|this|it))\s*)?"
    rf"(?:(?:{_MODAL}\s+)?{_COPULA}|['’]s)\s+{_ADVERBS}(?:{_NOT}|{_WRONG})"
    rf"|[,;.!]\s*(?:and\s+|but\s+)?(?:that|this|it|which)\s*(?:{_COPULA}|['’]s|{_MODAL}\s+be)\s+{_ADVERBS}"
    rf"(?:{_WRONG}{NOT_OF_AN_ACT}|not\s+(?:right|correct|true|it|the\s+(?:right\s+|correct\s+)?(?:answer|one)|so)\b)"
    rf"|(?:[:=→]|\s-|\s?–|\s?—|->|=>)+\s*(?:{_WRONG}|not\s+(?:the|a|it|right|correct|true|this|that)\b|no\b(?!\s+doubt))"
    rf"|\(\s*(?:{_WRONG}|not\s*\)|not\s+(?:the|right|correct|it|true)\b|no\s*\))"
    rf"|[\s,]+{_ADVERBS}not\s*[.!]?\s*$"
    rf"|[\s,.…!?-]*[,.…!?-]\s*(?!{ASSURED})(?:no|nope|nah|wait|wrong|incorrect|false)\b(?:\s*[,.!…;:—-]|\s*$|\s+(?:it|that|this|wait|sorry|actually)\b)"
    rf"|\s*\?\s*(?:no|not|nope|never|wrong|incorrect)\b"
    r")",
    re.IGNORECASE,
)
_FILLER = (
    r"(?:(?:be|being|been|the|a|an|in|at|for|with|option|options|choice|choices|answer|letter|number|it|is|was|that|this"
    r"|necessarily|really|actually|also|even|either|correct|right|true|called|named|by|from|to|possibly|say|choose|pick|have|get|need|cost|take|equal)"
    r"\s+)*"
)
_DENIED_BEFORE = re.compile(
    r"(?:(?:\b(?:not|nor|neither|never|hardly|scarcely|cannot|cant|isnt|wasnt|arent|dont|doesnt|wont)|\w+n\s?['’]\s?t"
    r"|\b(?:rather|(?<!none )other|different|else)\s+than|\binstead\s+of"
    r"|\b(?:anything|everything|all|nothing)\s+but"
    r"|\bbesides|(?:it|this|that|he|she|they)\s+used\s+to\s+be(?!\s+(?:called|named|known)\b)"
    r"|\bexcept(?:\s+for)?|\bexcluding|\bwithout|\bunlike|\bapart\s+from|\baside\s+from"
    r"|\b(?:rul(?:e|es|ed|ing)|cross(?:es|ed|ing)?|strik(?:e|es|ing)|struck)\s+out"
    r"|\b(?:eliminat|exclud)(?:e|es|ed|ing)|\b(?:reject|dismiss|discard|discount)(?:e?s|ed|ing)?"
    rf"{NOT_OF_A_PLACE})"
    rf"\s+{_FILLER}"
    r"|(?:\b(?:not|never)|\w+n\s?['’]\s?t|\bcannot|(?<!no )\bdoubt(?:ful|s)?|\bunlikely)\s+"
    r"(?:(?:at\s+all|really|quite|so|very)\s+)*(?:think|believe|suppose|say|see|know|sure|certain|mean|convinced)?\s*"
    r"(?:if|whether|how|why|that)?\s*"
    r"(?:(?:it|this|that|he|she|they|the\s+(?:\w+\s+){1,3})\s*(?:is|was|['’]s|are|were|(?:would|could|can|must|should)\s+be)\s+)"
    r"(?:the\s+|option\s+|choice\s+)*)"
    r"[\"'“‘«(\[*_`]*\Z",
    re.IGNORECASE,
)

_OR = rf"(?:and\s*/\s*or|or|versus|vs|{EITHER})"
_WORD = r"(?:(?!(?:which|who|whose|where|that|the|and|in|of|is|was|has)\b)[^\W\d_][\w'’.-]*)"
_ALTERNATIVE_BEHIND = re.compile(
    rf"[\s,;:.…(\[\"'“”‘’»«)\]*_`?-]*(?:{_OR}(?![\w'’-])|{EITHER_UNSPACED})"
    rf"|[\"'“”’»)\]*_`]*\s*(?:[/|]|[→⇒➔➡⟶]|[-=]+>)\s*[\w(\"'“]"
    rf"|(?:,\s*{_WORD}(?:\s+{_WORD})?){{1,5}},?\s+{_OR}\s"
    r"|\s*\?\s*(?:maybe|perhaps|possibly|or)?\s*[^\s.!?][^.!?\n]{0,30}\?"
    r"|\s*[,;.?…-]+\s*(?:maybe|perhaps|possibly|alternatively)\b(?!\s*[.!]?\s*$)",
    re.IGNORECASE,
)
_ALTERNATIVE_BEFORE = re.compile(
    rf"(?:\b(?:{_OR}|either|between)\s+"
    r"(?:(?:maybe|perhaps|possibly|even|also|rather|the|a|an|in|at|option|choice|it\s+is|it\s+was)\s+)*"
    rf"|{EITHER_UNSPACED}\s*|[/|]\s*)[\"'“‘«(\[*_`]*\Z",
    re.IGNORECASE,
)
_LANGUAGE = (
    r"\s+in\s+(?:its\s+|the\s+)?(?:(?:ancient|old|modern|classical|local|native)\s+)?"
    r"(?:\w+(?:ish|ian|ese|[lr]man)|french|dutch|latin|greek|arabic|hebrew|hindi|urdu|thai|gaelic|welsh|czech|catalan"
    r"|korean|afrikaans|swahili|language|tongue|slang|short)\s*(?:[.,;:!?)\n]|$)"
)
_ANOTHER_NAME = re.compile(
    r"[\s,;(\"'“”*_-]*or\s+(?:(?:simply|just|for\s+short|in\s+short|informally|officially|formally)[\s,]"
    rf"|(?:[\w'’\"“”*-]+\s+){{0,3}}?[\w'’\"“”*-]+(?:{_LANGUAGE}"
    r"|,?\s+(?:as\s+(?:it|he|she|they)\b|for\s+short\b)))",
    re.IGNORECASE,
)
"""Another name of the same: `Rome, or Roma in Italian`."""
_OR_BEFORE = re.compile(r"\bor\s+[\"'“‘«(*_`]*\Z", re.IGNORECASE)
_IN_A_LANGUAGE = re.compile(_LANGUAGE, re.IGNORECASE)


def around(text: str, start: int, end: int) -> tuple[str, str]:
    """Returns the text near the part between two places, before and behind it."""
    return text[max(0, start - _NEAR) : start], text[end : end + _NEAR]


def is_denied(before: str, after: str) -> bool:
    """Returns whether the text around an answer denies it: `not Rome`, `Rome is wrong`, `Is it Rome?`.

    `Rome, not Paris` and `not only Rome` deny nothing. The rules in `clauses` say when an answer counts as
    supposed, reported, asked about or taken back.
    """
    near, behind = before[-_NEAR:], after[:_NEAR]
    return (
        bool(_DENIED_BEHIND.match(behind))
        or is_taken_back(behind)
        or denies(behind)
        or corrects(behind)
        or doubts_what_follows(near, behind)
        or is_in_a_question(near, behind)
    )


def doubts_what_follows(before: str, after: str = "") -> bool:
    """Returns whether a text denies, supposes or reports what follows it: `not`, `I don't think it's`.

    Args:
        before: The text before the answer.
        after: The text behind it.
    """
    return bool(_DENIED_BEFORE.search(_end_of_sentence(before))) or is_left_open(before[-_NEAR:], after)


def is_alternative(before: str, after: str) -> bool:
    """Returns whether an answer is one of several: `Rome or Milan`, `Rome/Milan`, `Rome? Milan?`."""
    behind = after[:_NEAR]
    if _ANOTHER_NAME.match(behind) or (_OR_BEFORE.search(before[-_NEAR:]) and _IN_A_LANGUAGE.match(behind)):
        return False
    return bool(
        _ALTERNATIVE_BEHIND.match(behind) or _ALTERNATIVE_BEFORE.search(before[-_NEAR:])
    ) or names_an_alternative(behind)


def _end_of_sentence(text: str) -> str:
    """Returns the last sentence of a text, which stands before an answer."""
    return re.split(r"[.!?;\n](?:\s+|$)|,\s+(?=but\b|so\b|it\b)", text[-_NEAR:])[-1]
