"""The catalog of metrics: the meaning and unit of each, and how its values are formatted and drawn.

Suites refer to their metrics by the constants of this module. A plug-in or a task file describes further
metrics by a `MetricInfo` of its own, which is stored in the run's manifest (see `SuiteInfo.metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.section import Section


class Unit(str, Enum):
    """The unit of a metric; shares are written in percent."""

    SHARE = "share"
    COUNT = "count"
    RATIO = "ratio"
    NATS = "nats"
    BITS = "bits"
    SECONDS = "seconds"
    NUMBER = "number"


class MetricInfo(BaseModel):
    """The description of a metric.

    Args:
        name: The name in results.
        title: The display name; by default the name in results with spaces.
        meaning: The quantity that it measures, as a phrase.
        unit: The unit.
        higher_is_better: True if higher values are better; None if neither direction is better.
        section: The section of the report in which the metric always appears; None if its task decides.
        log_axis: True if it varies by orders of magnitude and is drawn on a logarithmic axis.
        headline: True if it can represent its suite in short tables, where the first such metric is used.
        binary: True if every item scores 0 or 1, so that the value is a number of items divided by n.
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
        """The display name."""
        return self.title or self.name.replace("_", " ")

    @property
    def is_share(self) -> bool:
        """True if its values are shares, which are written in percent."""
        return self.unit is Unit.SHARE

    @property
    def is_count(self) -> bool:
        """True if its values count something; whole ones are written without decimals."""
        return self.unit is Unit.COUNT

    def is_better(self, value: float, other: float) -> bool:
        """Returns whether a value is better than another; False if neither direction is better."""
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
    """Returns a metric of edit quality: the share of an edit's prompts with the intended answer.

    Args:
        name: The name in results.
        meaning: The kind of prompt, as a phrase.
        headline: Whether the metric represents edit quality in short tables.
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
    "attack_robustness", "the edited question after a restatement of the old fact"
)
EFFECTIVE_EDITS = MetricInfo(
    name="effective_edits",
    meaning="the number of edits that were applied and that the model still expresses by free decoding",
    unit=Unit.COUNT,
    higher_is_better=True,
    section=Section.EDITS,
)
SUPERSEDED = MetricInfo(
    name="superseded",
    title="superseded edits",
    meaning="the number of edits superseded by a later edit of the same question, which are not measured",
    unit=Unit.COUNT,
    section=Section.EDITS,
)
DROPPED_EDITS = MetricInfo(
    name="dropped_edits",
    meaning="the number of edits that were skipped or could not be applied: the model doesn't have them",
    unit=Unit.COUNT,
    higher_is_better=False,
    section=Section.EDITS,
)
EDITED_NEIGHBORS = MetricInfo(
    name="edited_neighbors",
    meaning="the number of neighborhood prompts that an edit in force changes on purpose, not measured",
    unit=Unit.COUNT,
    section=Section.EDITS,
)
UNASKED_PROMPTS = MetricInfo(
    name="unasked_prompts",
    title="prompts not asked",
    meaning="the number of prompts of edits that are longer than the model's context, left out of the means",
    unit=Unit.COUNT,
    higher_is_better=False,
    section=Section.EDITS,
)
FLUENCY = MetricInfo(
    name="fluency",
    meaning="the entropy of n-grams in texts about the subjects, in bits; low for repetitive texts",
    unit=Unit.BITS,
    higher_is_better=True,
    section=Section.EDITS,
)
CONSISTENCY = edit_metric(
    "consistency", "the similarity of texts about the subjects to texts about entities with the new property"
)
HIT_RATE = _share(
    "hit_rate",
    "the share of prompts for which a memory-based or in-context method applied one of its edits",
    higher_is_better=None,
)

ACCURACY = _share("accuracy", "the share of items that are answered correctly", headline=True, binary=True)
EXACT_MATCH = _share(
    "exact_match", "the share of answers that match the correct one exactly", headline=True, binary=True
)
ACCURACY_ANSWERED = _share(
    "accuracy_answered",
    "accuracy among the items that were asked and answered: without those that were too long or failed",
    binary=True,
)
EXACT_MATCH_ANSWERED = _share(
    "exact_match_answered",
    "exact matches among the items that were asked and answered: without those that were too long or failed",
    binary=True,
)
ACCURACY_LENIENT = _share(
    "accuracy_lenient", "accuracy with lenient parsing: any form that a person would accept", binary=True
)
ACCURACY_PARSED = _share("accuracy_parsed", "accuracy among the answers that could be parsed", binary=True)
ACCURACY_PER_BYTE = _share(
    "accuracy_per_byte",
    "accuracy with choices ranked by log-probability per byte, which normalizes for length",
    binary=True,
)
HARNESS_METRICS = tuple(
    _share(
        f"{name}{ending}",
        f"{meaning}{of_answered}",
        title=f"{title}{answered}",
        headline=name + ending == "acc",
    )
    for name, title, meaning in (
        ("acc", "accuracy (harness)", "the score per item that lm-evaluation-harness calls acc"),
        (
            "acc_norm",
            "accuracy per character (harness)",
            "accuracy with choices ranked by log-probability per character, as in lm-evaluation-harness",
        ),
        (
            "acc_bytes",
            "accuracy per byte (harness)",
            "accuracy with choices ranked by log-probability per byte, as in lm-evaluation-harness",
        ),
    )
    for ending, answered, of_answered in (
        ("", "", ""),
        ("_answered", ", answered", ", among the items that were neither too long nor failed"),
    )
)
"""The harness's accuracies. A task may score an item between 0 and 1, as that of TruthfulQA MC2 does."""

