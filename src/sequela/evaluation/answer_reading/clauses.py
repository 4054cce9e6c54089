"""The clause around an answer: what supposes it, reports it as another's view, doubts it or takes it back.

The rules are those of every lenient reader of answers. Where a text can be read either way (`Rome. Actually,
it is old`), the answer counts as taken back, so that no text counts as right that may not be.
"""

from __future__ import annotations

import re

_CLOSING = r"[\s\"'“”‘’»«)\]*_`]*"
_OPENING = r"[\s\"'“”‘’«(\[*_`$:]*"

NOT_OF_A_PLACE = r"(?!\s+(?:in|at|by|from)\s)"
"""Behind a verb such as `held` or `rejected`, which then says where or by whom, and reports nothing."""
NOT_OF_AN_ACT = r"(?!\s+(?:to|for|of)\s+(?!(?:say|think|believe|claim|answer|assume|call|name)\b))"
"""Behind a word for wrong, which then judges an act (`It was wrong to move it`) rather than the answer."""
ASSURED = r"(?:no[\s,.!]+)?(?:no|yes)[\s,.!]+(?:really|seriously|honestly|truly|indeed)\b\s*[.!]*\s*$"
"""`No, really.` behind an answer affirms it."""

_FALSE = (
    r"wrong|incorrect|false|untrue|inaccurate|mistaken|erroneous|errors?|mistakes?|misconceptions?|myths?"
    r"|fallac(?:y|ies)"
    r"|traps?|distractors?|decoys?|red\s+herrings?|lies?|nonsense"
)
_JUDGED = (
    rf"(?:{_FALSE}|impossible|unlikely|implausible|invalid|(?:ruled|crossed|struck)\s+out"
    rf"|out\s+of\s+the\s+question"
    r"|far\s+from\s+(?:right|correct|true|it)|excluded|eliminated|rejected|debunked|disproved|refuted)"
)
_RIGHT = (
    r"right|correct|true|it|so|the\s+(?:(?:right|correct|true|best)\s+)?(?:answer|one|case|choice|option)"
)
_ADVERBS = (
    r"(?:(?:(?!only\b)\w+ly|also|just|indeed|of\s+course|in\s+fact|quite|even|therefore|thus|then|still|now"
    r"|so)"
    r"[\s,]+)*"
)
_COPULA = (
    r"(?:(?:is|was|are|were|be|seems?|looks?|appears?|sounds?)(?:\s+to\s+be)?|['’]s"
    r"|(?:would|could|can|must|should|might|may|will|has\s+to|have\s+to)\s+(?:also\s+)?be"
    r"|(?:(?:would|could|might|must)\s+have|has|have|had)\s+been)"
)
_NOT_BE = (
    r"(?:(?:is|was|are|were|ai)(?:\s+not|n\s?['’]?t)|['’]s\s+not"
    r"|(?:can|could|would|wo|should|must|might|may|will)(?:\s*not|n?\s?['’]?t)\s+be)"
)
_OBJECT = (
    r"(?:(?:that\s+)?(?:(?:it|this|that|he|she|they|there|here"
    r"|(?:the|an?|my|your|his|her|their|our|its)\s+(?:\w+\s+){0,5}?\w+|answer(?:\s+\w+){0,5}?)"
    rf"\s*(?:{_COPULA}|[:=]|to\s+be)\s*|to\s+be\s+|as\s+)?)"
    r"(?:that\s+)?(?:(?:the|an?|option|choice|letter|number|in|at)\s+)*"
)
"""The words between a verb and the answer that it takes: `that the answer is`, `it's`."""
_TO_THE_ANSWER = rf"\s+{_OBJECT}{_OPENING}\Z"

