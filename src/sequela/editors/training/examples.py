"""What an editor is trained on: an edit, the same in other words, and a question that must stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from sequela.core.errors import BadInputError
from sequela.edits import Edit, EditSet
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt

MIN_TRAINING_EDITS = 20
"""Fewer than so many edits train nothing."""


@dataclass(frozen=True)
class Wording:
    """How an edit is seen in a batch.

    Args:
        question: The edit's own prompt, its subject in place.
        answer: The edit's target.
        paraphrase: Another phrasing.
        neighbor: An unrelated prompt.
        neighbor_answer: Its own right answer.
    """

    question: str
    answer: str
    paraphrase: str
    neighbor: str
    neighbor_answer: str


@dataclass(frozen=True)
class Examples:
    """One row of each kind for every edit of a batch, all with targets.

    Args:
        prompts: The edits' own prompts.
        paraphrases: Other phrasings, with the edits' targets.
        neighbors: Unrelated prompts, with their own right answers.
        wordings: The texts behind them.
    """

    prompts: tuple[TokenizedPrompt, ...]
    paraphrases: tuple[TokenizedPrompt, ...]
    neighbors: tuple[TokenizedPrompt, ...]
    wordings: tuple[Wording, ...]

    @classmethod
    def of(cls, model: LanguageModel, edits: Sequence[Edit], seed: str) -> Examples:
        """The examples of a batch; which phrasing and which neighbor an edit is seen with, the seed says."""
        random = Random(seed)
        tokenizer = model.tokenizer
        prompts, paraphrases, neighbors, wordings = [], [], [], []
        for edit in edits:
            prompts.append(tokenize_prompt(tokenizer, edit.prompt, edit.subject, edit.target_new))
            other = random.choice(edit.paraphrases)
            paraphrases.append(tokenize_prompt(tokenizer, other, target=edit.target_new))
            probe, answer = random.choice(_answered(edit))
            neighbors.append(tokenize_prompt(tokenizer, probe, target=answer))
            wordings.append(Wording(edit.question, edit.target_new, other, probe, answer))
        return cls(tuple(prompts), tuple(paraphrases), tuple(neighbors), tuple(wordings))

    def __len__(self) -> int:
        return len(self.prompts)

    def split(self, size: int) -> list[Examples]:
        """The same in smaller batches."""
        return [
            Examples(
                self.prompts[at : at + size],
                self.paraphrases[at : at + size],
                self.neighbors[at : at + size],
                self.wordings[at : at + size],
            )
            for at in range(0, len(self.prompts), size)
        ]


@dataclass(frozen=True)
class TrainingEdits:
    """Edits to train on, and edits held out.

    Args:
        name: Where they came from.
        content_hash: A hash of all of them.
        train: Those that are trained on.
        held_out: Those that tell how it goes.
        n_left_out: How many had no paraphrase or no neighbor with an answer.
    """

    name: str
    content_hash: str
    train: tuple[Edit, ...]
    held_out: tuple[Edit, ...]
    n_left_out: int

    @classmethod
    def of(cls, edits: EditSet, n_held_out: int) -> TrainingEdits:
        """Holds the last edits out.

        Raises:
            BadInputError: There are too few edits, or too few with paraphrases and neighbors.
        """
        usable = [edit for edit in edits if edit.paraphrases and _answered(edit)]
        n_train = len(usable) - n_held_out
        if n_train < MIN_TRAINING_EDITS:
            lacking = len(edits) - len(usable)
            raise BadInputError(
                f"{edits.name} has {len(edits)} edits; {lacking} of them have no paraphrase, or no "
                f"neighborhood prompt with an answer, and {n_held_out} are held out: "
                f"{max(0, n_train)} are left to train on.",
                hint=f"At least {MIN_TRAINING_EDITS} are needed, each with `paraphrases` and `neighborhood`.",
            )
        return cls(
            edits.name,
            edits.content_hash,
            tuple(usable[:n_train]),
            tuple(usable[n_train:]),
            len(edits) - len(usable),
        )

    def batch(self, step: int, size: int, seed: int) -> tuple[Edit, ...]:
        """The edits of a step: every edit once before any comes again, in an order that the seed says."""
        n, places = len(self.train), range(step * size, (step + 1) * size)
        orders: dict[int, list[int]] = {}
        for epoch in range(places[0] // n, places[-1] // n + 1):
            orders[epoch] = list(range(n))
            Random(f"{seed} {epoch}").shuffle(orders[epoch])
        return tuple(self.train[orders[place // n][place % n]] for place in places)


def _answered(edit: Edit) -> list[tuple[str, str]]:
    """The edit's neighbors whose right answers are known, with these."""
    return [(probe.prompt, probe.answer) for probe in edit.neighborhood if probe.answer]
