"""Reading of the letter that a text chooses.

A letter counts if it is in the form of an answer: alone, labeled (`B)`, `B.`, `(B)`), before its own
choice's text, or before words that go on about an answer (`B is correct`, `B because`). The rule is the same
for every letter; in particular, `A` is treated like the others, so that the article "a" and the answer A need
no exception. Two letters are no answer, and neither is a letter that the text denies, asks about or uses for
something else. Where a text can be taken either way, no letter is read: an answer that is wrongly read as
right does more harm than one that is not read.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

from sequela.evaluation.answer_reading.choices import begins_with_choice, behind_choice, choice_of
from sequela.evaluation.answer_reading.conclusions import (
    CORRECTION,
    Statement,
    Weight,
    is_led_by_a_correction,
    is_limited,
    standing,
)
from sequela.evaluation.answer_reading.denials import has_denial, is_asked, is_denied_before, is_denied_behind
from sequela.evaluation.answer_reading.letter_beginnings import end_of_label, start_of_answer
from sequela.evaluation.answer_reading.letter_statements import (
    ANY_LETTER,
    CALLED_THE_ANSWER,
    GOES_ON_ABOUT_AN_ANSWER,
    INSTEAD,
    LAST,
    OPENING,
    POSTFIX,
    STATEMENT,
)
from sequela.evaluation.answer_reading.letters_of_words import (
    goes_on_in_a_word,
    is_a_subject,
    is_an_initial,
    labels_nothing,
)
from sequela.evaluation.answer_reading.markup import composed, plain
from sequela.evaluation.answer_reading.several_letters import has_another_behind, is_one_of_several
from sequela.evaluation.answer_reading.statements import first_question

_STRICT_OPENING = r"[\s*_\"'`“”‘’(]*"
_LETTER = r"(?P<letter>[A-Z])"
_CLOSING = re.compile(r"[\s*_\"'`“”„‘’‚«»‹›「」『』)\]}】〕>》〉$|]*")
_LABEL_ENDS = re.compile(
    r"\s*(?:$|[.)\]:;,!…。、]|[-→]>?\s|—|\n|\[/)|\s+(?:\(|(?:not|rather\s+than|instead\s+of|over)\b)"
)

BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_BETWEEN_BOXES = re.compile(r"(?:[\s$,;.&/|\\]|\b(?:and|or)\b)*", re.IGNORECASE)
_STARRED = re.compile(r"[^*]*?(?<![\w*])[A-Z]\*(?:\s|$)")
"""A letter with a star of its own, as in `A* search`, rather than emphasis."""
_PLACE_OF_ANOTHER = r"(?<![\w'’])[A-Z][)\]\"'”]*"
_BEHIND_ANOTHER = re.compile(
    rf"{_PLACE_OF_ANOTHER}[\s,]*(?:\b(?:and(?:/or)?|or|nor|as\s+well\s+as)\b|[/&|、和与或及])[\s,]*(?:(?:also"
    rf"|maybe|perhaps|either|even|the)\s+)*[(\[\"'“$]*\Z"
)
"""A letter that is an alternative to the statement behind it: `option A or option B`."""
_ADDED = re.compile(r"[^.,;!?\n]*\b(?:also|equally|likewise|too|as\s+well)\b", re.IGNORECASE)
"""Words in a letter's clause that name it in addition to another one: `D is correct, too`."""
_SEE_ALSO = re.compile(r"[^.,;!?\n]*\bsee\s+also\b", re.IGNORECASE)
_ENDS_IN_A_LETTER = re.compile(r"[^.!?\n]*(?<![\w'’])[A-Z][\W\d]*\Z")
_BEGINS_A_SENTENCE = re.compile(r"(?:\A|[.!?\n])\W*\Z")
_ENDS_A_LINE = re.compile(r"[)\]\"'”*]*\s*[.!]?\s*(?:\n|\Z)")
_NOUN_BEFORE = re.compile(r"([\w'’-]+)\s+[(\[\"'“]?\Z")
_NO_NOUN = re.compile(
    r"so|therefore|thus|hence|that|think|believe|say|guess|suppose|and|but|because|is|since|then|while|know"
    r"|means|conclude"
    r"|suggests|implies|shows|whereas|although|though|yes|sure|well|okay?|now|if|unless|not|yet|as|an?|the|la"
    r"|les|statement"
    r"|\w+ly",
    re.IGNORECASE,
)
"""Words that may stand before a letter that is the subject of a sentence; others make a word of it."""
_LABEL = re.compile(r"[^\S\n]*[.)\]}:\"'”’]*[^\S\n]*")
_LISTED = re.compile(
    OPENING + r"[A-Z][)\]]?(?:(?:[\s,&]|\b(?:and|or)\b){1,6}[(\[]?[A-Z][)\]]?(?![\w'’])){1,9}"
    r"(?=\s+(?:are|were|can|cannot|could|do|don['’]t|aren['’]t|all|both)\b)"
)
"""Several letters of which something is said."""
_CHECKED = re.compile(r"\s*[✅✔☑👍]")
_PRONOUN = re.compile(
    r"\s+(?:was|would|must|should|will|has|have|had|can|could|might|may|i|please|here|for"
    r"|of\s+course(?!\s*(?:$|[.!])))\b",
    re.IGNORECASE,
)
"""Words behind the pronoun I; the letter has those of the third person (`I is correct`)."""
_GOES_ON_BEHIND_A_STATEMENT = re.compile(
    r"\s+(?:which|for|in|with|due|based|given|according|so|but|and|although|while|when|from|by|on|at|here|as"
    r"|even|though"
    r"|whereas|despite|because|since|after|under)\b",
    re.IGNORECASE,
)
_REMARKS = re.compile(
    r"(?<=\S)\s*\n\W*(?:why|explanations?|reasons?|reasoning|analysis|rationale|the\s+others?"
    r"|(?:the\s+)?(?:other|incorrect"
    r"|wrong|remaining)\s+(?:options|choices|answers))\b[^\n:]{0,60}:\W*\n",
    re.IGNORECASE,
)
"""A heading of remarks on the choices."""
_LONE_LETTER = re.compile(OPENING + r"(?P<letter>[A-Z])[.)\]]?\s*\n\s*[(\[]?A[.):\]]\s*")
"""A letter alone on the first line, and the label of the first choice."""
_REACH = 240
"""The number of characters before a statement that are looked at."""


