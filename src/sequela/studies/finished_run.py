"""A finished run whose study is started again: only what its results depend on is checked.

The model is loaded for that, since only its fingerprint shows whether its files are the same. Nothing is
measured, and nothing in the folder changes.
"""

from __future__ import annotations

from sequela.core.precision import Precision
from sequela.models import load_model
from sequela.results import Manifest
from sequela.studies.pieces import loading, pieces_of, preparing
from sequela.studies.run_log import RunLog
from sequela.studies.run_manifest import (
    check_trajectories_stored,
    with_inputs,
    with_model,
    with_trajectories,
)


def is_finished(manifest: Manifest, n_stored: int) -> bool:
    """Returns whether a run has all its results."""
    return manifest.incompleteness(n_stored) is None


def check_unchanged(log: RunLog, precision: Precision) -> None:
    """Checks that the models, methods and their inputs are those of the finished run.

    Raises:
        OtherRunError: One of them has changed.
    """
    plan, manifest, progress = log.plan, log.manifest, log.progress
    left = list(pieces_of(plan))
    for name in plan.study.models:
        with log.workload.doing(loading(name), f"loading {name}"):
            model = load_model(
                name,
                device=plan.study.device,
                device_map=plan.study.device_map,
                dtype=precision.name,
                progress=progress,
            )
        left.remove(loading(name))
        manifest = with_model(manifest, name, model, log.folder)
        trajectories = plan.trajectories(plan.sessions(model, progress))
        manifest = with_trajectories(manifest, trajectories, log.folder)
        if not log.manifest.trajectory_keys:  # of an earlier version
            check_trajectories_stored(trajectories, log.store.evaluations(), log.folder)
        for first in trajectories[:: len(plan.study.order_seeds)]:
            piece = preparing(model.name, first.session.editor.name)
            with log.workload.doing(piece, log.label(model, first.label, "statistics and contexts")):
                manifest = with_inputs(manifest, first.session, log.folder)
            if piece in left:
                left.remove(piece)
    for piece in left:
        log.workload.skip(piece)
