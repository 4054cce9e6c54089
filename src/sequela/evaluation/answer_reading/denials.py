"""Denial of an answer: words of negation and of wrongness in its clause, conditions, questions.

The words are those of the languages whose statements are read. A clause ends at punctuation and at words such
as `because`, so that a reason (`B, because A is wrong`) denies nothing.
"""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.clauses import is_left_open, is_taken_back

_WRONG = (
    r"wrong(?:ly)?|incorrect(?:ly)?|false(?:ly)?|untrue|inaccurate|invalid|impossible|implausible"
    r"|improbable|unlikely"
    r"|doubt(?:s|ful)?|dubious|questionable|exclud\w+|eliminat\w+|rul(?:e[sd]?"
    r"|ing)(?=\s+(?:\w+\s+){0,2}out\b)|reject\w*"
    r"|discard\w*|dismiss\w*|discount\w*|disregard\w*|out|off|unsuitable|inappropriate|irrelevant"
    r"|unrelated|misleading"
    r"|mistak\w+|errors?|erroneous(?:ly)?|traps?|distractors?|decoys?|red\s+herring|nonsense|absurd|bad"
    r"|poor(?:ly)?"
    r"|worse|worst|weak\w*|least|less|hardly|scarcely|barely|far\s+from|fail\w*|lack\w*|inconsistent"
    r"|incompatible"
    r"|unsupported|unreasonable|illogical|inferior|insufficient|incomplete|inadequate|flawed|refuted"
    r"|disprove\w*"
    r"|contradict\w*|conflict\w*|disagree\w*|den(?:y|ies|ied)|avoid\w*|refus\w+|hesitat\w+|skip\w*"
    r"|ignor\w+|tempt\w+"
    r"|misconception|myth|fallacy|nonexistent"
)
_EXCEPT = r"except|besides|instead|rather\s+than|other\s+than|anything\s+but"
_WRONG_ELSEWHERE = (
    r"falsch\w*|ausgeschlossen|unmöglich|incorrect[oae]s?|fauss?es?|faux|impossibles?|fals[oa]s?"
    r"|errad[oa]s?|errat[oa]"
    r"|sbagliat[oa]|equivocad[oa]|erróne[oa]|imposible|impossível|impossibile|sai|неверн\w*|неправильн\w*"
)
_NOT = (
    r"not|never|neither|nor|no|nope|cannot|none|nothing|nobody|without|(?:is|was|are|ca|wo|does|do"
    r"|would|should|could|did)nt"
)
_NOT_ELSEWHERE = r"ne|pas|jamais|nicht|nie|kein\w*|weder|não|nem|nunca|tampoco|non|không|chẳng|не|нет"
_SIGNS = r"[✗✘❌✖]|n['’](?:t|est)\b|[不没沒錯错誤误非]|ない|ません|아니|아닙|아닌|틀[린렸립]"
_DENIAL = re.compile(
    rf"(?<!\w)(?:{_WRONG}|{_WRONG_ELSEWHERE}|{_EXCEPT}|{_NOT}|{_NOT_ELSEWHERE})(?!\w)|{_SIGNS}", re.IGNORECASE
)
_EXEMPT = re.compile(
    r"\b(?:no|without|beyond)(?:\s+(?:a|any))?\s+(?:\w+\s+)?(?:doubt|question|hesitation)\b|\bno\s+other\b"
    r"|\bnot\s+(?:only|just|merely)\b|\b(?:nothing|none)\s+(?:else|other)\b|\bout\s+of\b|\bturns?\s+out\b"
    r"|\b(?:if|unless)\s+i(?:\s+(?:had|have|am|were)|['’]m)\s+(?:to|not|mistaken|wrong)(?:\s+(?:mistaken"
    r"|wrong))?\b"
    r"|\bsans\s+(?:aucun\s+)?doute\b|\bsin\s+(?:ninguna\s+)?duda\b|\bsem\s+dúvida\b|毫无疑问|无疑",
    re.IGNORECASE,
)
"""Phrases whose word of negation denies nothing: `no doubt`, `not only`, `nothing else`."""
_BY_ELIMINATION = re.compile(
    r"\b(?:by|through|via|using|with|after)\s+(?:(?:the|a|simple)\s+)*(?:process\s+of\s+)?eliminat(?:ion"
    r"|ing)\b",
    re.IGNORECASE,
)
"""A way to an answer, which denies nothing about it."""
_OPEN = re.compile(r"\b(?:if|unless|suppos(?:e|ing)|assum(?:e|ing)|whether|imagine|pretend)\b", re.IGNORECASE)
_OTHERS = re.compile(
    r"\b(?:some|many|most|people|others|students?|someone|somebody|everyone|they|he|she|you\s+(?:might|may"
    r"|could)|one)"
    r"(?:\s+(?:who|people|students|might|may|could|would|will|often|also|usually))*"
    r"(?:\s*\Z|\s+(?:say|says|said|think|thinks|thought|believ\w+|argu\w+|claim\w*|assum\w+|guess\w*"
    r"|pick\w*|ch[ou]+s\w*)\b)",
    re.IGNORECASE,
)
"""Somebody else's view: `many people choose`."""
_CLAUSE_BEGINS = re.compile(
    r"[.!?;,\n。！？，；]"
    r"|\b(?:because|since|so|but|therefore|thus|hence|then|and|while|whereas|as|means|implies|shows"
    r"|suggests)\b",
    re.IGNORECASE,
)
_OTHER_LETTER = r"(?:option\s+|choice\s+)?[(\"'“]?(?-i:[A-Z])(?![\w'’])"
_CLAUSE_ENDS = re.compile(
    r"[.!?;\n。！？；]|\b(?:because|since|so|for|while|whereas|which|who|that|where|when|due|given|hence"
    r"|therefore|weil"
    r"|porque|pois|parce|car|perché|vì)\b|,\s*(?:(?:but\s+|and\s+)?not|as|rather|unlike|instead)\b"
    rf"|,\s*(?:(?:and|but)\s+)?{_OTHER_LETTER}|[\s,(]+(?:(?:and|but)\s+)?(?:not|rather\s+than|instead\s+of"
    rf"|over|unlike|than|and|but)\s+{_OTHER_LETTER}",
    re.IGNORECASE,
)
_SKIPPED = (
    r"(?:[\s,:=(\[\]_*\"'“”’`)}|$»」』】》〉–—-]*\b(?:however|though|also|just|quite|even|still|then|indeed|too"
    r"|of\s+course|in\s+fact"
    r"|perhaps|maybe|almost|most|both|all|\w+ly)\b)*[\s,:=(\[\]_*\"'“”’`)}|$»」』】》〉–—-]*"
)
_VERB = (
    r"(?:is|was|are|were|be|would|could|can|should|must|may|might|seems?|looks?|appears?|sounds?|feels?"
    r"|does|do|has|have|had"
    r"|makes?|gets?|will|remains?|cannot|(?:is|was|are|were|would|could|ca|should|must|does|do|has|have|wo"
    r"|did)n['’]?t|['’]s"
    r"|es|est|ist|é|è|là|n['’]est|kann|peut|puede|pode|può)(?!\w)"
)
_RIGHT = (
    r"(?:correct|right|true|it|the|(?-i:an?)|my|that|this|possible|plausible|likely|valid|good|best"
    r"|accurate|suitable)"
)
_BEHIND = re.compile(
    rf"{_SKIPPED}(?:(?P<verb>{_VERB})|(?:{_WRONG}|{_WRONG_ELSEWHERE})(?!\w)|{_SIGNS}|no(?:pe)?\s*(?:$"
    rf"|[.!,;)])"
    rf"|(?:{_NOT}|{_NOT_ELSEWHERE})\s+(?:(?:{_RIGHT}|{_WRONG})(?!\w)|{_VERB}|\w+\s+(?:pas|not)\b)"
    r"|(?:never|no\s+longer)\s+\w|not\s*(?:$|[.!;)]))",
    re.IGNORECASE,
)
_JUDGED = re.compile(
    rf"{_SKIPPED}(?:{_VERB}\s*)?(?:(?:\w+ly|clearly|also|just|a|an|the|be)\s+)*"
    rf"(?:(?:{_WRONG})(?:\s+(?:out|answer|choice|option|fit|one))?\s*(?=$|[.,;:!)\n]|(?:because|since|as"
    rf"|so|and|but)\b)"
    rf"|(?:not|n['’]t)\s+(?:\w+ly\s+)?(?:(?:the|a|an|my)\s+)?(?:right|correct|best|answer|it\b|true|choice))",
    re.IGNORECASE,
)
"""A judgment of a choice whose own words were named; other words about it may explain why it is right."""
_THAT_IS_WRONG = re.compile(rf"\s+that\s*(?:is|was|['’]s)\s+(?:\w+\s+)?(?:{_WRONG})(?!\w)", re.IGNORECASE)
_NEXT_SENTENCE = re.compile(
    rf"[\s.!,;:…(–—-]*(?:(?:that|this|it)\s*(?:is|was|['’]s|would\s+be)\s+)?(?:\w+ly\s+)?"
    rf"(?:(?:{_WRONG})|no|nope|not\s+{_RIGHT}(?:\s+answer)?)\s*(?:[.!]|(?<=no),|$)",
    re.IGNORECASE,
)
"""A sentence of its own behind an answer: `C. Wrong.`"""
_ASIDE = re.compile(r"\s*,[^,.;!?\n]{1,60},")
"""Words between commas, such as `C, although popular, is wrong`."""
_BUT = re.compile(
    rf"\b(?:but|yet|though|although)\s+(?:(?:it|that|this)\s*)?(?:{_VERB}\s*)?(?:\w+ly\s+)?"
    rf"(?:(?:{_WRONG}|{_NOT})(?!\w)|\w+n['’]t\b)(?!\s+{_OTHER_LETTER})|\b(?:but|yet)\s+(?:(?:it|that"
    rf"|this)\s+)?\w+n['’]t\b",
    re.IGNORECASE,
)
_QUESTION_WORDS = re.compile(
    r"(?:^|[.!?\n])\s*(?:(?:but|and|so|or|hmm+|well|wait)[\s,]+)?(?:is|are|was|could|can|would|should"
    r"|might|may|does|do|did|will|why|whether)\b[^.!?\n]*\Z",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?]+(?=[\s\"'”’)\]]|$)|[\n。！？]")
_REACH = 240
"""The number of characters around a letter within which its clause is looked for."""


def has_denial(text: str) -> bool:
    """Returns whether a text has a word of negation or of wrongness."""
    return bool(_DENIAL.search(_EXEMPT.sub(" ", text)))


def is_denied_before(text: str, start: int, end: int) -> bool:
    """Returns whether the words that lead to a letter deny it or leave it open.

    Args:
        text: The text.
        start: Where the statement begins whose letter it is.
        end: Where the letter begins.
    """
    lead = text[start:end]
    if re.match(r"(?:so|therefore|thus|hence|finally)\b", lead, re.IGNORECASE):
        return has_denial(lead)
    before = _BY_ELIMINATION.sub(" ", _EXEMPT.sub(" ", text[max(0, start - _REACH) : start]))
    begins = [one.end() for one in _CLAUSE_BEGINS.finditer(before)]
    clause = before[begins[-1] if begins else 0 :]
    whole = clause + _EXEMPT.sub(" ", lead)
    return (
        has_denial(whole)
        or bool(_OPEN.search(whole) or _OTHERS.search(clause))
        or is_left_open(text[max(0, start - _REACH) : end], text[end + 1 : end + 1 + _REACH])
    )


def is_denied_behind(rest: str, behind_own: str | None = None) -> bool:
    """Returns whether the words behind a letter deny it.

    Args:
        rest: The text behind the letter.
        behind_own: The text behind the words of a choice, if these follow the letter: they deny nothing.
    """
    if behind_own is not None:
        near = behind_own[:_REACH]
        return bool(_JUDGED.match(near) or _NEXT_SENTENCE.match(near)) or is_taken_back(near)
    text = _EXEMPT.sub(" ", rest[:_REACH])
    if is_taken_back(rest[:_REACH]) or _THAT_IS_WRONG.match(text) or _NEXT_SENTENCE.match(text):
        return True
    if (aside := _ASIDE.match(text)) and _JUDGED.match(text, aside.end()):
        return True
    found = _BEHIND.match(text)
    if found is None or not found["verb"]:
        return found is not None
    clause = text[found.start("verb") :]
    ends = _CLAUSE_ENDS.search(clause)
    said = clause[: ends.start()] if ends else clause
    return has_denial(said) or bool(_BUT.match(clause[len(said) :].lstrip(" ,(")))


def is_asked(before: str, rest: str) -> bool:
    """Returns whether the sentence of a letter is a question, by the text before it and behind it."""
    end = _SENTENCE_END.search(rest)
    return bool((end and "?" in end[0]) or "？" in rest[:1] or _QUESTION_WORDS.search(before[-_REACH:]))