def first_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter that a text begins with."""
    bare = composed(text)
    match = re.compile(_STRICT_OPENING + _LETTER).match(bare, end_of_label(bare, choices))
    return match and _chosen(match, match.start("letter"), choices)


def stated_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter of the last statement, such as `the answer is B`."""
    bare = plain(first_question(text))
    stated = standing(bare, _statements(bare, choices))
    return stated.letter if stated else None


def chosen_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter that a text chooses, at its beginning or in a statement, in any markup."""
    if boxed := _boxed_letter(text, choices):
        return boxed
    bare = plain(first_question(text))
    if _STARRED.match(text):
        return None
    begun = _beginning(_before_remarks(bare, choices), choices)
    stated = standing(bare, _statements(bare, choices, begun.end("letter") if begun else 0))
    if begun is None:
        return stated.letter if stated else None
    letter = _within(begun["letter"], choices)
    if stated is None or stated.letter in (letter, None):
        return letter
    if not stated.replaces and (stated.weight is Weight.MENTION or is_limited(bare, stated)):
        return letter
    return stated.letter if CORRECTION.search(bare, begun.end("letter"), stated.place) else None


def _boxed_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter in the last box of LaTeX, unless the text around it denies it or adds another."""
    boxes = [*BOXED.finditer(text)]
    box = boxes[-1] if boxes else None
    inside = box and _beginning(plain(box[1]), choices)
    if not box or not inside:
        return None
    letter = inside["letter"].upper()
    if (
        len(boxes) > 1
        and boxes[-2][1] != box[1]
        and _BETWEEN_BOXES.fullmatch(text, boxes[-2].end(), box.start())
    ):
        return None
    before = plain(text[: box.start()]).rstrip("$ ") + " "
    whole = before + letter + plain(text[box.end() :])
    place = re.compile(_LETTER).match(whole, len(before))
    assert place is not None
    several = _BEHIND_ANOTHER.search(before[-_REACH:]) is not None
    return None if several or not _is_kept(place, len(before), choices, stated=True) else letter


