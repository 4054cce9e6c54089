"""Several letters where one was asked for: alternatives, companions, lists of choices."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from sequela.evaluation.answer_reading.choices import begins_with_choice, behind_choice, choice_of
from sequela.evaluation.answer_reading.denials import has_denial, is_denied_behind

_CONJUNCTIONS = (
    r"and(?:/or)?|or|nor|versus|vs\.?|plus|as\s+well\s+as|(?:along|together)\s+with|followed\s+by"
    r"|(?-i:[yeou])|ou|et|und|oder|sowie|och|eller|en|of|и|или|và|hoặc|hay|dan|atau|ve|veya"
)
_UNSPACED_CONJUNCTIONS = "[和与與或及跟、]|还有|還有|以及|或者|と|や|または|또는|하고|이나|[와과나]"
_OTHER_WORDS = (
    "with|then|but|to|through|also|maybe|perhaps|possibly|probably|even|both|either|else|only|option|choice|answer"
    "|letter|again|too|likewise"
)
_JOINT = re.compile(
    rf"(?:(?P<joined>\b(?:{_CONJUNCTIONS})\b|[/&|]|{_UNSPACED_CONJUNCTIONS}|[-=]?>|=|<|→)"
    rf"|\b(?:{_OTHER_WORDS}|\w+ly)\b"
    r"|(?<!\w)\d{1,2}[.):](?!\d)|(?P<line>\n)|[^\S\n]"
    r"|[.,;:+·•~*_\"'`“”„‘’«»‹›「」『』()\[\]{}【】〔〕《》〈〉$—-])*",
    re.IGNORECASE,
)
"""Words and marks that may stand between two letters that are named together."""
_NAMED = re.compile(r"\s*(?:$|\n|[.,;:/&|)\]}>\"'”’`*_$」』】!、。]|(?:and|or|nor)\b|[A-Z](?![\w'’]))")
"""The text behind a letter that is named, rather than the first word of a sentence."""
_LABEL = re.compile(
    r"(?P<line>\n[^\S\n]{0,8})?(?<![\w'’])[(\[{]?(?P<other>[A-Z])\s?(?:[.):\]}]\s*|-\s+)(?=\S)"
)
_LABEL_END = re.compile(r"[^\S\n]*[.):\]}\"'”’-]*[^\S\n]*")
_OPEN = r"[(\[\"'“]?"
_ALSO = re.compile(
    rf"(?<![\w'’]){_OPEN}(?P<before>[A-Z])[)\]\"'”.]?(?:\s+\w+){{0,3}}?\s+(?:also|too|as\s+well|equally"
    rf"|likewise)\b"
    rf"|(?<![\w'’]){_OPEN}(?P<possible>[A-Z])[)\]\"'”]?\s+(?:could|might|may|can)\s+be\b"
    rf"|\b(?:[Ss]o|[Aa]lso|[Ee]qually|[Ll]ikewise|as\s+(?:well|is"
    rf"|does))\W+(?:\w+\s+){{0,3}}?{_OPEN}(?P<behind>[A-Z])(?![\w'’])"
)
"""A letter that is named in addition to another one: `D is also correct`, `so is D`, `D might be right`."""
_NEXT_MENTION = re.compile(r"[.;]\s*(?:the\s+)?(?:option|choice|answer|letter)\b", re.IGNORECASE)
_ENDS_A_LINE = re.compile(r"[)\]\"'”*]*\s*[.!]?\s*(?:\n|\Z)")
_REFERS = re.compile(r"\b(?:see|compare|cf\.?)\s+\Z", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?\n;]")
_REACH = 240
"""The number of characters behind a letter within which its sentence is looked for."""


def is_one_of_several(letter: str, rest: str, choices: Sequence[str], *, stated: bool) -> bool:
    """Returns whether a letter is followed by another one that is named with it.

    Args:
        letter: The letter, as it is written.
        rest: The text behind the letter.
        choices: The choices; their words may stand between the letters.
        stated: Whether the letter is behind a statement (`the answer is`) rather than at the beginning,
            where it may be the first of a copied list of choices.
    """
    label = _LABEL_END.match(rest)
    ends = stated and label is not None and "." in label[0]
    shown = [choice_of(letter, choices)] if ends else choices
    behind = behind_choice(rest[label.end() :] if label else rest, shown)
    places = [0] if behind is None else [0, len(rest) - len(behind)]
    if any(_leads_to_another(letter, rest, place, choices, stated) for place in places):
        return True
    return not stated and _begins_a_list(letter, rest, choices)


def has_another_behind(letter: str, text: str, start: int, *, stated: bool = False) -> bool:
    """Returns whether a text names another letter in addition to one, from a place on.

    Args:
        letter: The letter.
        text: The text.
        start: The place.
        stated: Whether words state the letter; then a reference to another one adds nothing (`see also D`).
    """
    for found in _ALSO.finditer(text, start):
        if stated and _REFERS.search(text[max(0, found.start() - 12) : found.start()]):
            continue
        (other,) = (one for one in found.groups() if one)
        sentence = _SENTENCE_END.split(text[found.start() : found.end() + _REACH], maxsplit=1)[0]
        if other not in (letter, "I") and not has_denial(sentence):
            return True
    return False


def _leads_to_another(letter: str, rest: str, place: int, choices: Sequence[str], stated: bool) -> bool:
    """Returns whether only a joint stands between a place and another letter, which the text doesn't deny."""
    while joint := _JOINT.match(rest, place):
        other = rest[joint.end() : joint.end() + 1]
        follows = rest[joint.end() + 1 :]
        if not re.fullmatch("[A-Za-z]", other) or re.match(r"[\w'’]|\.\w", follows):
            return False
        if joint.end() == place and place == 0:
            return False
        if other != letter:
            break
        place = joint.end() + 1
    else:
        return False
    named = bool(_NAMED.match(follows)) or begins_with_choice(follows.lstrip(), choice_of(other, choices))
    joined = bool(joint["joined"])
    if other.islower():
        return named and (letter.islower() or joined) and other in string.ascii_lowercase[: len(choices)]
    if stated and not joined and _NEXT_MENTION.search(joint[0]) and not _ENDS_A_LINE.match(follows):
        return False  # the next sentence is about another option
    if (other == "I" and not named) or (stated and joint["line"] and not joined):
        return False
    return (joined or named) and not _is_denied(follows, choices)


def _begins_a_list(letter: str, rest: str, choices: Sequence[str]) -> bool:
    """Returns whether a letter is the first of a list of choices, whichever it begins with."""
    if not re.match(r"\s?[.):\]}-]", rest):
        return False
    for label in _LABEL.finditer(rest):
        other, follows = label["other"], rest[label.end() :]
        if other == letter or other not in string.ascii_uppercase[: len(choices)]:
            continue
        own = begins_with_choice(follows, choice_of(other, choices))
        next_one = ord(other) == ord(letter.upper()) + 1 and (label["line"] or other == "B")
        if (own or next_one) and not _is_denied(follows, choices):
            return True
    return False


def _is_denied(follows: str, choices: Sequence[str]) -> bool:
    """Returns whether a letter, or the list of letters that it begins, is denied by what follows."""
    listed = re.match(r"(?:[\s,]*(?:\b(?:and|or)\b\s*)?[A-Z](?![\w'’]))*", follows)
    rest = follows[listed.end() :] if listed else follows
    label = _LABEL_END.match(rest)
    return is_denied_behind(rest, behind_choice(rest[label.end() :] if label else rest, choices))
