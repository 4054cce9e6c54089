"""The addresses of the outputs of a study's tasks: hashes of everything that decides them.

Names that only label results (of a model, a study, a source of edits) are not in them, so that studies share
what they have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sequela.edited.chat_template import ChatTemplate
from sequela.editors.session import EditSession, replaced_within
from sequela.edits import Edit, EditSet
from sequela.evaluation.suite import Suite
from sequela.models import LanguageModel
from sequela.store import Address, Kind
from sequela.studies.study import Study
from sequela.studies.text_rules import text_rules

OUTPUT_VERSION = 1
"""The version of what tasks store; it changes when the same task would store another output."""


@dataclass(frozen=True)
class Output:
    """The output of a task: its address, and what that was computed from.

    Args:
        kind: The kind of object.
        about: Everything that decides the output, as a JSON object.
    """

    kind: Kind
    about: Mapping[str, Any]

    @property
    def address(self) -> Address:
        """The address in the store."""
        return Address.of(self.kind, self.about)

    @property
    def key(self) -> str:
        """The key of the task."""
        return str(self.address)


class TaskKeys:
    """The outputs of the tasks of one model.

    Args:
        study: The study.
        model: The model.
        asking: The chat template of evaluation prompts, if there is one.
        edits: All edits of the study or of one of its samples, in the order of the source.
        edit_quality: The version of edit quality for these.
    """

    def __init__(
        self,
        study: Study,
        model: LanguageModel,
        asking: Sequence[ChatTemplate],
        edits: EditSet,
        edit_quality: str,
    ) -> None:
        self._study = study
        self._edits = edits.content_hash
        self._edit_quality = edit_quality
        self._measured = {
            "version": OUTPUT_VERSION,
            "model": model.fingerprint,
            "dtype": str(model.dtype),
            "device": model.device.type,
            "device map": study.model_dump(mode="json")["device_map"],
            "engine": study.engine,
            "end tokens": sorted(model.end_ids),
            "template": [template.content_hash for template in asking],
        }

    def unedited_answers(self) -> Output:
        """Returns the unedited model's answers and texts with which edited models are compared."""
        return Output(Kind.BASELINE, {**self._measured, **self._quality, "task": "reference answers"})

    def unedited_health(self, version: str) -> Output:
        """Returns the unedited model's health metrics, by the version of the health monitor."""
        return Output(Kind.BASELINE, {**self._measured, "task": "health", "monitor": version})

    def unedited(self, suite: Suite) -> Output:
        """Returns a suite on the unedited model."""
        return Output(Kind.BASELINE, {**self._measured, **_version(suite), "task": "measure"})

    def unedited_quality(self) -> Output:
        """Returns edit quality on the unedited model."""
        return Output(Kind.BASELINE, {**self._measured, **self._quality, "task": "edit quality"})

    def checkpoint(
        self, session: EditSession, edits: Sequence[Edit], inputs: Mapping[str, str], monitor: str
    ) -> Output:
        """Returns a checkpoint: the edits so far, and what was measured right after each batch.

        Args:
            session: The session of the method.
            edits: The edits up to the checkpoint, in order.
            inputs: The hashes of what the method has read, as `Editor.inputs` returns them.
            monitor: The version of the health monitor.
        """
        batches = list(session.batches(edits))
        alarms = self._study.alarms
        health = {"every": alarms.every, "stop": list(alarms.stop_when), "monitor": monitor}
        return Output(
            Kind.CHECKPOINT,
            {
                **self._measured,
                **self._quality,
                "method": session.editor.name,
                "settings": session.editor.settings,
                "revision": session.editor.revision(session.model),
                "texts": text_rules(edits),
                "near the context limit": session.reads_near_limit(edits),
                "replaced within batches": any(map(replaced_within, batches)),
                "seed": session.resources.seed,
                "statistics": session.resources.statistics.key,
                "inputs": dict(inputs),
                "on bad edit": session.policy.model_dump(mode="json"),
                "edit template": None if session.template is None else session.template.edits_hash,
                "edits": [[edit.content_hash for edit in batch] for batch in batches],
                "health": health if alarms.every else None,
            },
        )

    def measured(self, checkpoint: Output, suite: Suite) -> Output:
        """Returns a suite at a checkpoint."""
        about = {**self._measured, **_version(suite), "checkpoint": checkpoint.address.key}
        return Output(Kind.EVALUATION, about)

    def measured_quality(self, checkpoint: Output) -> Output:
        """Returns edit quality at a checkpoint."""
        about = {**self._measured, **self._quality, "checkpoint": checkpoint.address.key}
        return Output(Kind.EVALUATION, about)

    @property
    def _quality(self) -> dict[str, Any]:
        """The settings of the measurement of edits, and the edits that references come from."""
        return {"edit quality": self._edit_quality, "edit set": self._edits}


def _version(suite: Suite) -> dict[str, str]:
    return {"suite": suite.name, "suite version": suite.version}