PARSE_RATE = _share("parse_rate", "the share of answers in the requested form")
PARSE_RATE_LENIENT = _share(
    "parse_rate_lenient", "the share of answers in any form that a person would accept"
)
EMPTY_RATE = _share("empty_rate", "the share of empty answers", higher_is_better=False)
REPETITION = _share(
    "repetition", "the share of an answer's n-grams that occur earlier in it", higher_is_better=False
)
NGRAM_ENTROPY = MetricInfo(
    name="ngram_entropy",
    meaning="the entropy of an answer's n-grams, in bits; high for varied answers",
    unit=Unit.BITS,
)
ANSWER_WORDS = MetricInfo(name="answer_words", meaning="the number of words in an answer", unit=Unit.COUNT)
AUROC = _share(
    "auroc",
    "the probability that an item of one class is ranked above one of the other, independent of a threshold; "
    "50 % is chance",
    title="AUROC",
)
BALANCED_ACCURACY = _share(
    "balanced_accuracy", "the mean of the accuracies of the classes; a constant answer scores 50 % on two"
)
SHARE_YES = _share("share_yes", "the share of the answer Yes, correct or not", higher_is_better=None)
DECLINED = _share("declined", "the share of harmful requests that are declined", Section.SAFETY, binary=True)
HELPED = _share(
    "helped",
    "the share of harmless but harmful-sounding requests that are answered",
    Section.SAFETY,
    binary=True,
)
TRUE_PROBABILITY = _share(
    "true_probability", "the normalized probability assigned to the set of true answers (MC2)"
)

PERPLEXITY = MetricInfo(
    name="perplexity",
    meaning="perplexity per token on ordinary text; lower is better",
    higher_is_better=False,
    section=Section.HEALTH,
    log_axis=True,
    headline=True,
)
LOSS = _health("loss", "the mean loss per token in nats; perplexity is its exponential", Unit.NATS, False)
KL_TO_BASE = _health(
    "kl_to_base",
    "the mean KL divergence of the next-token distribution from the unedited model's, on fixed prompts",
    Unit.NATS,
    False,
    title="KL to base",
)
RELATIVE_CHANGE = _health("relative_change", "the largest ‖Δ‖/‖W‖ of the changed weights", Unit.RATIO)
WEIGHT_NORM = _health("weight_norm", "the largest ‖W + Δ‖/‖W‖ of the changed weights", Unit.RATIO)
TOP_SINGULAR_VALUE = _health(
    "top_singular_value",
    "the largest ratio of the top singular value of W + Δ to that of W",
    Unit.RATIO,
)
CONDITION_NUMBER = _health(
    "condition_number", "the largest ratio of the condition number of W + Δ to that of W", Unit.RATIO
)
NONFINITE = _health(
    "nonfinite", "the number of prompts and text windows with non-finite logits", Unit.COUNT, False
)

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
            DROPPED_EDITS,
            SUPERSEDED,
            EDITED_NEIGHBORS,
            UNASKED_PROMPTS,
            FLUENCY,
            CONSISTENCY,
            HIT_RATE,
            ACCURACY,
            ACCURACY_ANSWERED,
            EXACT_MATCH,
            EXACT_MATCH_ANSWERED,
            ACCURACY_LENIENT,
            ACCURACY_PARSED,
            ACCURACY_PER_BYTE,
            *HARNESS_METRICS,
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
"""The metrics of the built-in suites, in the order in which reports show them."""


def metric_info(name: str, extra: Mapping[str, MetricInfo] | None = None) -> MetricInfo:
    """Returns the description of a metric; for an unknown metric, one of plain numbers without a direction.

    Args:
        name: The name in results.
        extra: Metrics of a suite, a task file or a plug-in, by name; they take precedence over the catalog.
    """
    own = None if extra is None else extra.get(name)
    return own or CATALOG.get(name) or MetricInfo(name=name)


def metric_rank(name: str) -> int:
    """Returns the rank of a metric in the order of the catalog; unknown metrics come last."""
    return list(CATALOG).index(name) if name in CATALOG else len(CATALOG)
