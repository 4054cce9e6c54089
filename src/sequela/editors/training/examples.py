"""Training examples: an edit, a paraphrase of it, and an unrelated prompt whose answer must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from sequela.core.errors import BadInputError
from sequela.edits import Edit, EditSet
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt

MIN_TRAINING_EDITS = 20
"""The minimum number of edits to train on."""


@dataclass(frozen=True)
class Wording:
    """The texts of one edit's example.

    Args:
        question: The edit's own prompt, with its subject.
        answer: The edit's target.
        paraphrase: A paraphrase of the prompt.
        neighbor: An unrelated prompt.
        neighbor_answer: The correct answer to the unrelated prompt.
    """

    question: str
    answer: str
    paraphrase: str
    neighbor: str
    neighbor_answer: str


@dataclass(frozen=True)
class Examples:
    """The examples of a batch of edits: one row of each kind per edit, all with targets.

    Args:
        prompts: The edits' own prompts.
        paraphrases: Paraphrases, with the edits' targets.
        neighbors: Unrelated prompts, with their correct answers.
        wordings: The texts of the rows.
    """

    prompts: tuple[TokenizedPrompt, ...]
    paraphrases: tuple[TokenizedPrompt, ...]
    neighbors: tuple[TokenizedPrompt, ...]
    wordings: tuple[Wording, ...]

    @classmethod
    def of(cls, model: LanguageModel, edits: Sequence[Edit], seed: str) -> Examples:
        """Returns the examples of a batch; the seed selects each edit's paraphrase and neighbor."""
        random = Random(seed)
        tokenizer = model.tokenizer
        prompts, paraphrases, neighbors, wordings = [], [], [], []
        for edit in edits:
            prompts.append(tokenize_prompt(tokenizer, edit.prompt, edit.subject, edit.target_new))
            paraphrase = random.choice(edit.paraphrases)
            paraphrases.append(tokenize_prompt(tokenizer, paraphrase, target=edit.target_new))
            probe, answer = random.choice(_answered(edit))
            neighbors.append(tokenize_prompt(tokenizer, probe, target=answer))
            wordings.append(Wording(edit.question, edit.target_new, paraphrase, probe, answer))
        return cls(tuple(prompts), tuple(paraphrases), tuple(neighbors), tuple(wordings))

    def __len__(self) -> int:
        return len(self.prompts)

    def split(self, size: int) -> list[Examples]:
        """Splits the examples into batches of at most `size` edits."""
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
    """Edits to train on, and held-out edits.

    Args:
        name: The name of the edits.
        content_hash: The hash of all edits.
        train: The edits to train on.
        held_out: The edits for validation.
        n_left_out: The number of edits left out for lack of a paraphrase or of a neighbor with an answer.
    """

    name: str
    content_hash: str
    train: tuple[Edit, ...]
    held_out: tuple[Edit, ...]
    n_left_out: int

    @classmethod
    def of(cls, edits: EditSet, n_held_out: int) -> TrainingEdits:
        """Splits edits; the last `n_held_out` usable ones are held out.

        Raises:
            BadInputError: There are too few edits with paraphrases and neighbors.
        """
        usable = [edit for edit in edits if edit.paraphrases and _answered(edit)]
        n_train = len(usable) - n_held_out
        if n_train < MIN_TRAINING_EDITS:
            n_unusable = len(edits) - len(usable)
            raise BadInputError(
                f"{edits.name} has {len(edits)} edits; {n_unusable} of them have no paraphrase, or no "
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
        """Returns the edits of a step: every edit once per epoch, in an order determined by the seed."""
        n, positions = len(self.train), range(step * size, (step + 1) * size)
        orders: dict[int, list[int]] = {}
        for epoch in range(positions[0] // n, positions[-1] // n + 1):
            orders[epoch] = list(range(n))
            Random(f"{seed} {epoch}").shuffle(orders[epoch])
        return tuple(self.train[orders[position // n][position % n]] for position in positions)


def _answered(edit: Edit) -> list[tuple[str, str]]:
    """Returns the prompts and answers of the edit's neighbors whose correct answers are known."""
    return [(probe.prompt, probe.answer) for probe in edit.neighborhood if probe.answer]
