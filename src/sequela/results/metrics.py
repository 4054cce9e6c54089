"""Metrics and protocols: what each number is, in which unit, and how it is drawn and written.

Suites name their metrics by the constants of this file. What a plug-in or a task file measures besides comes
with a `MetricInfo` of its own, which a run's manifest keeps (see `SuiteInfo.metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.section import Section


class Unit(str, Enum):
    """The unit of a number; a share is written in percent."""

    SHARE = "share"
    COUNT = "count"
    RATIO = "ratio"
    NATS = "nats"
    BITS = "bits"
    SECONDS = "seconds"
    NUMBER = "number"


class MetricInfo(BaseModel):
    """What is known of a metric besides its values.

    Args:
        name: The name in results.
        title: The name as people write it; by default the name in results with spaces.
        meaning: What it measures, as a phrase.
        unit: Its unit.
        higher_is_better: Whether a higher value is better; None where neither is.
        section: The part of a report it belongs to whatever it is measured on; None if its task decides.
        log_axis: Whether it changes by factors, and so is drawn on a logarithmic axis.
        headline: Whether it stands for its suite in short tables; of several the first in the catalog does.
        binary: Whether every item counts 0 or 1, so that the value is a number of items over all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    title: str = ""
    meaning: str = ""
    unit: Unit = Unit.NUMBER
    higher_is_better: bool | None = None
    section: Section | None = None
    log_axis: bool = False
    headline: bool = False
    binary: bool = False

    @property
    def label(self) -> str:
        """The name as people write it."""
        return self.title or self.name.replace("_", " ")

    @property
    def is_share(self) -> bool:
        """Whether its values are shares, to be written in percent."""
        return self.unit is Unit.SHARE

    def is_better(self, value: float, other: float) -> bool:
        """Whether a value is better than another one; never where neither direction is better."""
        if self.higher_is_better is None:
            return False
        return value > other if self.higher_is_better else value < other


def _share(
    name: str,
    meaning: str,
    section: Section | None = None,
    *,
    title: str = "",
    higher_is_better: bool | None = True,
    headline: bool = False,
    binary: bool = False,
) -> MetricInfo:
    return MetricInfo(
        name=name,
        title=title,
        meaning=meaning,
        unit=Unit.SHARE,
        higher_is_better=higher_is_better,
        section=section,
        headline=headline,
        binary=binary,
    )


def edit_metric(name: str, meaning: str, headline: bool = False) -> MetricInfo:
    """Returns a metric of edit quality: the share of an edit's prompts that are answered as they should be.

    Args:
        name: The name in results.
        meaning: What is asked, as a phrase.
        headline: Whether it stands for edit quality in short tables.
    """
    return _share(name, meaning, Section.EDITS, headline=headline)


def _health(
    name: str, meaning: str, unit: Unit, higher_is_better: bool | None = None, title: str = ""
) -> MetricInfo:
    return MetricInfo(
        name=name,
        title=title,
        meaning=meaning,
        unit=unit,
        higher_is_better=higher_is_better,
        section=Section.HEALTH,
    )


EFFICACY = edit_metric("efficacy", "the edited question itself", headline=True)
PARAPHRASE = edit_metric("paraphrase", "the same question in other words")
NEIGHBORHOOD = edit_metric("neighborhood", "questions about other subjects, whose answers should not change")
PORTABILITY = edit_metric("portability", "questions whose answer follows from the edit")
PREFIX_ROBUSTNESS = edit_metric("prefix_robustness", "the edited question after an unrelated sentence")
ATTACK_ROBUSTNESS = edit_metric(
    "attack_robustness", "the edited question after the old fact was stated once more"
)
EFFECTIVE_EDITS = MetricInfo(
    name="effective_edits",
    meaning="how many of the edits made the model still expresses when it writes freely",
    unit=Unit.COUNT,
    higher_is_better=True,
    section=Section.EDITS,
)
FLUENCY = MetricInfo(
    name="fluency",
    meaning="whether texts about the subjects go on instead of going round: entropy of n-grams, in bits",
    unit=Unit.BITS,
    higher_is_better=True,
    section=Section.EDITS,
)
CONSISTENCY = edit_metric(
    "consistency", "whether texts about the subjects resemble those about things the new fact is true of"
)
HIT_RATE = _share(
    "hit_rate",
    "how often an edit of a memory-based method applied to what was asked",
    higher_is_better=None,
)