def _beginning(text: str, choices: Sequence[str]) -> re.Match[str] | None:
    """Returns the match of the letter that a text begins with, behind interjections and questions."""
    start = start_of_answer(text, choices)
    listed = _LISTED.match(text, start)
    if listed and is_denied_behind(text[listed.end() :]):
        return None  # "A, C and D are wrong"
    found = re.compile(OPENING + ANY_LETTER).match(text, start)
    return found if found and _chosen(found, found.start("letter"), choices, lenient=True) else None


def _before_remarks(text: str, choices: Sequence[str]) -> str:
    """Returns a text up to what it says about the choices behind a first line of an answer of its own.

    That is a heading such as `Why the others are wrong:`, or, behind a letter alone, a copy of the choices.
    """
    if heading := _REMARKS.search(text):
        return text[: heading.start()]
    alone = _LONE_LETTER.match(text)
    copied = alone and begins_with_choice(text[alone.end() :], choice_of("A", choices))
    return text[: alone.end("letter")] if alone and copied else text


def _statements(text: str, choices: Sequence[str], start: int = 0) -> Iterator[Statement]:
    """Yields each statement of a letter, from the last; no letter for one that is no answer."""
    found = [
        match for pattern in (STATEMENT, POSTFIX, INSTEAD, LAST) for match in pattern.finditer(text, start)
    ]
    for match in sorted(found, key=lambda one: one.start("letter"), reverse=True):
        lower = match["letter"].islower()
        if match.re is STATEMENT and lower and not _is_labeled(text, match.end("letter")):
            continue  # "the answer is a cat"
        if match.re is POSTFIX and ((lower and not match["named"]) or _is_behind_a_noun(match)):
            continue  # "vitamin C is good"
        before = text[
            max(0, match.start() - _REACH) : match.start() + (match.re is LAST and not match[0][0].isalpha())
        ]
        if match.re is LAST and (ended := _ENDS_IN_A_LETTER.search(before)) and not has_denial(ended[0]):
            continue
        several = _BEHIND_ANOTHER.search(before)
        yield Statement(
            start=match.start(),
            place=match.start("letter"),
            end=match.end(),
            said=match["letter"].upper(),
            letter=None if several else _chosen(match, match.start(), choices, stated=True),
            weight=_weight(match),
            replaces=match.re is INSTEAD or is_led_by_a_correction(text, match.start()),
            denied=_is_denied(match, match.start(), choices, stated=True),
        )


def _weight(found: re.Match[str]) -> Weight:
    """Returns how plainly a match states its letter."""
    if found.re is INSTEAD:
        return Weight.STATED
    if found.re is LAST:
        return Weight.POINTED
    if found.re is POSTFIX:
        return (
            Weight.STATED
            if CALLED_THE_ANSWER.search(found.string, found.end("letter"), found.end())
            else Weight.POINTED
        )
    if found["mentioned"] or (found["noun"] and not found["link"]):
        alone = _BEGINS_A_SENTENCE.search(found.string[max(0, found.start() - 20) : found.start()])
        return Weight.POINTED if alone and _ENDS_A_LINE.match(found.string, found.end()) else Weight.MENTION
    return Weight.POINTED if found["pointed"] else Weight.STATED


def _chosen(
    found: re.Match[str], start: int, choices: Sequence[str], *, stated: bool = False, lenient: bool = False
) -> str | None:
    """Returns the matched letter if what is around it leaves it an answer.

    Args:
        found: The match, with the group `letter`.
        start: Where the statement begins; the letter's own place if it is at the beginning.
        choices: The choices.
        stated: Whether words that state an answer are before the letter or behind it.
        lenient: Whether to read forms that the strict reading doesn't accept.
    """
    letter = _within(found["letter"], choices)
    rest = found.string[found.end("letter") :]
    if letter is None or (rest.startswith("$") and "$" not in found[0]):
        return None  # a price
    if not _is_kept(found, start, choices, stated=stated):
        return None
    if is_an_initial(rest, choices) or (not stated and (labels_nothing(rest, choices) or is_a_subject(rest))):
        return None
    if found.re is POSTFIX:
        return letter if letter != "I" or found["named"] or not _PRONOUN.match(rest) else None
    lenient = lenient or stated
    return letter if _ends_as_an_answer(letter, rest, choices, stated=stated, lenient=lenient) else None


