"""The registry's entry of a suite, available without importing PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from sequela.core.numbers import MAX_COUNT
from sequela.core.validation import NumericModel

if TYPE_CHECKING:
    from sequela.evaluation.suite_description import SuiteDescription


class SuiteOptions(NumericModel):
    """The base class of suite settings: they are immutable, and unknown ones are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LimitedOptions(SuiteOptions):
    """Settings of a suite with a limit on the number of items.

    Args:
        limit: The number of items to run, from the first on; all if None.
    """

    limit: int | None = Field(default=None, ge=1, le=MAX_COUNT)


@dataclass(frozen=True)
class SuiteEntry:
    """A suite in the registry.

    Args:
        name: The suite's name, as in a study file.
        options: The class of its settings.
        implementation: The class of the suite, as `module:Class`, which takes the settings. Its module and
            PyTorch are imported only when the suite is created.
        describe: Returns the suite's descriptions for listings, one for each protocol.
        check: Checks what the types of the settings don't express, such as names and numbers of items.
    """

    name: str
    options: type[SuiteOptions]
    implementation: str
    describe: Callable[[], tuple[SuiteDescription, ...]]
    check: Callable[..., object] | None = None
