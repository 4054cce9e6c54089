"""Reading of the letter that a text chooses.

A letter counts if it is in the form of an answer: alone, labeled (`B)`, `B.`, `(B)`), before its own
choice's text, or before a word that goes on about an answer (`B is`, `B because`). The rule is the same for
every letter; in particular, `A` is treated like the others, so that the article "a" and the answer A need
no exception. Two letters are no answer, and neither is a letter that the text denies.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence

from sequela.evaluation.answer_reading.markup import composed, plain
from sequela.evaluation.answer_reading.statements import first_question

_OPENING = r"[\s*_\"'`“”„‘’‚«»‹›「」『』(\[{【〔<>《〈$:,;.•·#=→⇒➡>✅✔👉—-]*"
_STRICT_OPENING = r"[\s*_\"'`“”‘’(]*"
_LETTER = r"(?P<letter>[A-Z])"
_ANY_LETTER = r"(?P<letter>[A-Za-z])"
_CLOSING = re.compile(r"[\s*_\"'`“”„‘’‚«»‹›「」『』)\]}】〕>》〉$]*")

_CONTINUES = re.compile(
    r"\s+(?:is|was|because|since|as|would|will|must|should|seems|appears|has\s+to|looks|fits|makes)\b"
    r"|\s+(?:i\s+(?:think|believe|guess|suppose|say)|it\s+is\s*(?:\W|$))",
    re.IGNORECASE,
)
"""Words after a letter that go on about an answer; "a cat" and "vitamin C deficiency" have others."""
_DENIED = re.compile(
    r"[\s*_\"'`)\]]*(?:is|was|are|would\s+be|seems|can|must)?\s*"
    r"(?:n['’]t|not|never|wrong|incorrect|false|cannot|impossible|out\b|eliminated)",
    re.IGNORECASE,
)
_LABEL_ENDS = re.compile(
    r"\s*(?:$|[.)\]:;,!…。、]|[-→]>?\s|—|\n)|\s+(?:\(|(?:not|rather\s+than|instead\s+of|over)\b)"
)
_ABBREVIATION = re.compile(r"\.\w(?:\W|$)")
_ANOTHER = re.compile(
    r"\s*[(\[]?(?:(?:,|;|/|&|\||\+|-|\.|\)|\]|:)\s*)*(?:(?:and|or|nor|and/or|versus|vs\.?)\b[\s,]*)?"
    r"(?:(?:maybe|perhaps|possibly|even|also|both|either|option|choice|answer)\s+)*[(\[{]*(?P<other>[A-Z])(?![\w'’])"
    r"(?P<after>[^\n]{0,2})"
)
_LIST = re.compile(r"\s*[.):-][^\n]*(?:\n\s*|\s)[(\[]?B[.):-]\s")
"""The rest of a copied list of choices after its A."""
_JOINED = re.compile(r"\b(?:and|or|nor|and/or|versus|vs)\b|[/&|]", re.IGNORECASE)


def first_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter that a text begins with."""
    bare = composed(text)
    match = re.match(_STRICT_OPENING + _LETTER, bare[_label_end(bare, choices) :])
    return match and _chosen(match, choices)


def stated_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter of the last statement, such as `the answer is B`."""
    return _stated(plain(first_question(text)), choices)


def chosen_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter that a text chooses, at its beginning or in a statement, in any markup."""
    boxed = BOXED.findall(text)
    if boxed and (letter := _beginning_letter(plain(boxed[-1]), choices)):
        return letter
    bare = plain(first_question(text))
    if _STARRED.match(text):
        return None
    return _beginning_letter(bare, choices) or _stated(bare, choices)


BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_ECHO = re.compile(r"^\s*A\s*:\s*")
_INTERJECTIONS = re.compile(
    r"(?:\s*(?:sure|ok|okay|yes|certainly|of\s+course|absolutely|well|right|alright|probably|definitely|clearly|likely|surely)\b[\s,.!:;-]*)*",
    re.IGNORECASE,
)
"""The words that some models say before an answer; there may be none."""
_STARRED = re.compile(r"[^*]*?(?<![\w*])[A-Z]\*(?:\s|$)")
"""A letter with a star of its own, as in `A* search`, rather than emphasis."""


