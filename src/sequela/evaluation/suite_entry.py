"""What a registry knows of a suite before it is made; imports no PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sequela.evaluation.suite_description import SuiteDescription


class SuiteOptions(BaseModel):
    """What the settings of all suites have in common: they can't be changed, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitedOptions(SuiteOptions):
    """Settings of a suite whose items can be cut short.

    Args:
        limit: How many items to run, from the first on; all if None.
    """

    limit: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class SuiteEntry:
    """A suite by name.

    Args:
        name: The suite's name, as in a study file.
        options: The class of the settings it takes.
        implementation: The class of the suite, as `module:Class`, which takes the settings; only where it is
            made are its module and PyTorch imported.
        describe: Returns the suite's descriptions for listings, one for each protocol.
        check: Checks what the types of the settings don't say, such as names and numbers of items.
    """

    name: str
    options: type[SuiteOptions]
    implementation: str
    describe: Callable[[], tuple[SuiteDescription, ...]]
    check: Callable[..., object] | None = None
