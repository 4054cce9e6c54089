"""What is known of a method or a regularizer without importing what runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sequela.core.errors import BadInputError

JOIN = "+"
"""Between a method's name and those of its regularizers."""

Location = Literal["weights", "activations", "prompt"]
"""Where a method's edits sit."""


@dataclass(frozen=True)
class MethodInfo:
    """A method's name, its settings and what it can do.

    Both the listing of methods and the class that edits take them from here, so that a list can be printed
    and a study file can be checked before PyTorch is imported.

    Args:
        name: The method's name, as in a study file.
        summary: One line that says what the method does, with its source.
        settings: The class of its settings.
        implementation: The class that edits, as `module:Class`, where the registry knows the method by this
            record; empty where it knows the class itself, which names the record as its `info`.
        paper: The paper it is from.
        location: Where its edits sit.
        takes_batches: Whether edits can be made together; else a batch has one edit.
        needs_subject: Whether an edit must say which part of its prompt is the subject.
        needs_training: Whether it must be trained before it can edit.
    """

    name: str
    summary: str
    settings: type[BaseModel]
    implementation: str = ""
    paper: str = ""
    location: Location = "weights"
    takes_batches: bool = True
    needs_subject: bool = True
    needs_training: bool = False

    def check_batch_size(self, batch_size: int) -> None:
        """Refuses batches for a method that makes one edit at a time.

        Raises:
            BadInputError: It is one, and more than one edit at once is asked for.
        """
        if batch_size > 1 and not self.takes_batches:
            raise BadInputError(
                f"{self.name} makes one edit at a time; a batch of {batch_size} was asked for.",
                hint="Leave the batch size at 1, or use a method for batches, such as memit or emmet.",
            )


class RegularizerSettings(BaseModel):
    """A regularizer's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class RegularizerInfo:
    """A regularizer's name, its settings and the methods it goes with.

    Args:
        name: The regularizer's name, which is joined to the method's.
        summary: One line that says what it does, with its source.
        paper: The paper it is from.
        implementation: The class that regularizes, as `module:Class`.
        settings: The class of its settings.
        works_through: The setting of a method that it works through; empty if it goes with every method
            whose edits sit in weights.
        misfit: What is wrong with a method without that setting; `{}` stands for its name.
        suited: The methods that have it.
    """

    name: str
    summary: str
    paper: str
    implementation: str
    settings: type[RegularizerSettings] = RegularizerSettings
    works_through: str = ""
    misfit: str = ""
    suited: str = ""

    def check_fits(self, method: MethodInfo) -> None:
        """Refuses a method that this can't regularize.

        Raises:
            BadInputError: Its edits don't sit in weights, or its formula has no place for this.
        """
        if method.location != "weights":
            raise BadInputError(
                f"{method.name} changes no weights: {self.name} can't regularize it.",
                hint="Regularizers are for methods whose edits sit in weights; `sequela methods` tells.",
            )
        if self.works_through and self.works_through not in method.settings.model_fields:
            raise BadInputError(
                f"The regularizer {self.name!r} {self.misfit.format(method.name)}.",
                hint=f"Use it with {self.suited}.",
            )
