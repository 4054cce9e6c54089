"""The suites that come with the program, known without importing PyTorch."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sequela.evaluation.suite_description import SuiteDescription
from sequela.evaluation.suite_entry import LimitedOptions, SuiteEntry, SuiteOptions
from sequela.results import metrics


class BuiltinOptions(LimitedOptions):
    """Settings of the built-in suite.

    Args:
        limit: How many items of each category to run.
        categories: Which categories to run; all if None.
    """

    categories: tuple[str, ...] | None = None


class PerplexityOptions(SuiteOptions):
    """Settings of the perplexity.

    Args:
        window: Tokens per window.
    """

    window: int = Field(default=128, ge=2)


class RefusalOptions(LimitedOptions):
    """Settings of the refusal suite.

    Args:
        limit: How many requests of each kind to make.
        max_new_tokens: Where an answer ends.
    """

    max_new_tokens: int = Field(default=64, ge=1)


def _check_builtin(**options: Any) -> None:
    from sequela.evaluation.suites.builtin import BuiltinSuite

    BuiltinSuite(**options).describe()  # reads the items: the limit is checked against their number


def _check_refusal(**options: Any) -> None:
    from sequela.evaluation.suites.refusal import RefusalSuite

    RefusalSuite(**options)


def _describe_builtin() -> tuple[SuiteDescription, ...]:
    from sequela.evaluation.suites.builtin import BuiltinSuite

    categories = BuiltinSuite().describe()
    n_items = sum(category.items for category in categories)
    return (
        SuiteDescription(
            name="builtin",
            task="",
            protocol="loglikelihood",
            what=f"Our own questions in {len(categories)} categories, most within the default model's reach.",
            metrics=(metrics.ACCURACY.name,),
            shots=None,
            items=n_items,
            here=n_items,
            chance=categories[0].chance,
            data="comes with sequela",
        ),
    )


def _describe_perplexity() -> tuple[SuiteDescription, ...]:
    return (
        SuiteDescription(
            name="perplexity",
            task="fixed_text",
            protocol="fixed_text",
            what="Perplexity of a fixed text, the cheap alarm for a damaged model.",
            metrics=(metrics.PERPLEXITY.name, metrics.LOSS.name),
            shots=None,
            items=None,
            here=None,
            chance=None,
            data="comes with sequela",
        ),
    )


def _describe_refusal() -> tuple[SuiteDescription, ...]:
    from sequela.evaluation.suites.refusal import RefusalSuite

    n_requests = sum(len(some) for some in RefusalSuite().requests.values())
    return (
        SuiteDescription(
            name="refusal",
            task="",
            protocol="generation",
            what="Whether harmful requests are declined, and harmless ones that only sound so answered; for "
            "instruction-tuned models, in their chat template.",
            metrics=(metrics.DECLINED.name, metrics.HELPED.name),
            shots=None,
            items=n_requests,
            here=n_requests,
            chance=None,
            data="comes with sequela",
        ),
    )


SUITES: tuple[SuiteEntry, ...] = (
    SuiteEntry(
        "builtin",
        BuiltinOptions,
        "sequela.evaluation.suites.builtin:BuiltinSuite",
        _describe_builtin,
        _check_builtin,
    ),
    SuiteEntry(
        "perplexity",
        PerplexityOptions,
        "sequela.evaluation.suites.perplexity:HealthSuite",
        _describe_perplexity,
    ),
    SuiteEntry(
        "refusal",
        RefusalOptions,
        "sequela.evaluation.suites.refusal:RefusalSuite",
        _describe_refusal,
        _check_refusal,
    ),
)
"""The suites, in the order of listings."""
