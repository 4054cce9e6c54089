"""The validity rules in words: what each finds, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Rule:
    """A validity rule in words.

    Args:
        name: Its name in a few words.
        meaning: What it finds about a score.
        advice: What to do about it.
    """

    name: str
    meaning: str
    advice: str


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "D1": Rule("constant answer", "the model gives one answer to nearly everything", "read its answers"),
        "D2": Rule(
            "two constant answers",
            "both models score like the constant answers to a question with two choices",
            "use `balanced_accuracy`",
        ),
        "D3": Rule(
            "a collapsed model's answers",
            "the answers are those of another model or method that has collapsed",
            "check the perplexity",
        ),
        "D4": Rule(
            "items without a number",
            "too many items are not finite, tied, failed, or too long for the edited model only",
            "read the notes of the measurement",
        ),
        "D5": Rule(
            "collapsed", "the score is better than the unedited model's after a collapse", "ignore it"
        ),
        "D6": Rule(
            "no headroom",
            "the unedited model scores like guessing or like a constant answer, so there is nothing to lose",
            "measure more items, or a task that the model can do",
        ),
        "D7": Rule(
            "unparsed answers",
            "the score is below chance and too few answers could be parsed",
            "measure by likelihood or with more tokens, or read the answers",
        ),
        "D8": Rule(
            "impossible score", "no number of right answers among n gives this score", "report it as a fault"
        ),
    }
)
"""The validity rules, by the names under which scores refer to them; `analysis.validity` has them in code."""