def _is_kept(found: re.Match[str], start: int, choices: Sequence[str], *, stated: bool) -> bool:
    """Returns whether what is around a letter neither denies it, nor asks about it, nor names another one."""
    text, letter, end = found.string, found["letter"], found.end("letter")
    rest = text[end:]
    behind_own = _behind_own_choice(letter, rest, choices, stated=stated)
    return not (
        _is_denied(found, start, choices, stated=stated)
        or is_one_of_several(letter, rest, choices, stated=stated)
        or has_another_behind(letter.upper(), text, end, stated=stated)
        or (_ADDED.match(rest) and not (stated and _SEE_ALSO.match(rest)))
        or is_asked(text[max(0, start - _REACH) : start], rest if behind_own is None else behind_own)
    )


def _is_denied(found: re.Match[str], start: int, choices: Sequence[str], *, stated: bool) -> bool:
    """Returns whether the words before a letter or behind it deny it or leave it open."""
    text, letter, end = found.string, found["letter"], found.end("letter")
    rest = text[end:]
    own_sentence = found.re is LAST and not found[0].startswith(":")
    if (
        stated
        and found.re is not INSTEAD
        and not own_sentence
        and is_denied_before(text, start, found.start("letter"))
    ):
        return True
    return is_denied_behind(rest, _behind_own_choice(letter, rest, choices, stated=stated))


def _behind_own_choice(letter: str, rest: str, choices: Sequence[str], *, stated: bool) -> str | None:
    """Returns what follows the words of a choice behind a letter; None if there are none.

    Behind the sentence that states a letter, only its own choice belongs to it.
    """
    label = _LABEL.match(rest)
    ends = stated and label is not None and "." in label[0]
    own = [choice_of(letter, choices)] if ends else choices
    return behind_choice(rest[label.end() :] if label else rest, own)


def _ends_as_an_answer(
    letter: str, rest: str, choices: Sequence[str], *, stated: bool, lenient: bool
) -> bool:
    """Returns whether a letter is closed, labels a choice, or is followed by words about an answer."""
    closing = match[0] if (match := _CLOSING.match(rest)) else ""
    after = rest[len(closing) :]
    if not after.strip() and not re.match(r"['’]\w", rest):
        return True
    if re.match(r"[가-힣一-鿿ぁ-ヿ]", rest):
        return bool(GOES_ON_ABOUT_AN_ANSWER.match(rest)) or begins_with_choice(
            rest, choice_of(letter, choices)
        )
    if goes_on_in_a_word(rest):
        return False
    if closing.strip(" \t\n*_'’`") or "\n" in closing or _LABEL_ENDS.match(rest[len(closing.rstrip()) :]):
        return True
    if lenient and _CHECKED.match(after):
        return True
    if begins_with_choice(after.lstrip("= [" if lenient else "= "), choice_of(letter, choices)):
        return True
    if stated and _GOES_ON_BEHIND_A_STATEMENT.match(rest):
        return True
    if letter == "I" and not (lenient and not _PRONOUN.match(rest)):
        return False
    return bool(GOES_ON_ABOUT_AN_ANSWER.match(rest))


def _is_labeled(text: str, end: int) -> bool:
    """Returns whether a small letter is in the form of a label, or called the answer."""
    return bool(_LABEL_ENDS.match(text, end) or GOES_ON_ABOUT_AN_ANSWER.match(text, end))


def _is_behind_a_noun(found: re.Match[str]) -> bool:
    """Returns whether a letter belongs to the word before it: `vitamin C is good`."""
    noun = _NOUN_BEFORE.search(found.string[max(0, found.start() - 40) : found.start()])
    return bool(noun and not found["named"] and not _NO_NOUN.fullmatch(noun[1]))


def _within(letter: str, choices: Sequence[str]) -> str | None:
    upper = letter.upper()
    return upper if upper in string.ascii_uppercase[: len(choices)] else None