_SUPPOSED = re.compile(
    r"\b(?:if|unless|suppos(?:e|ing)|assum(?:e|ing)|whether|\A\s*(?:let\s+us\s+)?say(?=\s+(?:that|it"
    r"|the\s+answer)\b)|imagin(?:e|ing)|pretend(?:ing)?|provided"
    r"|let['’]s\s+say"
    rf"|(?:what|how)\s+about){_TO_THE_ANSWER}",
    re.IGNORECASE,
)
_CALLED_WRONG = re.compile(
    rf"\b(?:(?<!not\s)(?<!no\s)(?:{_FALSE})\s+(?:\w+\s+){{0,2}}?(?:{_COPULA}|[:=])\s*{_OBJECT}"
    rf"|(?:(?<!not\s)(?<!no\s)(?:{_FALSE}|impossible|unlikely|implausible)|(?:not|\w+n['’]t)\s+(?:{_RIGHT}))"
    r"(?:\s+(?:to\s+(?:say|think|believe|claim|assume|answer|conclude|state)|thinking|saying|believing))?"
    rf"(?:\s+that)?\s+{_OBJECT}){_OPENING}\Z"
    rf"|(?:\A|[.!?\n]\s*)(?:{_FALSE}|not)\s*[:=]{_OPENING}\Z",
    re.IGNORECASE,
)
"""`the wrong answer is`, `it is false that it's`, and a label such as `Wrong:`."""
_SAY = (
    r"(?:say|think|believe|argue|claim|assume|guess|suppose|pick|choose|suggest|insist|answer|expect|reckon"
    r"|swear|vote|hold|imagine|agree)"
)
# The verb in brackets is one that the glossary bans from the project's own sentences.
_SAYS = (
    r"(?:says|thinks|believes|argues|claims|assumes|guesses|supposes|picks|chooses|suggests|insists|answers"
    r"|expects"
    r"|reckons|swears|votes|holds|imagines|agrees|has\s+it|[t]ells?\s+\w+)"
)
_SAID = (
    r"(?:said|thought|believed|argued|claimed|assumed|guessed|supposed|picked|chose|suggested|insisted"
    r"|answered|expected"
    r"|reckoned|swore|voted|held|imagined|agreed|[t]old\s+\w+|had\s+it|(?:was|were)\s+(?:sure|certain"
    r"|convinced|[t]old))"
)
_MAY = (
    r"(?:(?:would|could|might|may|often|also|usually|commonly|had|has|have|ever|first|once|wrongly"
    r"|mistakenly)"
    r"\s+)*"
)
_NOBODY = r"(?:nobody|no[\s-]one|none(?:\s+of\s+\w+)?|few(?:\s+\w+)?|hardly\s+anyone|no\s+\w+)"
_ANYBODY = (
    r"(?:everyone|everybody|someone|somebody|anyone|anybody|(?:many|most|some|other|lots\s+of"
    r"|all)(?:\s+\w+)?|people|others"
    r"|students?|they|he|she|you\s+(?:might|may|could|would))"
)
_REPORTED = re.compile(
    rf"\b(?:(?:{_NOBODY}|{_ANYBODY})\s+(?:who\s+)?{_MAY}(?:{_SAY}|{_SAYS}|{_SAID}){NOT_OF_A_PLACE}"
    rf"|i\s+(?:(?:had|have|once|first|initially|originally|always|wrongly|mistakenly|was)\s+)*"
    r"(?:thought|believed|assumed|guessed|supposed|expected|imagined|[t]old|sure|certain|convinced"
    r"|going\s+to\s+say)"
    rf"|i\s+used\s+to\s+{_SAY}"
    rf"|(?:was|were)\s+(?:\w+\s+)?{_SAID}{NOT_OF_A_PLACE}(?:\s+to)?)(?:\s+for)?{_TO_THE_ANSWER}",
    re.IGNORECASE,
)
"""A view of nobody or of anybody, or one that was held: `nobody thinks it is`, `I thought it was`."""
_NAMED_VIEW = re.compile(
    rf"(?<!\bi)(?<!\bwe)\s(?:{_SAYS}|{_SAID})(?:\s+for)?\s+(?:that\s+)?the\s+(?:\w+\s+)?answer\b[^.!?,;\n]{{0,40}}\Z",
    re.IGNORECASE,
)
"""The view of a named person of what the answer is."""
_VIEW = re.compile(
    rf"(?:(?<!\bi)(?<!\bwe)\s{_MAY}(?:{_SAYS}|{_SAID}|{_SAY})|\b(?:is|was|are"
    rf"|were)\s+(?:\w+\s+)?{_SAID}(?:\s+to)?"
    r"|\baccording\s+to\s+\w+|\b(?:first|initial|original)\s+\w+\s+(?:is|was)|\bguess\s+was"
    r"|\b(?:supposedly|allegedly|reportedly|formerly|previously|originally|initially|once|at\s+first),?)"
    rf"(?:\s+for)?{_TO_THE_ANSWER}",
    re.IGNORECASE,
)
"""Any view, which counts against the answer if the text goes on with a contrast."""
_CONTRAST = re.compile(
    r"[^.!?;\n]{0,80}?[\s,;.–—-]\s*(?:but|however|though|although|yet|whereas|instead|now|actually"
    r"|in\s+(?:fact"
    r"|reality|truth)"
    rf"|(?:and|but|which|that)\s+(?:\w+\s+)?(?:{_COPULA})\s+{_ADVERBS}(?:{_FALSE}))\b",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"(?<!no\s)(?<!without\s)(?<!beyond\s)(?<!any\s)(?<!\ba\s)(?<!not\s)(?<!['’]t\s)(?<!never\s)(?<!little\s)"
    r"\b(?:doubt(?:s|ed|ful|ing)?|refus(?:e|es|ed|ing)|den(?:y|ies|ied|ying)|avoid(?:s|ed|ing)?|reject(?:s"
    rf"|ed{NOT_OF_A_PLACE}|ing)?"
    r"|hesitat(?:e|es|ed|ing)|disagree[sd]?|unsure|forget|by\s+no\s+means|in\s+no\s+way|far\s+from"
    r"|(?:almost|nearly)\s+(?:said|wrote|chose|picked|answered)|no\s+(?:way|chance|evidence|proof"
    r"|reason\s+to\s+(?:think|believe))"
    r"|(?:hard|difficult)\s+to\s+(?:believe|imagine|see|accept)"
    r"|(?:can(?:['’]t|not)|could\s*n['’]t|unable\s+to|won['’]t)\s+(?:confirm|verify|believe|imagine|agree"
    r"|accept))"
    r"(?:\s+(?:to\s+(?:say|answer|choose|pick|call|name|believe)|saying|answering|with|about|if|whether|how"
    r"|that))?"
    rf"{_TO_THE_ANSWER}|\bi\s+(?:don['’]?t|do\s+not)\s+(?:think|believe)\s+so[,\s]+{_OPENING}\Z",
    re.IGNORECASE,
)

