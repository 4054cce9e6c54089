"""What names mean, and how they are written for people."""

from __future__ import annotations

from sequela.results import EFFECTIVE_EDITS, HIT_RATE

SUCCESS_AT_EDIT = "success@edit"


RETENTION_AT_N = "retention@n"


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


def in_words(name: str) -> str:
    """The name of a metric, protocol or reading as it is read: `free_decoding` becomes `free decoding`."""
    return _PROPER_NAMES.get(name, name.replace("_", " "))


def capitalized(text: str) -> str:
    """The text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]