def _beginning_letter(text: str, choices: Sequence[str]) -> str | None:
    rest = text[_label_end(text, choices) :]
    match = re.match(_OPENING + _ANY_LETTER, _INTERJECTIONS.sub("", rest, count=1))
    return match and _chosen(match, choices)


def _label_end(text: str, choices: Sequence[str]) -> int:
    """Returns where the text begins behind an echoed `A:`, the label of an answer rather than the answer."""
    echo = _ECHO.match(text)
    return echo.end() if echo and not (choices and _begins(text[echo.end() :], choices[0])) else 0


def _begins(text: str, choice: str) -> bool:
    """Returns whether a text begins with the words of a choice."""
    own = choice.strip().casefold()
    return bool(own) and text.casefold().startswith(own) and not text[len(own) : len(own) + 1].isalnum()


_ANSWER_WORDS = (
    "answer|ans|option|choice|solution|response|letter|pick|selection|guess|conclusion|"
    "antwort|lösung|réponse|reponse|respuesta|resposta|risposta|antwoord|svar|odpowiedź|odpověď|cevap|yanıt|"
    "vastaus|răspuns|válasz|ответ|відповідь|απάντηση|الإجابة|الجواب|תשובה|उत्तर|คำตอบ|đáp\\s+án|trả\\s+lời|jawaban"
)
_UNSPACED_WORDS = "答案|答え|正解|解答|回答|选项|選項|选择|選擇|选|選|정답|답"
_MARKS = r"(?:correct|right|best|final|selected|chosen|result|verdict)\s*[:=]"
"""Other words that state an answer, if a colon follows."""
_LINK = (
    r"(?:\s+(?!not\b|never\b|cannot\b|\w+n['’]t\b)[\w'’]+){0,6}?\s*"
    r"(?:\b(?:is|was|be|are|being|equals|becomes|est|ist|es|é|è)\b|[:=→—]|->|\s-|['’]s\b|是|는|은|は)"
)
_WORD_ENDS = r"(?!['’]\w|[^\W가-힣一-鿿ぁ-ヿ])"
"""The end of a letter's word; in some scripts, words run on."""
_STATEMENT = re.compile(
    rf"(?:\b(?:{unicodedata.normalize('NFKC', _ANSWER_WORDS)})\b(?:{_LINK})?|\b{_MARKS}"
    rf"|\b(?:choose|pick|select|vote|go(?:ing)?\s+with)\b|(?:{_UNSPACED_WORDS})\s*(?:是|は|는|은|选|為|为)?"
    r"|\b(?:it|that|this)\s*(?:is|['’]s|must\s+be|should\s+be|(?:would|['’]d)\s+be|has\s+to\s+be)\b"
    r"|\b(?:i|we)(?:\s+would|\s+will|['’]d|['’]ll|\s+have\s+to)?"
    r"\s+(?:choose|pick|select|say|go\s+with|think|believe|vote\s+for)\b"
    r"(?:\s+(?:it\s+is|it['’]s|that))?"
    r"|\b(?:so|therefore|thus|hence|finally)\b)"
    rf"(?:\s*(?:probably|likely|clearly|definitely|therefore|thus|then|simply|just|the|option|choice|letter|answer|number|"
    rf"most\s+likely)\b){{0,8}}{_OPENING}{_ANY_LETTER}{_WORD_ENDS}",
    re.IGNORECASE,
)
_POSTFIX = re.compile(
    r"(?<![\w'’])[(\[]?(?P<letter>[A-Z])[)\].]?\s+(?:is|was|would\s+be|must\s+be|should\s+be|seems|looks)\s+(?:also\s+)?"
    r"(?:the\s+|a\s+)?(?:most\s+|only\s+|best\s+|more\s+)?(?:correct|right|best|true|answer|appropriate|accurate|likely|solution)\b"
)
_INSTEAD = re.compile(
    rf"\bnot\s+{_OPENING}[A-Za-z]\b[)\]]?[,;]?\s*(?:but|rather|instead)(?:\s+(?:rather|it\s+is|it['’]s|option)){{0,3}}{_OPENING}{_ANY_LETTER}(?![\w'’])",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(r"(?<![\w'’])[A-Z][)\]]*[\s,]*(?:\b(?:and|or|nor)|[/&|])\s*\Z")
"""A letter that is an alternative to the statement behind it: `option A or option B`."""

_DOUBTED = re.compile(r"(?i)(?:\bdon['’]t|\bdo\s+not|\bdoubt)\s+(?:(?!but\b|so\b|know\b)\w+\s+){0,3}\Z")
"""Doubt about the statement behind it: `I don't think it's A`."""


_NEAR = 200
"""The number of characters before a statement that are read for words that take it back."""


def _stated(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter of the last statement; none if that states several or a denied one."""
    found: list[tuple[int, str | None]] = []
    for pattern in (_STATEMENT, _POSTFIX, _INSTEAD):
        for match in pattern.finditer(text):
            lower = match["letter"].islower()
            near = max(0, match.start() - _NEAR)
            if pattern is _STATEMENT and lower and not _LABEL_ENDS.match(text, match.end("letter")):
                continue  # "the answer is a cat"
            if pattern is _POSTFIX:
                before = text[near : match.start()]
                several = re.search(r"(?:\b(?:and|or|nor|neither|not)|[/&|,])\s*[(\[]?$", before)
                found.append((match.start("letter"), None if several else _within(match["letter"], choices)))
            elif _ALTERNATIVE.search(text, near, match.start()) or _DOUBTED.search(text, near, match.start()):
                found.append((match.start("letter"), None))
            else:
                found.append((match.start("letter"), _chosen(match, choices)))
    return max(found, key=lambda one: one[0])[1] if found else None


def _chosen(found: re.Match[str], choices: Sequence[str]) -> str | None:
    """Returns the matched letter if what follows leaves it an answer."""
    letter = _within(found["letter"], choices)
    rest = found.string[found.end("letter") :]
    if letter is None or _ABBREVIATION.match(rest):
        return None
    closing = match[0] if (match := _CLOSING.match(rest)) else ""
    after = rest[len(closing) :]
    closed = bool(closing.strip(" \t\n*_'’`")) or "\n" in closing
    if _DENIED.match(rest) or _is_one_of_several(found["letter"], rest):
        return None
    if not after.strip() and not re.match(r"['’]\w", rest):
        return letter
    if after.startswith("?"):
        return None if after[1:].strip() else letter
    if re.match(r"[가-힣一-鿿ぁ-ヿ]", rest):
        return letter
    if _goes_on_in_a_word(rest):
        return None
    if closed or _LABEL_ENDS.match(rest[len(closing.rstrip()) :]):
        return letter
    if _begins(after, choices[string.ascii_uppercase.index(letter)]):
        return letter
    continues = letter != "I" and _CONTINUES.match(rest)
    return letter if continues else None


def _goes_on_in_a_word(rest: str) -> bool:
    """Returns whether a letter is only the first of a word, as in `C++`, `B-flat`, `D's`, `A1`, `A*`."""
    return bool(re.match(r"\w|['’]\w|[+#^&%@=|/\\]|-(?!>)\S|-$|\*\w|:[\\/]", rest))


def _is_one_of_several(letter: str, rest: str) -> bool:
    """Returns whether a letter is followed by another one, as an alternative or in a list of choices."""
    if re.match(r"\s*(?:[-=]?>|=|<|→)\s*[A-Z](?![\w'’])", rest):
        return True
    another = _ANOTHER.match(rest)
    if another and another["other"] != letter:
        between, after = rest[: another.start("other")], another["after"]
        if _JOINED.search(between):
            return not re.match(r"\.\w", after)
        if re.search(r"[-+]", between):
            return False
        if another["other"] != "I" and re.match(r"\s*(?:$|\n|[.,;/&|)\]:])|\s+[A-Z](?![\w'’])", after + " "):
            return not (":" in between and letter == "A")
        follows = rest[another.end("other") :]
        if re.match(r"\s*(?:$|[.,;/&|)\]:]|(?:and|or)\b|[A-Z](?![\w'’]))", follows):
            return not (":" in between and letter == "A")
    return letter == "A" and bool(_LIST.match(rest))


def _within(letter: str, choices: Sequence[str]) -> str | None:
    upper = letter.upper()
    return upper if upper in string.ascii_uppercase[: len(choices)] else None
