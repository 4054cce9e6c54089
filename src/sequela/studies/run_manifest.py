"""The manifest of a new or resumed run, and the checks that its results belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sequela.core.precision import Precision
from sequela.edits import Finding
from sequela.models.loading import choose_device
from sequela.results import EditFinding, EvaluationKey, Manifest, collect_environment
from sequela.studies.model_tasks import LoadedModel, PlannedMethod, TrajectoryFacts
from sequela.studies.outdated import END_TOKENS
from sequela.studies.plan import Plan
from sequela.studies.plugins import (
    changed_plugins,
    check_plugins,
    components_of,
    plugins_of,
)
from sequela.studies.study_update import OtherRunError, StudyUpdate
from sequela.studies.trajectory_names import names_of_model, of_sample, trajectory_name


def open_manifest(
    plan: Plan,
    folder: Path,
    command: str,
    precision: Precision,
    earlier: Manifest | None,
    update: bool = False,
) -> tuple[Manifest, StudyUpdate | None]:
    """Returns the manifest of a new or resumed run, and the update of the run in the folder if there is one.

    Nothing in the folder is changed, and the manifest isn't written.

    Args:
        plan: The plan of the study.
        folder: The folder with the results, for messages.
        command: The user's command.
        precision: The data type of the weights.
        earlier: The manifest in the folder, if it has a run already.
        update: Whether the run may be one of another version of the study, which is updated then.

    Raises:
        OtherRunError: The folder has a run of another study.
        BadInputError: A package of the run is not installed, or has another version.
    """
    manifest = _new_manifest(plan, command, precision)
    if earlier is None:
        return manifest, None
    if not update:
        check_plugins(earlier)
    changed = StudyUpdate(earlier, manifest, changed_plugins(earlier, manifest.plugins))
    if update:
        return changed.manifest(), changed
    if changed.changes:
        changed.refuse(folder)
    manifest = manifest.model_copy(
        update={
            "started": earlier.started,
            "model_hashes": earlier.model_hashes,
            "trajectory_keys": earlier.trajectory_keys,
            "input_hashes": earlier.input_hashes,
            "edit_findings": earlier.edit_findings,
            "history": earlier.history,
        }
    )
    for end in earlier.early_ends:
        manifest = manifest.with_early_end(end)
    return manifest.with_components(earlier.components).with_plugins(earlier.plugins), None


def _new_manifest(plan: Plan, command: str, precision: Precision) -> Manifest:
    """Returns the manifest of a run that begins."""
    config = plan.study.model_dump(mode="json")
    config["dtype"] = precision.name
    for editor_config, (_, editor) in zip(config["editors"], plan.editors, strict=True):
        # With defaults filled in, so that a version with other defaults doesn't resume this run.
        editor_config["settings"] = editor.settings
    return Manifest(
        name=plan.study.name,
        evaluations_planned=plan.n_evaluations,
        environment=collect_environment(str(choose_device(plan.study.device)), str(precision)),
        config=config,
        given=plan.study.model_dump(mode="json"),
        edit_set_hashes={
            of_sample(plan.edits.name, sample): edits.content_hash for sample, edits in plan.samples.items()
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
            hint=f"Choose another folder with --output, or add --update: all results of {name} are then "
            "removed and measured again, and the others stay. If its files are the same, another version of "
            "transformers reads them differently; install the earlier one to continue.",
        )
    twins = [other for other, of_other in known.items() if of_other == fingerprint]
    if any(other != name for other in twins):
        raise OtherRunError(
            f"{name!r} and {twins[0]!r} are the same model.", hint="Remove one of them from the study."
        )
    # A fingerprint doesn't cover generation_config.json, because only generated texts depend on it.
    manifest = _with_input(manifest, name, END_TOKENS, model.end_tokens, folder)
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
        for sample, found_of_sample in findings.items()
        for one in found_of_sample
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
    known = manifest.trajectory_keys
    own = {
        trajectory_name(model.name, one.label, sample, seed): one
        for (_, sample, seed), one in model.trajectories.items()
    }
    for name, one in own.items():
        if known.get(name, one.key) != one.key:
            raise _other_method(model, one, folder)
    # In the order of the study, by which `trajectories_by_place` identifies them.
    former = names_of_model(known, model.name, manifest.config["models"])
    others = {name: key for name, key in known.items() if name not in former}
    keys = others | {name: one.key for name, one in own.items()}
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
        hint="Restore it, choose another folder with --output, or add --update: results of this method are "
        "then removed and measured again, and the others stay.",
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
            hint=f"Restore the former one, choose another folder with --output, or add --update: results of "
            f"{of} are then removed and measured again, and the others stay.",
        )
    return manifest.model_copy(update={"input_hashes": hashes})
