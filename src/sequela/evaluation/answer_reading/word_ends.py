"""The ends of words: compounds, changes of script, and endings of Korean nouns.

Where that can't be decided without a dictionary, a word is taken to go on, so that no part of another word
counts as an answer.
"""

from __future__ import annotations

import re
import unicodedata

from sequela.core.joining import is_unspaced

ATTACHED = "\u2063"
"""Stands at both sides of the `and` that is written for an attached `&`: `R&B`."""

_VARIANTS = "\ufe0e\ufe0f"
"""Marks of the form in which a sign is shown."""

WORD_SIGNS = "+#°♯♭∗"
"""Signs that belong to a word: `C++`, `C#` and `A*` (with a star of Unicode) are not `C` and `A`."""
_INNER_SIGNS = WORD_SIGNS + "\u2212\u2024"
"""Also a minus and a point that belong to the word, as `names` writes them."""

_JOINS = re.compile(rf"{ATTACHED}|(?:-(?!-)|[_/@~^=|·・‧․.:*])(?=\w)")
"""A sign with which a word goes on: `Jean-Paul`, `Node.js`, `AC/DC`."""
_JOINED = re.compile(rf"(?:{ATTACHED}|(?<=\w)(?:-|[_/@~^=|·・‧․.:])|(?:^|(?<=\s))[@#])\Z")
"""The same at the end of what stands before a word."""
_ALPHABETS = {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "COPTIC"}
"""Scripts with letters of the same form; a word with letters of two of them is one word."""
_NOUN_SUFFIX = re.compile(r"(?:人(?!口)|语|語|式|族|版|製)")
"""Suffixes that make another noun: `日本人` is not `日本`."""


def goes_on(last: str, rest: str) -> bool:
    """Returns whether a word goes on behind a part of it, in letters or behind a sign that joins words.

    In scripts without spaces between words, a word ends anywhere but in a row of katakana and before the
    suffix of another noun; in Korean, before a particle; and in every script, where another begins.

    Args:
        last: The last character of the part.
        rest: The text behind it.
    """
    if not rest:
        return False
    first = rest[0]
    if first in _INNER_SIGNS or unicodedata.category(first).startswith("M"):
        return True
    if not first.isalnum():
        return bool(_JOINS.match(rest)) or _stands_within(last, first, rest[1:].lstrip(_VARIANTS)[:1])
    here, there = script(last), script(first)
    if there == "HANGUL":
        return not _ends_a_noun(last, rest)
    if is_unspaced(last) or is_unspaced(first):
        kana = here.startswith("KATAKANA") and (there == "KATAKANA" or first == "ー")
        return kana or bool(_NOUN_SUFFIX.match(rest))
    if here == "HANGUL":
        return first.isdigit()
    return here == there or not (last.isalpha() and first.isalpha()) or {here, there} <= _ALPHABETS


def has_begun(before: str, first: str) -> bool:
    """Returns whether a word has begun before a part of it.

    Args:
        before: The text before the part.
        first: The first character of the part.
    """
    if not before:
        return False
    last = before[-1]
    if last in _INNER_SIGNS:
        return True
    if not (last.isalnum() or unicodedata.category(last).startswith("M")):
        inner = before[:-1].rstrip(_VARIANTS) if last in _VARIANTS else before
        return bool(_JOINED.search(before[-4:])) or _stands_within(inner[-2:-1], inner[-1:], first)
    here, there = script(last), script(first)
    if is_unspaced(last) or is_unspaced(first):
        return here == there == "KATAKANA" or (last == "ー" and there == "KATAKANA")
    return here == there or not (last.isalpha() and first.isalpha()) or {here, there} <= _ALPHABETS


def _stands_within(last: str, sign: str, first: str) -> bool:
    """Returns whether a sign between two letters stands for a letter, as in `Ke$ha`, `P!nk` and `AC⚡DC`."""
    if not (last.isalpha() and first.isalpha()) or is_unspaced(last) or is_unspaced(first):
        return False
    return sign == "!" or unicodedata.category(sign) in ("Sc", "So", "Sk")