_WITHDRAWALS = (
    r"my\s+(?:bad|mistake)|w?h?oops|correction|(?:scratch|strike|ignore|forget|undo)\s+(?:that|this|it)"
    r"|never\s*mind"
    r"|(?:on|upon|after)\s+(?:second\s+thoughts?|(?:further\s+)?reflection|further\s+thought)"
    r"|(?:just\s+|i['’]m\s+|only\s+)?(?:kidding|joking)|jk|i\s+misspoke"
    r"|(?:let\s+me|i)\s+(?:correct|rephrase|reconsider|rethink|retract|withdraw)(?:\s+(?:that|it|this"
    r"|myself))?"
    r"|i\s+take\s+(?:that|it)\s+back|i\s+stand\s+corrected"
    r"|i\s+(?:was|am|were)\s+(?:\w+ly\s+)?(?:wrong|mistaken|incorrect|in\s+error)|i['’]m\s+(?:wrong|mistaken)"
    r"|i\s+(?:made|did\s+make)\s+(?:a|an)\s+(?:mistake|error)|i\s+changed\s+my\s+mind"
)
CORRECTIONS = (
    rf"(?:{_WITHDRAWALS}|wait|no|nope|nah|sorry|apologies|pardon(?:\s+me)?|excuse\s+me|err+|er|u[hm]+"
    rf"|i\s+(?:(?:really|actually)\s+)?mean(?:t)?|(?:or"
    rf"|but)\s+rather"
    r"|make\s+(?:that|it)|i\s+should\s+say|actually|(?:that|this|it)\s+(?:is|was)\s+(?:a\s+)?(?:wrong"
    rf"|incorrect|mistake)\b{NOT_OF_AN_ACT}|hmm+)"
)
"""Words with which a writer takes back what was just said."""
_LASTING = (
    r"(?:yes|yeah|yep|indeed|i\s+am\s+(?:sure|right)|(?:that|it)\s*(?:is|['’]s)\s+(?:right|correct|true))\b"
)
_ADDED = (
    r"(?:well[\s,]+)?actually[\s,]+(?:it|this|that|he|she|they)\s*(?:is|was|are|were|['’]s|['’]re)\s+"
    r"(?:(?:also|very|quite|still|just|not\s+far|so|too)\s+)*(?:near|close|next|beside|behind|between|among|amid"
    r"|within|inside|outside|under|above|around|about|along|across|part|one|some|also|very|quite|still|home|(?-i:an?)"
    r"|the\s+(?:\w+est|most|only|first|second|third|capital|same)"
    r"|(?-i:north|south|east|west)\w*)\b(?!\s+(?:mistake|error|lie|trap|wrong)\b)"
)
"""`Actually, it is near the Vatican` says more about the answer."""
_NOT_TAKEN_BACK = (
    r"(?:no\s+(?:doubt|question|problem|matter|need|other|one|more|less|wonder|explanation)\b|no-|nope-"
    r"|sorry\s*(?:[.!]?\s*$|(?:for|if|about|to|but\s+i|that)\b)|wait\s+(?:for|until|till|times?|a)\b"
    rf"|(?:actually|hmm+)\s*[.!]*\s*$|(?:wait|hmm+|actually)[\s,.!]+{_LASTING}"
    r"|i\s+mean\s+(?:it|that|this|the\s+(?:city|country|one|band|film|person|first|second))\b"
    r"|make\s+it\s+\w+\s+\w+"
    rf"|{ASSURED}|{_ADDED}"
    r"|no\b(?!\s*(?:[,.!;:…—–-]|$|\s+(?:it|that|this|wait|sorry|actually)\b)))"
)
_TAKEN_BACK = re.compile(
    rf"{_CLOSING}(?:"
    rf"\s*(?:[,;:.!?…(]|\s-+|-\s|--|[–—])[\s\"'“”’)*_,;:.!?…–—-]*(?:(?:but|and|or|oh|um+|uh|er+|ah"
    rf"|well)[\s,]+)*"
    rf"(?!{_NOT_TAKEN_BACK}){CORRECTIONS}(?![\w'’-])"
    rf"|[\s,;.!?…–—(-]+(?:(?:but|and|though)\s+)?i\s+(?:(?:don['’]?t|do\s+not)\s+(?:really\s+)?(?:think"
    rf"|believe)\s+(?:so|it|that)"
    r"|(?:really\s+|highly\s+|strongly\s+)?doubt\b)"
    r"|\s*\?[\s\"'”’)*_]*(?:(?:hmm+|well|or|but)[\s,]+)?(?:i\s+(?:don['’]?t|do\s+not|am\s+not|['’]?m\s+not"
    r"|think)"
    rf"|i['’]m\s+not|(?:it|that|this|the\s+(?:\w+\s+)?answer)\s*(?:is|was"
    rf"|['’]s)\b(?!\s+(?:{_RIGHT})\s*[.!]?\s*$)|(?:not|never|wrong|incorrect)\b|try\b)"
    rf"|[\s\"'”’)*_]*[?.,;!…–—-]+\s*(?:(?:of\s+course|perhaps|maybe|\w+ly)\s+)*"
    r"(?:not(?:\s+(?:really|quite|exactly|at\s+all|likely))?|hardly|impossible|never|unlikely"
    r"|i(?:['’]m|\s+am)?\s+(?:think|believe|guess|suppose|afraid)\s+not)\s*(?:[.!?,]|$)"
    rf"|\s[^.!?;\n]{{1,60}}[\s,]but\s+(?:it|that|this)\s*{_COPULA}\s+{_ADVERBS}(?:{_FALSE}"
    rf"|not\s+(?:{_RIGHT}))\b"
    r"|\s[^.!?;\n]{0,30}\b(?:first\s+guess|most\s+(?:people|think)|used\s+to|popular\w*|common(?:ly)?|often"
    r"|thought|believed)"
    rf"\b[^.!?;\n]{{0,30}}[\s,]but\s+(?:it|that|the\s+\w+)\s*{_COPULA}\b"
    r"|\s*(?:≠|!=|[❌✗✘✖🚫⛔👎])"
    r"|[\s,;–—-]+(?:not\s*[.!]?\s*$|or\s+so\s+(?:i|we|they|he|she|people|everyone)\s+\w+)"
    rf"|\s*[(\[]\s*(?:which\s+is\s+)?(?:{_FALSE}|not\s+(?:{_RIGHT}))"
    rf"|[,.;!?…–—-]?\s*(?:(?:but|though|although|yet)\s+)?(?:which|that|this|it|one|answer|option|choice"
    rf"|guess)?"
    rf"(?:\s+{_COPULA}|['’]s)\s+{_ADVERBS}(?:(?:the|an?|one\s+of\s+the|my|your)\s+)?(?:(?:most|very|common"
    rf"|popular|classic|plain|simply)\s+)*"
    rf"(?:(?:{_JUDGED})(?!\s+only)\b{NOT_OF_AN_ACT})"
    rf"|[,.;!?…–—-]?\s*(?:(?:but|now|though|although|yet|and|except|only)\s+)?(?:(?:which|that|this|it"
    rf"|now)\s*){{0,2}}"
    rf"(?:\s+(?:one|answer|option|choice)\s+|\s*){_NOT_BE}\s*(?:{_ADVERBS}(?:{_RIGHT})\b(?!\s+(?:only"
    rf"|just))|$|[.!,;])"
    rf"|[,.;–—-]?\s*(?:(?:and|but|so)\s+)?(?:he|she|they|everyone|everybody|people)\s*(?:is|are|was|were"
    rf"|['’]s|['’]re)\s+{_ADVERBS}(?:{_FALSE})\b"
    rf"|(?:\s{_COPULA}|['’]s)\s+{_ADVERBS}(?:(?:only\s+)?(?:partially|partly|half|somewhat|conditionally"
    rf"|nearly|almost|not\s+(?:entirely|fully|quite|exactly))[\s-]+(?:right|correct|true)\b"
    rf"|only\s+(?:right|correct|true)\b|(?:right|correct|true|the\s+answer)\s+(?:only\s+)?(?:if|unless"
    rf"|when)\b)"
    r")",
    re.IGNORECASE,
)

