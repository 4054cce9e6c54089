"""Records that describe a method or a regularizer without importing its implementation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from sequela.core.arguments import as_whole_number
from sequela.core.errors import BadInputError, shown
from sequela.core.validation import NumericModel

if TYPE_CHECKING:
    from sequela.edits import Edit

JOIN = "+"
"""The separator between a method's name and those of its regularizers."""

Location = Literal["weights", "activations", "prompt"]
"""The location of a method's edits."""


@dataclass(frozen=True)
class MethodInfo:
    """A method's name, settings and capabilities.

    Both the listing of methods and the editor class use this record, so that methods can be listed and
    study files checked without importing PyTorch.

    Args:
        name: The method's name, as in a study file.
        summary: A one-line description of the method, with its source.
        settings: The class of the method's settings.
        implementation: The editor class, as `module:Class`, if this record is registered; empty if the
            editor class itself is registered, with this record as its `info`.
        paper: The paper that describes the method.
        location: The location of the method's edits.
        takes_batches: True if several edits can be applied together; otherwise a batch has one edit.
        needs_subject: True if every edit must mark the subject in its prompt.
        needs_training: True if the method must be trained before it can edit.
        needs_loaded_weights: True if the method trains weights of the model, which must be in a device's
            memory; offloaded ones are not.
        presets_of: The method whose presets it uses; empty for its own.
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
    needs_loaded_weights: bool = False
    presets_of: str = ""

    def check_batch_size(self, batch_size: int) -> None:
        """Rejects invalid batch sizes, and batches of several edits for a method that applies one at a time.

        Raises:
            BadInputError: `batch_size` is not a whole number from 1 on, or it is greater than 1 and the
                method takes one edit at a time.
        """
        number = as_whole_number(batch_size)
        if number is None or number < 1:
            raise BadInputError(f"Invalid batch size {shown(batch_size)}; expected a whole number from 1 on.")
        if batch_size > 1 and not self.takes_batches:
            raise BadInputError(
                f"{self.name} applies one edit at a time, but the batch size is {batch_size}.",
                hint="Set the batch size to 1, or use a method that takes batches, such as memit or emmet.",
            )

    def check_offload(self, offloaded: bool) -> None:
        """Rejects a model whose weights are offloaded if the method trains them.

        Raises:
            BadInputError: It does.
        """
        if offloaded and self.needs_loaded_weights:
            raise BadInputError(
                f"{self.name} trains weights of the model, which are offloaded by the device map.",
                hint="Give all weights a device, or use a method that computes its change, such as memit.",
            )

    def check_subjects(self, edits: Sequence[Edit]) -> None:
        """Rejects edits without a subject if the method needs one.

        Raises:
            BadInputError: An edit has no subject. The message names the first one's id.
        """
        without = [edit.id for edit in edits if edit.subject is None] if self.needs_subject else []
        if without:
            raise BadInputError(
                f"{self.name} edits at the subject's tokens, and {len(without)} of {len(edits)} edits have "
                f"no subject (the first: {without[0]}).",
                hint="Give each edit a subject and mark it with {} in the prompt, or use ultraedit or ft-m.",
            )


class RegularizerSettings(NumericModel):
    """A regularizer's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class RegularizerInfo:
    """A regularizer's name, its settings and the methods it can be combined with.

    Args:
        name: The regularizer's name, which is joined to the method's.
        summary: A one-line description of the regularizer, with its source.
        paper: The paper that describes it.
        implementation: The class of the regularizer, as `module:Class`.
        settings: The class of its settings.
        works_through: The setting of a method that the regularizer changes; empty if it can be combined with
            every method that edits weights.
        misfit: The predicate of the message about a method without that setting; `{}` stands for the
            method's name.
        suited: The methods with that setting.
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
        """Rejects a method that this regularizer can't be combined with.

        Raises:
            BadInputError: The method doesn't change weights, or lacks the setting that the regularizer needs.
        """
        if method.location != "weights":
            raise BadInputError(
                f"{self.name!r} can't regularize {method.name}, which changes no weights.",
                hint="Use a method that edits weights; `sequela methods` shows each method's location.",
            )
        if self.works_through and self.works_through not in method.settings.model_fields:
            raise BadInputError(
                f"The regularizer {self.name!r} {self.misfit.format(method.name)}.",
                hint=f"Use it with {self.suited}.",
            )
