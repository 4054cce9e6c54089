"""The manifest of a new or resumed run, and the checks that its results belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.precision import Precision
from sequela.edits import Finding
from sequela.models.loading import choose_device
from sequela.results import EditFinding, EvaluationKey, Manifest, collect_environment, order_label
from sequela.studies.model_tasks import LoadedModel, PlannedMethod, TrajectoryFacts
from sequela.studies.plan import Plan
from sequela.studies.plugins import (
    check_plugins,
    components_of,
    plugins_of,
)


class OtherRunError(SequelaError):
    """The results of a run would be mixed with those of another one."""


def open_manifest(
    plan: Plan, folder: Path, command: str, precision: Precision, earlier: Manifest | None
) -> Manifest:
    """Returns the manifest of a new or resumed run; the caller writes it.

    Args:
        plan: The plan of the study.
        folder: The folder with the results, for messages.
        command: The user's command.
        precision: The data type of the weights.
        earlier: The manifest in the folder, if it has a run already.

    Raises:
        OtherRunError: The folder has a run of another study.
    """
    config = plan.study.model_dump(mode="json")
    config["dtype"] = precision.name
    for editor_config, (_, editor) in zip(config["editors"], plan.editors, strict=True):
        # With defaults filled in, so that a version with other defaults doesn't resume this run.
        editor_config["settings"] = editor.settings
    manifest = Manifest(
        name=plan.study.name,
        evaluations_planned=plan.n_evaluations,
        environment=collect_environment(str(choose_device(plan.study.device)), str(precision)),
        config=config,
        given=plan.study.model_dump(mode="json"),
        edit_set_hashes={
            plan.edits.name if sample is None else f"{plan.edits.name}, sample {sample}": edits.content_hash
            for sample, edits in plan.samples.items()
        },
        suite_versions=plan.suite_versions(),
        suite_infos=plan.suite_infos(),
        components=components_of(plan.study),
        plugins=plugins_of(plan.study),
        seeds={
            **({"edit_samples": list(plan.study.edits.samples)} if plan.study.edits.samples else {}),
            "order": list(plan.study.order_seeds),
            "editors": [plan.study.seed],
        },
        command=command,
        notes=tuple(plan.notes()),
    )
    if earlier is not None:
        check_plugins(earlier)
        if _result_determining_fields(earlier) != _result_determining_fields(manifest):
            raise OtherRunError(
                f"{folder} has the run of another study, or of an earlier version of this one.",
                hint="Choose another folder with --output, or delete that one.",
            )
        manifest = manifest.model_copy(
            update={
                "started": earlier.started,
                "model_hashes": earlier.model_hashes,
                "trajectory_keys": earlier.trajectory_keys,
                "input_hashes": earlier.input_hashes,
                "edit_findings": earlier.edit_findings,
            }
        )
        manifest = manifest.with_components(earlier.components).with_plugins(earlier.plugins)
    return manifest


def _result_determining_fields(manifest: Manifest) -> tuple[object, ...]:
    """Returns the fields that determine the results of a run; the memory limit is not one of them."""
    config = {key: value for key, value in manifest.config.items() if key != "memory"}
    return config, manifest.edit_set_hashes, manifest.suite_versions


def with_model(manifest: Manifest, model: LoadedModel, folder: Path) -> Manifest:
    """Returns the manifest with the fingerprint of a model, and with the package of its family.

    Args:
        manifest: The manifest of the run so far.
        model: The model.
        folder: The folder with the results, for messages.

    Raises:
        OtherRunError: Its results would be mixed with those of another model.
    """
    known, name, fingerprint = manifest.model_hashes, model.name, model.fingerprint
    if known.get(name, fingerprint) != fingerprint:
        raise OtherRunError(
            f"{name!r} is no longer the model with which the run in {folder} started: its "
            f"fingerprint was {known[name]} and is now {fingerprint}.",
            hint="Choose another folder with --output. If its files are the same, another version of "
            "transformers reads them differently; install the earlier one to continue.",
        )
    twins = [other for other, of_other in known.items() if of_other == fingerprint]
    if any(other != name for other in twins):
        raise OtherRunError(
            f"{name!r} and {twins[0]!r} are the same model.", hint="Remove one of them from the study."
        )
    # A fingerprint doesn't cover generation_config.json, because only generated texts depend on it.
    manifest = _with_input(manifest, name, "end tokens", model.end_tokens, folder)
    manifest = manifest.model_copy(update={"model_hashes": {**known, name: fingerprint}})
    return manifest.with_components([model.component]).with_plugins(model.plugins)


def with_findings(
    manifest: Manifest, name: str, findings: Mapping[int | None, Sequence[Finding]]
) -> Manifest:
    """Returns the manifest with the findings about the edits.

    Args:
        manifest: The manifest of the run so far.
        name: The name, in the study, of the model whose tokenizer counted.
        findings: The findings by sample of edits.
    """
    found = tuple(
        EditFinding(**{**asdict(one), "kind": one.kind.value, "edit_sample": sample})
        for sample, of_sample in findings.items()
        for one in of_sample
    )
    return manifest.model_copy(update={"edit_findings": {**manifest.edit_findings, name: found}})


def with_trajectories(manifest: Manifest, model: LoadedModel, folder: Path) -> Manifest:
    """Returns the manifest with the keys of a model's trajectories.

    Args:
        manifest: The manifest of the run so far.
        model: The model.
        folder: The folder with the results, for messages.

    Raises:
        OtherRunError: The results of a trajectory would be mixed with those of another one.
    """
    keys = dict(manifest.trajectory_keys)
    for (_, sample, seed), one in model.trajectories.items():
        name = f"{model.name}, {one.label}, {order_label(sample, seed)}"
        if keys.setdefault(name, one.key) != one.key:
            raise _other_method(model, one, folder)
    return manifest.model_copy(update={"trajectory_keys": keys})


def check_trajectories_stored(model: LoadedModel, evaluations: Iterable[EvaluationKey], folder: Path) -> None:
    """Checks that a finished run whose manifest has no keys of trajectories has results of each of them.

    Raises:
        OtherRunError: The results are those of a method with other settings.
    """
    stored = {one.trajectory for one in evaluations if one.n_edits}
    for one in model.trajectories.values():
        if stored and one.key not in stored:
            raise _other_method(model, one, folder)


def _other_method(model: LoadedModel, trajectory: TrajectoryFacts, folder: Path) -> OtherRunError:
    return OtherRunError(
        f"{trajectory.label} on {model.name} is no longer the method with which the run "
        f"in {folder} started: a preset, the text of the key statistics or a default has changed.",
        hint="Restore it, or choose another folder with --output.",
    )


def with_inputs(manifest: Manifest, method: PlannedMethod, folder: Path) -> Manifest:
    """Returns the manifest with the hashes of what a method has read besides the model and the edits.

    Args:
        manifest: The manifest of the run so far.
        method: The method, which is prepared.
        folder: The folder with the results, for messages.

    Raises:
        OtherRunError: Earlier results of the run were computed with others.
    """
    for kind, current in method.inputs.items():
        manifest = _with_input(manifest, method.label, kind, current, folder)
    return manifest


def _with_input(manifest: Manifest, of: str, kind: str, current: str, folder: Path) -> Manifest:
    """Returns the manifest with one more hash.

    Args:
        manifest: The manifest of the run so far.
        of: The model, or the model and the method.
        kind: The kind of input.
        current: Its hash.
        folder: The folder with the results, for messages.

    Raises:
        OtherRunError: The run started with another hash.
    """
    hashes = dict(manifest.input_hashes)
    earlier = hashes.setdefault(f"{of}, {kind}", current)
    if earlier != current:
        raise OtherRunError(
            f"{of}, {kind}: no longer what the run in {folder} started with; the hash was {earlier} and is "
            f"now {current}.",
            hint="Restore the former one, or choose another folder with --output.",
        )
    return manifest.model_copy(update={"input_hashes": hashes})
