"""How results are presented: what a name means, how a number is written."""

from __future__ import annotations

import math

from sequela.results import EFFECTIVE_EDITS, HIT_RATE, Suites

SUCCESS_AT_EDIT = "success@edit"
RETENTION_AT_N = "retention@n"

NOT_SHOWN = "n/a"
"""What stands in the place of a score that a rule spoils."""

MEANINGS = {
    SUCCESS_AT_EDIT: "asked right after an edit was made, about that edit only",
    RETENTION_AT_N: "asked at a checkpoint, about every edit made so far",
    "efficacy": "the edited question itself",
    "paraphrase": "the same question in other words",
    "neighborhood": "questions about other subjects, whose answers should not change",
    "portability": "questions whose answer follows from the edit",
    "prefix_robustness": "the edited question after an unrelated sentence",
    "attack_robustness": "the edited question after the old fact was stated once more",
    EFFECTIVE_EDITS: "how many of the edits made the model still expresses when it writes freely",
    "fluency": "whether texts about the subjects go on instead of going round: entropy of n-grams, in bits",
    "consistency": "whether texts about the subjects resemble those about things the new fact is true of",
    HIT_RATE: "how often an edit that sits beside the model applied to what was asked",
    "free_decoding": "the model writes freely and stops by itself; its text is compared with the answer",
    "hits": "the share of prompts for which a method beside the weights found an edit to apply",
    "teacher_forced": "the right answer is fed in token by token, and each next token is checked; "
    "easier than free decoding",
    "probability": "the new answer is more probable than the old one",
    "loglikelihood": "the choice to which the model gives the highest probability",
    "letters": "the letter of a choice to which the model gives the highest probability",
    "answers": "the answer, none being shown, to which the model gives the highest probability",
    "generation": "the model writes its answer, which is read by fixed rules",
    "accuracy_lenient": "as accuracy, but an answer counts in any form that a person would take",
    "accuracy_parsed": "accuracy among the answers in which one could be read",
    "parse_rate": "the share of answers in the form that was asked for",
    "auroc": "whether hateful statements are found more hateful than harmless ones, whatever the threshold; "
    "50 % is chance",
    "balanced_accuracy": "the mean over the classes; a constant answer gets no credit",
    "declined": "harmful requests that are declined",
    "helped": "harmless requests, which only sound harmful, that are answered",
    "true_probability": "the share of probability that falls to the true answers (MC2)",
    "perplexity": "how surprised the model is by ordinary text; lower is better",
}
"""Plain words for the names that need them."""

_PROPER_NAMES = {"auroc": "AUROC"}
"""The metrics whose names are written otherwise; those of benchmarks are in `Suites`."""

LOGARITHMIC_METRICS = frozenset({"perplexity"})
"""Metrics that change by factors, and so are drawn on a logarithmic axis."""

NO_SHARES = LOGARITHMIC_METRICS | {EFFECTIVE_EDITS, "fluency", "ngram_entropy", "answer_words", "loss"}
"""Metrics that are no share of items, whatever their values."""


def in_words(name: str) -> str:
    """The name of a metric, protocol or reading as it is read: `free_decoding` becomes `free decoding`."""
    return _PROPER_NAMES.get(name, name.replace("_", " "))


def task_in_words(task: str, suites: Suites) -> str:
    """The name of a task as it is read: `mmlu_anatomy@1` becomes `MMLU anatomy (v1)`."""
    return task if task in MEANINGS else suites.words(task)


def capitalized(text: str) -> str:
    """The text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def is_share(metric: str, values: list[float | None]) -> bool:
    """Whether a quantity is a share of items, to be written in percent."""
    finite = [value for value in values if value is not None]
    return metric not in NO_SHARES and bool(finite) and all(0 <= value <= 1 for value in finite)


def format_number(value: float | None, share: bool) -> str:
    """A value in percent if it is a share; a dash if there is none."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if share:
        return f"{100 * value:.1f} %"
    return _format_plain(value, like=value)


def format_with_error(value: float | None, stderr: float | None, share: bool) -> str:
    """A value and its standard error, both to the same decimal place."""
    text = format_number(value, share)
    if value is None or stderr is None or not math.isfinite(value):
        return text
    return f"{text} ± {100 * stderr:.1f}" if share else f"{text} ± {_format_plain(stderr, like=value)}"


def format_difference(value: float | None, share: bool) -> str:
    """A signed difference, in percentage points if it is one of shares."""
    if value is None or math.isnan(value):
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    if share:
        return f"{sign}{100 * abs(value):.1f} pp"
    return f"{sign}{format_number(abs(value), share=False)}"


def format_seconds(seconds: float) -> str:
    """A duration in the unit that reads best."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def format_bytes(count: int | None) -> str:
    """A size in MiB or GiB; a dash if it isn't known."""
    if count is None:
        return "–"
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _format_plain(value: float, like: float) -> str:
    """A number with as many decimals as a number of the size of `like` deserves."""
    size = abs(like)
    if size >= 1e6 or 0 < size < 1e-3:
        return f"{value:.2e}"
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4
    return f"{value:,.{decimals}f}"
