"""Results of a run that a loaded model or a prepared method shows to be outdated, which an update removes.

A study file only names models, presets, texts and networks; only then it is known whether they are what they
were. Results are removed before the manifest is written: a run that ends in between is refused as before, and
another update goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from sequela.results import HistoryEntry, Kept, Manifest, ResultsStore
from sequela.results.manifest import utc_now
from sequela.studies.model_tasks import LoadedModel, PlannedMethod
from sequela.studies.run_log import RunLog
from sequela.studies.trajectory_names import method_of, names_of_model, trajectory_name, unedited_keys

END_TOKENS = "end tokens"
"""The input of a model that its fingerprint doesn't cover, because only generated texts depend on it."""


def remove_outdated_model(log: RunLog, model: LoadedModel) -> None:
    """Removes the results of a model that is another one now, or those of its methods that are others."""
    manifest, name = log.manifest, model.name
    fingerprint = manifest.model_hashes.get(name, model.fingerprint)
    end_tokens = manifest.input_hashes.get(f"{name}, {END_TOKENS}", model.end_tokens)
    models = manifest.config["models"]
    if (fingerprint, end_tokens) != (model.fingerprint, model.end_tokens):
        former = names_of_model(manifest.trajectory_keys, name, models)
        unedited = unedited_keys(manifest, fingerprint).values()
        keys = {*(manifest.trajectory_keys[one] for one in former), *unedited}
        inputs = names_of_model(manifest.input_hashes, name, models)
        hashes = {of: one for of, one in manifest.model_hashes.items() if of != name}
        left = manifest.model_copy(update={"model_hashes": hashes})
        _remove(log, _without(left, former, inputs), keys, f"{name} is another model now", of_model=name)
        return
    for (_, sample, seed), one in model.trajectories.items():
        of = trajectory_name(name, one.label, sample, seed)
        key = log.manifest.trajectory_keys.get(of, one.key)
        if key != one.key:
            left = _without(log.manifest, [of], [])
            _remove(
                log,
                left,
                {key},
                f"{of}: a preset, the text of the key statistics or a default is another one",
            )


def remove_outdated_inputs(log: RunLog, method: PlannedMethod) -> None:
    """Removes the results of a method that has read something else than before, such as another network."""
    manifest = log.manifest
    changed = [
        kind
        for kind, current in method.inputs.items()
        if manifest.input_hashes.get(f"{method.label}, {kind}", current) != current
    ]
    if not changed:
        return
    own = [one for one in manifest.trajectory_keys if method_of(one) == method.label]
    keys = {manifest.trajectory_keys[one] for one in own}
    left = _without(manifest, [], [f"{method.label}, {kind}" for kind in changed])
    _remove(log, left, keys, f"{method.label}, {' and '.join(changed)}: no longer what they were")


def _without(manifest: Manifest, trajectories: Collection[str], inputs: Collection[str]) -> Manifest:
    keys = {name: key for name, key in manifest.trajectory_keys.items() if name not in trajectories}
    hashes = {name: one for name, one in manifest.input_hashes.items() if name not in inputs}
    return manifest.model_copy(update={"trajectory_keys": keys, "input_hashes": hashes})


def _remove(log: RunLog, left: Manifest, keys: Collection[str], reason: str, of_model: str = "") -> None:
    """Removes the results of trajectories, then writes the manifest that is left.

    Args:
        log: The records of the run.
        left: The manifest without them.
        keys: The keys of the trajectories.
        reason: Why, in a sentence without a full stop.
        of_model: The model whose further costs are removed too.
    """
    removed = remove_trajectories(log.store, log.folder, keys, of_model)
    log.progress.say(f"{reason}; {removed} evaluations are removed and measured again")
    entry = HistoryEntry(time=utc_now(), command=left.command, changes=(reason,))
    log.update(left.with_history(entry))


def remove_trajectories(store: ResultsStore, folder: Path, keys: Collection[str], of_model: str = "") -> int:
    """Removes the results and checkpoints of trajectories; returns the number of evaluations removed.

    Args:
        store: The results of the run.
        folder: Its folder.
        keys: The keys of the trajectories.
        of_model: The model whose further costs are removed too; empty for none.
    """
    removed = store.retain(
        Kept(
            evaluation=lambda key: key.trajectory not in keys,
            edit=lambda trajectory, _position: trajectory not in keys,
            cost=lambda cost: cost.trajectory not in keys and (not of_model or cost.model != of_model),
        )
    )
    for key in keys:
        if (checkpoints := folder / "checkpoints" / key).is_dir():
            shutil.rmtree(checkpoints)
    return removed
