"""A part of a study: some of its models, methods and orders of edits."""

from __future__ import annotations

from dataclasses import dataclass

from sequela.core.errors import BadInputError, near_matches
from sequela.results import HistoryEntry, Manifest
from sequela.results.manifest import utc_now
from sequela.scheduling import Task
from sequela.studies.study import Study
from sequela.studies.tasks import EditTask, MeasureTask, OfModel, TaskKind


@dataclass(frozen=True)
class RunPart:
    """The part of a study that a run is to do; what is empty isn't limited.

    The unedited model of each chosen model belongs to it, since edited models are compared with it.

    Args:
        models: The names of models, as in the study.
        editors: The names of methods, as in the study; a name stands for all entries with it.
        order_seeds: The shuffle seeds.
        edit_samples: The samples of edits.
    """

    models: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    order_seeds: tuple[int, ...] = ()
    edit_samples: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """True if nothing is limited."""
        return not (self.models or self.editors or self.order_seeds or self.edit_samples)

    def __str__(self) -> str:
        named = {
            "model": self.models,
            "editor": self.editors,
            "sample": self.edit_samples,
            "seed": self.order_seeds,
        }
        return "; ".join(f"{key} {', '.join(map(str, values))}" for key, values in named.items() if values)

    def recorded(self, manifest: Manifest) -> Manifest:
        """Returns the manifest of a run, which has the parts that were asked for in its history."""
        if self.is_whole:
            return manifest
        entry = HistoryEntry(time=utc_now(), command=manifest.command, part=str(self))
        return manifest.with_history(entry)

    def check(self, study: Study) -> None:
        """Checks that a study has what is named.

        Raises:
            BadInputError: It hasn't; all that it has is listed, and the most similar name first.
        """
        _check("model", self.models, study.models)
        _check("editor", self.editors, [editor.name for editor in study.editors])
        _check("sample", self.edit_samples, study.edits.samples or ())
        _check("seed", self.order_seeds, study.order_seeds)

    def has_model(self, name: str) -> bool:
        """Returns whether a model belongs to the part."""
        return not self.models or name in self.models

    def has_method(self, study: Study, number: int) -> bool:
        """Returns whether a method belongs to the part, by its position in the study."""
        return not self.editors or study.editors[number].name in self.editors

    def has_order(self, sample: int | None, seed: int) -> bool:
        """Returns whether a sample and an order of its edits belong to the part."""
        return self.has_sample(sample) and (not self.order_seeds or seed in self.order_seeds)

    def has_sample(self, sample: int | None) -> bool:
        """Returns whether a sample of edits belongs to the part; None is what belongs to no sample."""
        return not self.edit_samples or sample is None or sample in self.edit_samples

    def has(self, study: Study, task: Task) -> bool:
        """Returns whether a task of the study belongs to the part."""
        payload = task.payload
        if isinstance(payload, OfModel):
            of_method = task.kind in (TaskKind.PREPARE.value, TaskKind.PLAN_METHOD.value)
            method = payload.method if of_method else None
            is_asked = self.has_model(payload.model) and self.has_sample(payload.edit_sample)
            return is_asked and (method is None or self.has_method(study, method))
        assert isinstance(payload, EditTask | MeasureTask)
        at = payload.to if isinstance(payload, EditTask) else payload.at
        is_asked = self.has_model(at.model) and self.has_order(at.edit_sample, at.order_seed)
        return is_asked and self.has_method(study, at.method)


WHOLE = RunPart()
"""The whole study."""


def _check(kind: str, given: tuple[object, ...], known: object) -> None:
    assert isinstance(known, list | tuple)
    for one in given:
        if one not in known:
            names = list(dict.fromkeys(map(str, known)))
            if not names:
                raise BadInputError(f"--{kind} {one}: the study has no {kind}s.", hint=f"Leave out --{kind}.")
            near = near_matches(str(one), names, limit=1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise BadInputError(
                f"--{kind} {one}: the study has no such {kind}.", hint=f"{meant}It has: {', '.join(names)}."
            )
