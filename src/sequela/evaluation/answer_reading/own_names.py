"""Names that are pronouns or other words of every sentence, such as The Who, It, Us and IT."""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.other_answers import states_another
from sequela.evaluation.answer_reading.retractions import around, is_alternative, is_denied

_ENDS = r"(?![\w*]|['’-]\w)"
_ENDS_A_SENTENCE = re.compile(r"[\s\"'”’»)\]*_`]*(?:[.!?]+[\s\"'”’»)\]*_`]*)?\Z")
_ARTICLE = re.compile(r"(?i)(?:the|an?)\s+(?=\S)")
_OPENING = re.compile(r"(?:\A|[.!?:\n]\s|[\n])[\s\"'“‘«(\[*_`]*\Z")
_VERB = re.compile(
    r"\b(?:is|are|was|were|am|be|has|have|had|does|do|did|will|would|can|could|should|must|may|might|think|know|knew"
    r"|believe|guess|say|said|says|seems?)\b|['’](?:s|re|m|ll|d|ve)\b"
)
_RELATIVE = re.compile(
    r"\b(?:which|that|who|whose|whom|where|when|by|from|about|in|on|of|with|for|starring|featuring)\b|[,;(]"
)
_APPOSITION = re.compile(r"\s*[,:–—-]+\s+(?P<article>an?|the)\s+(?P<noun>[^.!?\n]*)", re.IGNORECASE)
_ABOUT_A_WORK = re.compile(
    r"[\"'”’»)\]*_`]*\s*(?:\(|\[|,?\s+by\s+\w|[,–—-]+\s+(?:by|from|starring|directed|written|released|featuring|recorded"
    r"|published|performed|formed|founded|also\s+known|\d{4})\b)"
)
_NOT_A_SUBJECT = re.compile(
    r"(?:me|him|her|us|them|whom|you|we|they|my|your|our|their|these|those)", re.IGNORECASE
)
_INTERJECTION = re.compile(r"(?:yes|no|so|not|and|or|but|if|to|do)\b", re.IGNORECASE)


def says_own_name(text: str, name: str) -> bool:
    """Returns whether a text says a name of pronouns or of one letter, rather than the words themselves.

    The name has to be written as it is, with its capitals, and to be in quotation marks or emphasized,
    within a sentence, in capitals only, with its article, or followed by words about it: `Us, a film`, `It
    (film)`, `Them is by ...`. Otherwise the text is taken not to say it.
    """
    if article := _ARTICLE.match(name):
        bare = name[article.end() :]
        article_form = rf"(?i:{re.escape(article[0].strip())})\s+"
        found = re.finditer(rf"(?<![\w'’-]){article_form}{re.escape(bare)}{_ENDS}", text)
        return bare[:1].isupper() and any(_counts(text, match) for match in found)
    quoted = re.finditer(rf"(?<=[\"“‘«*_]){re.escape(name)}(?=[\"”’»*_.,])", text)
    if len(name) > 1 and any(_counts(text, match) for match in quoted):
        return True
    matches = re.finditer(rf"(?<![\w'’.&/-]){re.escape(name)}{_ENDS}", text)
    return any(_is_name(text, match) and _counts(text, match) for match in matches)


def _counts(text: str, match: re.Match[str]) -> bool:
    before, after = around(text, *match.span())
    if is_denied(before, after) or is_alternative(before, after):
        return False
    return not states_another(before, match[0], after)


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Returns whether a word that is written like the name is meant as a name."""
    name, (before, after) = match[0], around(text, *match.span())
    if not name[:1].isupper():
        return False
    if _OPENING.search(before):
        if _ENDS_A_SENTENCE.match(after):
            return True
        if _ABOUT_A_WORK.match(after) or (
            _NOT_A_SUBJECT.fullmatch(name) and re.match(r"\s+(?:is|was)\b", after)
        ):
            return not _INTERJECTION.match(name)
        return _is_apposition(name, after) or (_is_in_capitals(name) and not text.isupper())
    if len(name) == 1:
        return False
    return _is_in_capitals(name) or bool(re.search(r"[\w,(\"“'] \Z", before))


def _is_in_capitals(name: str) -> bool:
    return len(name) > 1 and name.isalpha() and name.isupper()


def _is_apposition(name: str, after: str) -> bool:
    """Returns whether a noun follows that says what the name is: `Us, a film`; not `You, the reader, are`."""
    match = _APPOSITION.match(after)
    if match is None or (_INTERJECTION.match(name) and match["article"].casefold() == "the"):
        return False
    noun = _RELATIVE.split(match["noun"], maxsplit=1)[0]
    rest = match["noun"][len(noun) :]
    return bool(noun.strip()) and not _VERB.search(noun) and not (rest.startswith(",") and _VERB.search(rest))