_CONDITION = re.compile(
    r"(?:(?!\b(?:because|since|so|but|and|even|as|whether|see)\b)[^.!?;:\n\d]){0,60}?\b(?:if|unless|provided|assuming|supposing"
    r"|(?:as|so)\s+long\s+as|on\s+(?:the\s+)?condition)\b"
    r"(?!\s+(?:(?:that\s+)?[a-z]\w?\s*(?:=|is\b|equals\b)|(?:i|we|you|he|she|they)\s+(?:am|are|is|was|were)\s+(?:not\s+(?:mistaken|wrong)"
    r"|right|correct)|(?:i|we)['’](?:m|re)\s+(?:not\s+(?:mistaken|wrong)|right|correct)|i\s+(?:remember|understand|recall|counted"
    r"|calculated)|my\s|(?:necessary|needed|at\s+all|any|anything|not|so)\b))",
    re.IGNORECASE,
)
"""A condition under which alone an answer holds, and neither a value given (`if x = 2`) nor a hedge."""

_WITHDRAWN = re.compile(
    rf"\s*[(\[]\s*(?:{_FALSE})\b|{_CLOSING}[\s,;:.!?…(–—-]+(?:(?:but|oh|um+|uh|ah|well)[\s,]+)*(?:{_WITHDRAWALS})\b",
    re.IGNORECASE,
)

