"""How a prompt and the text that continues it are joined: by one space, or by none where none belongs.

The rule looks only at the two texts, so a target is trained, scored and decoded alike. Spaces at the end of a
prompt don't count: with and without them it is the same question. (Models have hardly seen texts that go on
after a token of a single space; the space belongs to the next word.)

No space belongs

* after white space, or before it: a line break separates already;
* between texts of a script without spaces between words (Chinese, Japanese, Thai, ...);
* after an opening bracket, quotation mark or currency sign, and after a hyphen, slash or apostrophe that is
  attached to its word or sign;
* before punctuation that closes what stands before it;
* after the control token or tag that opens a model's turn, or where a chat template says so.
"""

from __future__ import annotations

import re
import unicodedata
from string import ascii_letters

ANSWER = "\ufdd2"
"""Stands at the end of a prompt that the answer follows directly; a noncharacter, which no text has."""

QUESTION = "\ufdd3"
"""Stands before and after the user's text in a chat template; a context goes between the two."""

_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf"  # Tai Le, New Tai Lue, Tai Tham
    "\u2e80-\u312f\u3190-\u4dbf\u4e00-\ua4cf"  # CJK radicals, punctuation, kana, bopomofo, ideographs, Yi
    "\ua980-\ua9df\u1b00-\u1b7f"  # Javanese, Balinese
    "\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f\uffe0-\uffef"  # compatibility and full-width forms
    "\U0001aff0-\U0001b2ff\U00020000-\U0003ffff"  # kana extensions, further ideographs
    "]"
)
"""A character of a script without spaces between words, or of its punctuation."""

_CLOSES = re.compile(r"[,;?)\]}%‰°…”»]|!(?!\w)|[.:](\s|$)|['’](s|re|ve|ll|d|m|t)(?![\w-])")
"""Punctuation at the beginning of a text that belongs to what stands before it."""

_TAG = re.compile(r"\[\|[^\[\]\s]+\|\]$")
"""A control token in brackets at the end of a prompt; those in `<>` follow from the rule for `>`."""

_SIGNS = "+-−±~≈"
_APOSTROPHES = "'’"
_QUOTES = "\"'“”„‟‘’‚‛«»‹›"
_OPERATORS = "=<>^&|×÷·@\\"


def is_unspaced(char: str) -> bool:
    """Returns whether a character belongs to a script without spaces between words, or to its punctuation."""
    return bool(_UNSPACED.match(char))


def without_end_spaces(prompt: str) -> str:
    """Returns a prompt without the spaces at its end; line breaks and tabs are kept."""
    end = len(prompt)
    while end and unicodedata.category(prompt[end - 1]) == "Zs":
        end -= 1
    return prompt[:end]


def with_space(prompt: str, continuation: str) -> str:
    """Returns the continuation with the space that separates it from the prompt, if one belongs there.

    Args:
        prompt: The prompt, without spaces at its end.
        continuation: The text that follows it.
    """
    if not prompt or not continuation or prompt.endswith(ANSWER):
        return continuation
    if prompt[-1].isspace() or continuation[0].isspace():
        return continuation
    if _run_on(prompt, continuation) or _opens(prompt, continuation) or _CLOSES.match(continuation):
        return continuation
    return f" {continuation}"


def continued(prompt: str, continuation: str) -> str:
    """Returns a prompt with its continuation."""
    prompt = without_end_spaces(prompt)
    return prompt.removesuffix(ANSWER) + with_space(prompt, continuation)


def joined_as_before(prompt: str, continuation: str) -> bool:
    """Returns whether the rule agrees with the former one: a space everywhere except next to white space."""
    if not prompt or not continuation or prompt[-1] + continuation[0] in _LETTER_PAIRS:
        return True
    space = "" if prompt[-1].isspace() or continuation[0].isspace() else " "
    return prompt == without_end_spaces(prompt) and with_space(prompt, continuation) == space + continuation


_LETTER_PAIRS = frozenset(a + b for a in ascii_letters for b in ascii_letters)


def _run_on(prompt: str, continuation: str) -> bool:
    """Returns whether both belong to a text that is written without spaces between words."""
    if _UNSPACED.match(continuation) and unicodedata.category(continuation[0])[0] == "P":
        return True
    if not _UNSPACED.match(_last_of_word(prompt)):
        return False
    if unicodedata.category(prompt[-1])[0] == "P" and _UNSPACED.match(prompt[-1]):
        return True
    first = next((char for char in continuation if char.isalnum()), "")
    if _UNSPACED.match(first):
        return True
    words = re.findall(r"[^\W\d_]+", _UNSPACED.sub(" ", prompt))
    return len(_UNSPACED.findall(prompt)) > len(words)


def _last_of_word(prompt: str) -> str:
    """Returns the last character of a prompt that shows its script: no digit, quotation mark or the like."""
    return next((char for char in reversed(prompt) if char.isalpha() or _UNSPACED.match(char)), "")


def _opens(prompt: str, continuation: str) -> bool:
    """Returns whether the prompt ends with a character that is attached to what follows."""
    last = prompt[-1]
    if last.isalnum():
        return False
    before = (prompt.rstrip(last) if last in "*`_" else prompt[:-1])[-1:]
    kind = unicodedata.category(last)
    detached = not before or before.isspace() or unicodedata.category(before) in ("Ps", "Pi")
    if last in _QUOTES:
        return _opens_quote(prompt[:-1], last, detached)
    if kind == "Ps" or last in "¿¡":
        return True
    if kind == "Sc":  # `costs $`, but `100 €`
        return not prompt[:-1].rstrip()[-1:].isdigit()
    if detached and last in _SIGNS and (continuation[0].isdigit() or continuation[0] == "."):
        return True
    if detached:  # a dash or an operator between spaces, or an opening mark
        return not before or last in "#@*`_"
    if kind in ("Pd", "Pc") or last in f"/−{_OPERATORS}":
        return True
    return (last in "+*" and before.isdigit()) or bool(_TAG.search(prompt))


def _opens_quote(earlier: str, last: str, detached: bool) -> bool:
    """Returns whether a quotation mark after a text opens a quotation, or is an attached apostrophe."""
    before = earlier[-1:]
    if detached or before in "-–—/":
        return True
    if last == '"':
        return earlier.count('"') % 2 == 0 and not before.isdigit()
    if last in _APOSTROPHES:
        return not (before.isdigit() or _quoting(earlier) or _possessive(earlier))
    if last in _CLOSED_BY:  # `“` closes a quotation that `„` opens
        opener = _CLOSED_BY[last]
        return earlier.count(opener) <= earlier.count(last)
    return last in "„‚‟‛"


_CLOSED_BY = {"“": "„", "‘": "‚", "«": "»", "‹": "›"}
"""Marks that open a quotation, unless it was opened by the other one."""


def _quoting(text: str) -> bool:
    """Returns whether a single quotation mark is open at the end of a text."""
    opened = len(re.findall(r"(?<!\w)['‘](?=\w)", text))
    return opened > len(re.findall(r"(?<=[\w.,!?])['’](?!\w)", text))


def _possessive(text: str) -> bool:
    """Returns whether the last word is a plural or name in s, whose apostrophe ends it (`the players'`)."""
    return bool(re.search(r"\w[sSxzXZ]$", text))
