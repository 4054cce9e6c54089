"""The questions that edits ask: which edits ask the same one, and which are in force after a number of edits.

Two edits ask the same question if their prompts with the subject filled in are the same text but for the
punctuation around it, or if they have the same subject and the same relation. A later edit of the same
question supersedes the earlier one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from sequela.edits.edit import BLANK, Edit

_EDGES = " .,;:!?…\"'“”‘’«»„()[]"
"""Characters around an answer that do not distinguish it from another one."""
_QUESTION_ENDS = " .,;:!?…。、؟؛।"
_QUESTION_BEGINNINGS = " ¿¡"
"""Punctuation around a question that does not distinguish it from another one."""
_DASH = re.compile("[\u2010-\u2015\u2212]")
_APOSTROPHE = re.compile("[\u2018\u2019\u02bc\u00b4`]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ARTICLE = re.compile(r"^(?:the|an?)\s+")


Key = Callable[[str], str]
"""Returns a text without the differences that don't count."""


def folded(text: str) -> str:
    """Returns a text without differences in case, Unicode form and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def question_key(text: str) -> str:
    """Returns a text without differences that don't make another question of it.

    They are those of case, Unicode form and white space, and the punctuation at its end: `The capital of Peru
    is` and `The capital of Peru is:` are one question.
    """
    whole = folded(text)
    return whole.rstrip(_QUESTION_ENDS).lstrip(_QUESTION_BEGINNINGS) or whole


def same_answer(one: str, other: str) -> bool:
    """Returns whether two answers differ at most in case, Unicode form, white space, article and punctuation.

    The kinds of dashes and apostrophes don't count either, nor do commas between words and thousands. Signs
    that belong to an answer are kept: `C#` and `C`, `-3` and `3`, `5%` and `5` are different answers.
    """
    return _answer_key(_one_spelling(one)) == _answer_key(_one_spelling(other))


def same_answer_by_spelling(one: str, other: str) -> bool:
    """Returns whether two answers are the same only by the rules for dashes, apostrophes and commas.

    Earlier versions did not have these rules.
    """
    return same_answer(one, other) and _answer_key(one) != _answer_key(other)


def _one_spelling(text: str) -> str:
    """Returns a text with one kind of dash and apostrophe, and without commas between words and thousands."""
    text = _APOSTROPHE.sub("'", _DASH.sub("-", unicodedata.normalize("NFKC", text)))
    return _THOUSANDS.sub("", text).replace(", ", " ")


def _answer_key(text: str) -> str:
    whole = folded(text)
    bare = whole.strip(_EDGES) or whole
    return _ARTICLE.sub("", bare)


def punctuation_matters(edits: Sequence[Edit]) -> bool:
    """Returns whether edits ask the same question only because punctuation at the end doesn't count.

    Earlier versions did not have this rule.
    """
    prompts = [
        (edit, prompt)
        for edit in edits
        for prompt in (
            *edit.paraphrases,
            *(probe.prompt for probe in (*edit.neighborhood, *edit.portability)),
        )
    ]
    texts = (text for edit in edits for text in (edit.question, edit.subject or ""))
    if not any(map(_has_punctuation, (*texts, *(prompt for _, prompt in prompts)))):
        return False
    now, before = Questions(edits), Questions(edits, folded)
    if now.repeated() != before.repeated():
        return True
    return any(
        now.asking(prompt) != before.asking(prompt)
        or now.rewording(prompt, edit.relation) != before.rewording(prompt, edit.relation)
        for edit, prompt in prompts
    )


def _has_punctuation(text: str) -> bool:
    """Returns whether there may be punctuation around a text; quick, since sets have many texts."""
    bare = text.strip()
    return bool(bare) and "P" in (unicodedata.category(bare[0])[0], unicodedata.category(bare[-1])[0])


class Questions:
    """The questions of a sequence of edits.

    Args:
        edits: The edits in the order in which they are applied.
        key: The differences between prompts that don't count.
    """

    def __init__(self, edits: Sequence[Edit], key: Key = question_key) -> None:
        self.edits = tuple(edits)
        self._key = key
        self._position = {edit.id: i for i, edit in enumerate(self.edits)}
        self._by_text: dict[str, list[int]] = defaultdict(list)
        self._by_paraphrase: dict[str, list[int]] = defaultdict(list)
        self._by_fact: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._forms: dict[str, dict[_Form, None]] = defaultdict(dict)
        for i, edit in enumerate(self.edits):
            self._by_text[key(edit.question)].append(i)
            for paraphrase in dict.fromkeys(map(key, edit.paraphrases)):
                self._by_paraphrase[paraphrase].append(i)
            if edit.relation is not None and edit.subject is not None:
                self._by_fact[edit.relation, key(edit.subject)].append(i)
                self._forms[edit.relation][_Form.of(edit.prompt, key)] = None
        same = (*self._by_text.values(), *self._by_fact.values())
        self._question_of = _connected(len(self.edits), same)
        self._members: dict[int, list[int]] = defaultdict(list)
        for i, question in enumerate(self._question_of):
            self._members[question].append(i)

    @property
    def count(self) -> int:
        """The number of different questions."""
        return len(self._members)

    def repeated(self) -> list[tuple[Edit, ...]]:
        """Returns the edits of each question that several edits ask, in order."""
        return [tuple(self.edits[i] for i in same) for same in self._members.values() if len(same) > 1]

    def same_question(self, edit: Edit) -> list[tuple[int, Edit]]:
        """Returns the edits with an edit's question, itself included, with their positions from 0.

        The list is empty if the edit is not among those of the sequence.
        """
        position = self._position.get(edit.id)
        if position is None:
            return []
        return [(i, self.edits[i]) for i in self._members[self._question_of[position]]]

    def asking(self, prompt: str) -> list[tuple[int, Edit]]:
        """Returns the edits whose question is a prompt, word for word, with their positions from 0."""
        return [(i, self.edits[i]) for i in self._by_text.get(self._key(prompt), ())]

    def rewording(self, prompt: str, relation: str | None = None) -> list[tuple[int, Edit]]:
        """Returns the edits whose question a prompt asks in other words, with their positions from 0.

        It is one of their paraphrases, or it asks for the same subject and relation in the words of another
        edit of the relation.

        Args:
            prompt: The prompt.
            relation: The relation that the prompt is about, if known.
        """
        key = self._key(prompt)
        found = dict.fromkeys(self._by_paraphrase.get(key, ()))
        for form in self._forms.get(relation, ()) if relation is not None else ():
            subject = form.subject_of(key, self._key)
            if subject is not None and relation is not None:
                found |= dict.fromkeys(self._by_fact.get((relation, subject), ()))
        word_for_word = self._by_text.get(key, ())
        return [(i, self.edits[i]) for i in sorted(found) if i not in word_for_word]


@dataclass(frozen=True)
class EditsInForce:
    """The edits that a model has after some edits of a sequence: those that no later one has superseded.

    Args:
        questions: The questions of all edits of the sequence.
        n_edits: The number of edits applied, from the first on.
        dropped: The ids of those among them that could not be applied.
    """

    questions: Questions
    n_edits: int
    dropped: frozenset[str] = frozenset()

    @classmethod
    def of(cls, edits: Sequence[Edit]) -> EditsInForce:
        """Returns what is in force after all of these edits; after none, it is the unedited model."""
        return cls(Questions(edits), len(edits))

    def superseding(self, edit: Edit) -> Edit | None:
        """Returns the last applied edit of the same question, if it is later than `edit`; None otherwise."""
        same = self.questions.same_question(edit)
        own = next((i for i, one in same if one.id == edit.id), 0)
        last = self._last_applied(same)
        return last[1] if last is not None and last[0] > own else None

    def asking(self, prompt: str, relation: str | None = None) -> Edit | None:
        """Returns the last applied edit that asks a prompt, in these or other words; None if there is none.

        Args:
            prompt: The prompt.
            relation: The relation that the prompt is about, if known.
        """
        asking = (*self.questions.asking(prompt), *self.questions.rewording(prompt, relation))
        last = self._last_applied(asking)
        return None if last is None else last[1]

    def _last_applied(self, edits: Iterable[tuple[int, Edit]]) -> tuple[int, Edit] | None:
        applied = [(i, one) for i, one in edits if i < self.n_edits and one.id not in self.dropped]
        return max(applied, key=lambda pair: pair[0], default=None)


@dataclass(frozen=True)
class _Form:
    """The folded text of a prompt before and after its subject."""

    before: str
    after: str

    @classmethod
    def of(cls, prompt: str, key: Key) -> _Form:
        before, _, after = key(prompt).partition(BLANK)
        return cls(before, after)

    def subject_of(self, prompt: str, key: Key) -> str | None:
        """Returns the folded subject of a folded prompt in this form; None if it has another form."""
        start, stop = len(self.before), len(prompt) - len(self.after)
        if start >= stop or not (prompt.startswith(self.before) and prompt.endswith(self.after)):
            return None
        return key(prompt[start:stop])


def _connected(count: int, groups: Collection[Sequence[int]]) -> list[int]:
    """Returns, for each number below `count`, the smallest number that the groups connect it with."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for group in groups:
        for other in group[1:]:
            first, second = sorted((root(group[0]), root(other)))
            parent[second] = first
    return [root(i) for i in range(count)]