_SIGN_OF_DENIAL = re.compile("[≠❌✗✘✖🚫⛔👎]")
_SENTENCE_ENDS = re.compile(r"[.!?\n](?:\s+|$)|\n")
_QUESTION_END = re.compile(r"(?P<said>[^?!\n。！？]{0,120}?)(?P<mark>[?？]|[.!](?:\s|$)|[\n。！])")
_LONE = re.compile(
    r"[\s\"'“”‘’«(\[*_`#:>-]*(?:(?:maybe|perhaps|possibly|probably|hmm+|um+|uh+|er+|well|so|ok|okay|oh|the"
    r"|an?"
    r"|a:|i\s+(?:think|guess|believe|suppose|(?:am|was)\s+not\s+sure|don['’]?t\s+know|do\s+not\s+know)"
    r"|i['’]m\s+not\s+sure|in|at)"
    r"[\s,.:…;*_-]*)*\Z",
    re.IGNORECASE,
)
"""Words before an answer that is said with hesitation rather than asked about."""
_CONFIRMED = re.compile(
    r"[\s\"'”’)\]*_]*(?:yes|yeah|yep|correct|right|indeed|exactly|of\s+course|true)\b", re.IGNORECASE
)


def is_left_open(before: str, after: str = "") -> bool:
    """Returns whether the words that lead to an answer suppose it, report it, call it wrong or doubt it.

    Args:
        before: The text before the answer.
        after: The text behind it, in which a contrast may follow a view: `Tom says Rome, but`.
    """
    clause = last_sentence(before)
    if any(rule.search(clause) for rule in (_SUPPOSED, _CALLED_WRONG, _REPORTED, _NAMED_VIEW, _DOUBTED)):
        return True
    return bool(_VIEW.search(" " + clause) and _CONTRAST.match(after))


