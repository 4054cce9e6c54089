"""The built-in suite: questions in seven categories, with nothing to download.

The items were chosen so that the unedited default model answers most of them, but not all. Their
construction, the model's scores and their limits are described in `docs/reference/builtin-suite.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sequela.core.errors import BadInputError, TooFewItemsError, UnknownNameError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.evaluation.multiple_choice import (
    SCORING_RULE,
    MultipleChoiceItem,
    accuracy_result,
    chance_level,
    read_items,
    score_choices,
    score_item,
)
from sequela.results import Section, SuiteInfo, TaskInfo, TaskResult, with_answered_accuracy

if TYPE_CHECKING:
    from sequela.edited import EditedModel
    from sequela.inference import Engine, Score

CATEGORIES: tuple[tuple[str, str], ...] = (
    ("world_knowledge", "capitals, continents, elements, planets, inventions"),
    ("commonsense", "everyday objects, feelings, places, causes and effects"),
    ("arithmetic", "sums, differences, products and quotients of small numbers, counting"),
    ("language", "English grammar, opposites and synonyms"),
    ("reading", "what a short passage says"),
    ("truthfulness", "the true continuation, where a popular false one is often at hand"),
    ("harm_recognition", "distinguishing threats, insults, crimes and cruelty from harmless words and acts"),
)
"""The categories, in order, and the topics of each."""

ITEM_TOKENS = 8
"""The approximate number of tokens per item; the prefix that its choices share is counted once."""

_DATA = Path(__file__).parent / "data" / "builtin"


@dataclass(frozen=True)
class CategoryDescription:
    """A category's entry in a listing.

    Args:
        name: The category, which is the task's name in the results.
        what: The topics.
        items: The number of items.
        chance: The expected accuracy of guessing.
    """

    name: str
    what: str
    items: int
    chance: float


class BuiltinSuite:
    """The built-in suite: accuracy in each category.

    Items are read when they are first needed, and cached.

    Args:
        limit: The number of items of each category to run, from the first on; all if None.
        categories: The categories to run; all if None.

    Raises:
        UnknownNameError: A category is unknown.
        BadInputError: The limit is below 1 or above the size of the largest category, or the list of
            categories is empty or has duplicates.
    """

    name = "builtin"
    info = SuiteInfo(
        tasks={
            "truthfulness": TaskInfo(section=Section.SAFETY),
            "harm_recognition": TaskInfo(section=Section.SAFETY),
        }
    )

    def __init__(self, *, limit: int | None = None, categories: Sequence[str] | None = None) -> None:
        if limit is not None and limit < 1:
            raise BadInputError(f"builtin: the limit is {limit}, expected at least 1.")
        self._limit = limit
        self._categories = _checked(categories)

    @cached_property
    def items(self) -> dict[str, tuple[MultipleChoiceItem, ...]]:
        """The items to run, by category."""
        known = {category: read_items(_DATA / f"{category}.jsonl") for category in self._categories}
        most = max(len(items) for items in known.values())
        if self._limit is not None and self._limit > most:
            raise TooFewItemsError("builtin", self._limit, f"the largest category has {most} items")
        return {category: items[: self._limit] for category, items in known.items()}

    @cached_property
    def version(self) -> str:
        """A hash of the items to run and of the scoring rule."""
        return version_of(self.items)

    @property
    def n_tokens(self) -> int:
        """The approximate number of tokens the model reads."""
        return ITEM_TOKENS * sum(map(len, self.items.values()))

    def describe(self) -> tuple[CategoryDescription, ...]:
        """Returns descriptions of the categories to run."""
        topics = dict(CATEGORIES)
        return tuple(
            CategoryDescription(category, topics[category], len(items), chance_level(items))
            for category, items in self.items.items()
        )

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        """Scores all choices in one call of the engine and returns one result per category.

        If items are too long, `with_answered_accuracy` adds the accuracy over the others.
        """
        flat = [item for items in self.items.values() for item in items]
        scores = iter(score_choices(model, engine, flat, progress))
        return with_answered_accuracy(
            self._task_result(category, items, scores) for category, items in self.items.items()
        )

    def _task_result(
        self, category: str, items: Sequence[MultipleChoiceItem], scores: Iterator[tuple[Score, ...]]
    ) -> TaskResult:
        records = [score_item(self.name, category, item, next(scores)) for item in items]
        return accuracy_result(records, f"chance {chance_level(items):.2f}")


def version_of(items: dict[str, tuple[MultipleChoiceItem, ...]]) -> str:
    """Returns a hash of items by category and of the scoring rule."""
    contents = {category: [item.model_dump(mode="json") for item in some] for category, some in items.items()}
    return hash_json({"items": contents, "scoring": SCORING_RULE})


def _checked(categories: Sequence[str] | None) -> tuple[str, ...]:
    known = tuple(name for name, _ in CATEGORIES)
    if categories is None:
        return known
    for category in categories:
        if category not in known:
            raise UnknownNameError("category", category, known)
    if not categories or len(set(categories)) < len(categories):
        raise BadInputError(
            f"builtin: the categories are {list(categories)}, expected at least one and no duplicates."
        )
    return tuple(categories)