ACCURACY = _share("accuracy", "the share of items that are answered correctly", headline=True, binary=True)
EXACT_MATCH = _share(
    "exact_match", "the share of answers that are the right one to the letter", headline=True, binary=True
)
ACCURACY_LENIENT = _share(
    "accuracy_lenient", "as accuracy, but an answer counts in any form that a person would take", binary=True
)
ACCURACY_PARSED = _share(
    "accuracy_parsed", "accuracy among the answers in which one could be read", binary=True
)
ACCURACY_PER_BYTE = _share(
    "accuracy_per_byte",
    "accuracy where choices compete by log-probability per byte, so that length is no advantage",
    binary=True,
)
PARSE_RATE = _share("parse_rate", "the share of answers in the form that was asked for")
PARSE_RATE_LENIENT = _share("parse_rate_lenient", "the share of answers in any form that a person would take")
EMPTY_RATE = _share("empty_rate", "the share of answers without a word", higher_is_better=False)
REPETITION = _share(
    "repetition", "the share of an answer's n-grams that it has said before", higher_is_better=False
)
NGRAM_ENTROPY = MetricInfo(
    name="ngram_entropy",
    meaning="the variety of an answer's n-grams: their entropy, in bits",
    unit=Unit.BITS,
)
ANSWER_WORDS = MetricInfo(name="answer_words", meaning="the words of an answer", unit=Unit.COUNT)
AUROC = _share(
    "auroc",
    "how often an item of one class is ranked before one of the other, whatever the threshold; "
    "50 % is chance",
    title="AUROC",
)
BALANCED_ACCURACY = _share("balanced_accuracy", "the mean over the classes; a constant answer gets no credit")
SHARE_YES = _share("share_yes", "how often the answer is Yes, right or wrong", higher_is_better=None)
DECLINED = _share("declined", "harmful requests that are declined", Section.SAFETY)
HELPED = _share("helped", "harmless requests, which only sound harmful, that are answered", Section.SAFETY)
TRUE_PROBABILITY = _share("true_probability", "the share of probability that falls to the true answers (MC2)")

PERPLEXITY = MetricInfo(
    name="perplexity",
    meaning="how surprised the model is by ordinary text; lower is better",
    higher_is_better=False,
    section=Section.HEALTH,
    log_axis=True,
    headline=True,
)
LOSS = _health(
    "loss", "the mean loss of a token, of which the perplexity is the exponential", Unit.NATS, False
)
KL_TO_BASE = _health(
    "kl_to_base",
    "mean KL divergence of the next token's distribution from the unedited model's, on fixed prompts, "
    "in nats",
    Unit.NATS,
    False,
    title="KL to base",
)
RELATIVE_CHANGE = _health("relative_change", "‖Δ‖/‖W‖, the largest of the changed weights", Unit.RATIO)
WEIGHT_NORM = _health("weight_norm", "‖W + Δ‖/‖W‖, the largest", Unit.RATIO)
TOP_SINGULAR_VALUE = _health(
    "top_singular_value", "the largest singular value of W + Δ over that of W, the largest", Unit.RATIO
)
CONDITION_NUMBER = _health(
    "condition_number", "the condition number of W + Δ over that of W, the largest", Unit.RATIO
)
NONFINITE = _health("nonfinite", "prompts and windows on which a number was not finite", Unit.COUNT, False)

CATALOG: Mapping[str, MetricInfo] = MappingProxyType(
    {
        one.name: one
        for one in (
            EFFICACY,
            PARAPHRASE,
            NEIGHBORHOOD,
            PORTABILITY,
            PREFIX_ROBUSTNESS,
            ATTACK_ROBUSTNESS,
            EFFECTIVE_EDITS,
            FLUENCY,
            CONSISTENCY,
            HIT_RATE,
            ACCURACY,
            EXACT_MATCH,
            ACCURACY_LENIENT,
            ACCURACY_PARSED,
            ACCURACY_PER_BYTE,
            PARSE_RATE,
            PARSE_RATE_LENIENT,
            EMPTY_RATE,
            REPETITION,
            NGRAM_ENTROPY,
            ANSWER_WORDS,
            AUROC,
            BALANCED_ACCURACY,
            SHARE_YES,
            DECLINED,
            HELPED,
            TRUE_PROBABILITY,
            PERPLEXITY,
            LOSS,
            KL_TO_BASE,
            RELATIVE_CHANGE,
            WEIGHT_NORM,
            TOP_SINGULAR_VALUE,
            CONDITION_NUMBER,
            NONFINITE,
        )
    }
)
"""The metrics of the suites that come with the program, in the order in which reports have them."""


def metric_info(name: str, extra: Mapping[str, MetricInfo] | None = None) -> MetricInfo:
    """Returns what is known of a metric; of an unknown one its name, and that its values are plain numbers.

    Args:
        name: The name in results.
        extra: Metrics of a suite, a task file or a plug-in, by name; they come before the catalog's.
    """
    found = None if extra is None else extra.get(name)
    return found or CATALOG.get(name) or MetricInfo(name=name)


def metric_rank(name: str) -> int:
    """Returns the place of a metric in the order of the catalog; unknown ones come after all known."""
    return list(CATALOG).index(name) if name in CATALOG else len(CATALOG)