def is_taken_back(after: str) -> bool:
    """Returns whether the text behind an answer takes it back: `, I mean`, `. That is wrong`, `? It's`."""
    return bool(_TAKEN_BACK.match(after))


def is_withdrawn(after: str) -> bool:
    """Returns whether an answer is taken back in so many words, as for yes and no: `. Scratch that`.

    `No, that is wrong` and `No, actually he did not` go on about the answer no.
    """
    return bool(_WITHDRAWN.match(after))


def is_under_a_condition(after: str) -> bool:
    """Returns whether the text behind an answer makes it depend on a condition: `18 if Tom is right`.

    Not one that gives the value of an unknown (`18 if x = 2`), nor a hedge (`18 if I am not mistaken`).
    """
    return bool(_CONDITION.match(after))


def has_a_sign_of_denial(text: str) -> bool:
    """Returns whether a text has a sign such as ❌ or ≠."""
    return bool(_SIGN_OF_DENIAL.search(text))


def is_in_a_question(before: str, after: str) -> bool:
    """Returns whether an answer is a part of a question, rather than said with hesitation (`Rome?`).

    A question that is confirmed (`Is it Rome? Yes.`) counts as an answer.
    """
    end = _QUESTION_END.match(after)
    if end is None or end["mark"] not in "?？" or _CONFIRMED.match(after, end.end()):
        return False
    sentence = last_sentence(before)
    return bool(re.search(r"\?\s*\Z", before)) or not _LONE.match(sentence)


def last_sentence(text: str) -> str:
    """Returns the last sentence of a text, up to its end."""
    return _SENTENCE_ENDS.split(text)[-1]