def is_abbreviated(words: str, rest: str) -> bool:
    """Returns whether words end in an abbreviation of what a name begins with: the `St` of `St. Louis`.

    Args:
        words: The words, in small letters.
        rest: The text behind them.
    """
    return bool(_ABBREVIATION.search(words) and _NAME_GOES_ON.match(rest))


_ABBREVIATION = re.compile(
    r"(?:^|\s)(?:st|sts|ste|sta|mt|mts|ft|pt|dr|drs|mr|mrs|ms|messrs|mme|mlle|prof|gen|col|lt|sgt|cpl|pvt|capt|cmdr|cdr|adm|maj"
    r"|brig|rev|fr|hon|sen|rep|gov|pres|amb|supt|bros)\Z"
)
_NAME_GOES_ON = re.compile(
    r"\.\s?(?!(?:it|this|that|these|the|he|she|they|there|in|on|at|an?|yes|no|i|we|you|so|and|or|but|as|if|is|was)\b)[^\W\d_]"
)


def script(character: str) -> str:
    """Returns the script of a letter as Unicode names it, such as `LATIN`; `DIGIT` for a digit."""
    return "DIGIT" if character.isdigit() else unicodedata.name(character, "").split(" ")[0]


# Korean

_AFTER_CONSONANT = r"(?:은|이|을|과|이나|이랑|이란|이든지?|이라도|이야말로)"
_AFTER_VOWEL = r"(?:는|가|를|와|나|랑|란|든지?|라도|야말로)"
_AFTER_ANY = (
    r"(?:(?:에서|에게서?|에|께서?|한테서?|까지|부터|처럼|같이|보다|만큼|조차|마저|밖에|뿐|만|하고|마다|대로)"
    r"(?:은|는|도|만|의|이|을|까지|부터|이나|나|이다|입니다)?|의|도)"
)
_TOWARDS = r"로(?:서|써|부터)?(?:는|도|만|의|까지)?"
_COPULA = (
    r"(?:입니[다까]|이다|인데요?|인지|이었[가-힣]{1,4}|이[에예]요|이며|이고요?|이라(?:고(?:합니다|한다|해요)?|는|서|며)?"
    r"|이지(?:만|요)|이죠|이네요|이군요|이랍니다|이므로|이니까?)"
)
_COPULA_AFTER_CONSONANT = r"(?:이야|이지|이네|이여)"
_COPULA_AFTER_VOWEL = (
    r"(?:다|야|[예에]요|였[가-힣]{1,4}|며|라(?:고(?:합니다|한다|해요)?|는|서)|지(?:만|요)|죠|네요|군요|랍니다"
    r"|므로|니까)"
)
_ENDINGS = {
    True: re.compile(rf"{_AFTER_CONSONANT}|{_AFTER_ANY}|으{_TOWARDS}|{_COPULA}|{_COPULA_AFTER_CONSONANT}"),
    False: re.compile(rf"{_AFTER_VOWEL}|{_AFTER_ANY}|{_TOWARDS}|{_COPULA}|{_COPULA_AFTER_VOWEL}"),
}
"""The endings of a Korean noun, particles and forms of the copula, after a consonant and after a vowel."""
_HANGUL = re.compile(r"[가-힣]+")
_SYLLABLES, _FINALS, _FINAL_L = 0xAC00, 28, 8


def _ends_a_noun(last: str, rest: str) -> bool:
    """Returns whether the Korean syllables at the beginning of a text are the ending of the noun before."""
    syllables = _HANGUL.match(rest)
    if syllables is None:
        return False
    ending = syllables[0]
    if script(last) != "HANGUL":
        return any(pattern.fullmatch(ending) for pattern in _ENDINGS.values())
    final = (ord(last) - _SYLLABLES) % _FINALS
    if final == _FINAL_L and re.fullmatch(_TOWARDS, ending):
        return True
    return bool(_ENDINGS[final > 0].fullmatch(ending))
