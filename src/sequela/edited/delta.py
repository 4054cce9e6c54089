"""Changes of the weights of one base model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from sequela.core.errors import FingerprintMismatchError, SequelaError
from sequela.core.hashing import hash_parts, hash_tensors
from sequela.core.precision import solve_dtype
from sequela.edited.updates import Dense, LowRank, WeightUpdate, add_updates, dense_copy
from sequela.models import LanguageModel
from sequela.models.placement import is_on_disk, read_from_disk_again, write_weight


@dataclass(frozen=True, eq=False)
class Delta:
    """A change of some weights of one base model.

    The edited weight is `round(W + update)`, computed in float64 from the base's `W`, so the
    same delta gives the same bits whether it was just computed, summed edit by edit, or loaded.

    Args:
        base_fingerprint: The fingerprint of the model that the delta is for.
        updates: The update `[out, in]` of each parameter, by name.
    """

    base_fingerprint: str
    updates: Mapping[str, WeightUpdate]

    @classmethod
    def empty(cls, base_fingerprint: str) -> Delta:
        """Returns the delta that changes nothing."""
        return cls(base_fingerprint, {})

    def tensors(self) -> dict[str, torch.Tensor]:
        """Returns the delta's tensors by the names they are saved under."""
        tensors: dict[str, torch.Tensor] = {}
        for name, update in self.updates.items():
            if isinstance(update, LowRank):
                tensors[f"{name}/b"] = update.b
                tensors[f"{name}/a"] = update.a
            else:
                tensors[f"{name}/values"] = update.values
        return tensors

    @cached_property
    def content_hash(self) -> str:
        """A hash of the base and every bit of the update."""
        return hash_parts({"base": self.base_fingerprint, "update": hash_tensors(self.tensors().items())})

    @property
    def finite(self) -> bool:
        """True if all entries are finite."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.tensors().values())

    def norms(self) -> dict[str, float]:
        """Returns the Frobenius norm of each weight's update."""
        return {name: float(torch.linalg.norm(update.to_dense())) for name, update in self.updates.items()}

    def __add__(self, other: Delta) -> Delta:
        if other.base_fingerprint != self.base_fingerprint:
            raise FingerprintMismatchError(
                f"Deltas of different bases can't be added: {self.base_fingerprint} and "
                f"{other.base_fingerprint}."
            )
        updates = dict(self.updates)
        for name, update in other.updates.items():
            updates[name] = add_updates(updates[name], update) if name in updates else update
        return Delta(self.base_fingerprint, updates)

    def is_changed_by(self, further: Delta, model: LanguageModel) -> bool:
        """Returns whether a further change changes a weight of the model; it can be lost in rounding."""
        return any(self._weight_changes(model, *one) for one in further.updates.items())  # mostly the first

    def _weight_changes(self, model: LanguageModel, name: str, update: WeightUpdate) -> bool:
        change = update.to_dense()
        if not bool(change.any()):
            return False
        weight = model.family.as_out_in(model.weight(name))
        dtype, earlier = weight.dtype, self.updates.get(name)
        row, column = divmod(int(change.abs().argmax()), change.shape[1])
        old = weight[row, column].to(change)
        if earlier is not None:
            old = old + earlier.entry(row, column).to(change)
        if (old + change[row, column]).to(dtype) != old.to(dtype):  # the greatest entry mostly shows it
            return True
        whole = weight.to(change)
        if earlier is not None:
            whole = whole + earlier.to_dense().to(change)
        return not torch.equal((whole + change).to(dtype), whole.to(dtype))

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the first block whose output can differ; the number of layers if none can.

        The inputs of that block are bit for bit the same as before the edit.
        """
        return min((model.block_of(name) for name in self.updates), default=model.n_layers)

    def check_base(self, model: LanguageModel) -> None:
        """Checks that the delta is for a model.

        Raises:
            FingerprintMismatchError: It is for another model; the message has both fingerprints.
        """
        if model.fingerprint != self.base_fingerprint:
            raise FingerprintMismatchError(
                f"The delta was made for the model {self.base_fingerprint}; "
                f"{model.name!r} is {model.fingerprint}.",
                hint="Load the model the delta was made for.",
            )

    def apply(self, model: LanguageModel) -> AppliedDelta:
        """Changes the model's weights in place.

        Args:
            model: The base that the delta is for. A delta that is already in force stays in force under this
                one.

        Returns:
            The change in force; its `revert` restores every bit.

        Raises:
            FingerprintMismatchError: The delta is for another model.
            SequelaError: An update has another shape than its weight; nothing is changed.
        """
        self.check_base(model)
        self._check_shapes(model)
        applied = AppliedDelta(model, {})
        model.changes.append(applied)
        try:
            for name, update in self.updates.items():
                stored = model.weight(name)
                if is_on_disk(model.module, name):
                    applied.on_disk.add(name)
                applied.originals[name] = stored.clone()
                _add(update, model, name, stored)
        except BaseException:  # Ctrl-C in a notebook must not leave half of a change
            applied.revert()
            raise
        return applied

    def _check_shapes(self, model: LanguageModel) -> None:
        for name, update in self.updates.items():
            weight = model.family.as_out_in(model.module.get_parameter(name))
            if update.shape != weight.shape:
                raise SequelaError(
                    f"The update of {name} is {list(update.shape)}; the weight is {list(weight.shape)}."
                )


@dataclass(eq=False)
class AppliedDelta:
    """A delta in force on a model.

    Args:
        model: The changed model.
        originals: The stored weights before the change.
        on_disk: The names of those that were in a file, unchanged.
    """

    model: LanguageModel
    originals: dict[str, torch.Tensor]
    on_disk: set[str] = field(default_factory=set)

    def revert(self) -> None:
        """Restores the weights bit for bit.

        Raises:
            SequelaError: A later change is still in force.
        """
        if not self.model.changes or self.model.changes[-1] is not self:
            raise SequelaError("This delta can't be reverted: it isn't the last change in force.")
        self.model.changes.pop()
        for name, original in self.originals.items():
            if name in self.on_disk:
                read_from_disk_again(self.model.module, name)
            else:
                write_weight(self.model.module, name, original)
        self.originals.clear()

    def toggle(self) -> None:
        """Swaps in the original weights or, called again, the edited ones."""
        for name, original in self.originals.items():
            changed = self.model.weight(name).clone()
            write_weight(self.model.module, name, original)
            self.originals[name] = changed


def _add(update: WeightUpdate, model: LanguageModel, name: str, stored: torch.Tensor) -> None:
    """Adds an update to a stored weight; the only tensor of its size in float64 is freed at the end."""
    total = dense_copy(update, stored.device).add_(model.family.as_out_in(stored))
    write_weight(model.module, name, model.family.as_out_in(total))


def difference(model: LanguageModel, name: str, edited: torch.Tensor) -> Dense:
    """Returns the update that turns a stored weight of the model into `edited`.

    Args:
        model: The model, with its current weights.
        name: The parameter's name.
        edited: The edited weight, oriented as stored.
    """
    stored = model.weight(name)
    change = edited.to(stored.device, solve_dtype(stored.device), copy=True).sub_(stored)
    return Dense(model.family.as_out_in(change).float().contiguous())
