"""The speed of a model on a device of which only the profile is known: a simple roofline model."""

from __future__ import annotations

from collections.abc import Iterable

from sequela.editors.session import EditSession
from sequela.models.weightless import WeightlessModel
from sequela.planning.device_profiles import (
    BANDWIDTH_EFFICIENCY,
    DISK_BYTES_PER_SECOND,
    EFFICIENCY,
    GPU_CALL_SECONDS,
    SHORT_EFFICIENCY,
    DeviceProfile,
)
from sequela.planning.methods import MethodShape, context_steps, method_key
from sequela.planning.speed import MOST_ROWS, Flops, MethodSpeed, Speed

TASK_SECONDS = 0.15
"""The fixed time of a task: storing its output and writing its results."""

ITEM_SECONDS = 0.0003
"""The same for an item record."""

_SHORT, _LONG = 32, 512


def profile_speed(
    profile: DeviceProfile,
    model: WeightlessModel,
    dtype: str,
    methods: Iterable[tuple[EditSession, MethodShape]],
) -> Speed:
    """Returns the speed of a model on a device.

    Scoring is bound by the operations; generation by the reading of the weights in each step or, with many
    rows, by the operations; editing by the operations of its forward and backward passes.

    Args:
        profile: The device.
        model: The model.
        dtype: The name of the dtype of its weights.
        methods: The methods with what they do.
    """
    flops, peak = Flops.of(model), profile.peak(dtype)
    weights = model.n_parameters * model.dtype.itemsize
    launch = GPU_CALL_SECONDS if profile.device == "cuda" else 0.0
    read = weights / (profile.bandwidth * BANDWIDTH_EFFICIENCY)
    per_row = (flops.tokens(1, _LONG) + flops.head) / (peak * EFFICIENCY)
    steps = tuple((float(rows), launch + max(read, rows * per_row)) for rows in (1, 8, 32, MOST_ROWS))
    speeds = {}
    for session, shape in methods:
        edit = shape.edit_flops(flops) / (peak * SHORT_EFFICIENCY) + 2 * launch * shape.gradient_steps
        covariance = len(shape.statistics_layers) * 2 * model.key_size**2
        forward = flops.tokens(1, _LONG) + covariance
        contexts = getattr(session.editor.hyperparameters, "n_contexts", 0)
        speeds[method_key(session)] = MethodSpeed(
            prepare_seconds=context_steps(contexts) * steps[0][1],
            first_seconds=len(shape.statistics_layers)
            * model.key_size**3
            / (3 * profile.peak("float32") * SHORT_EFFICIENCY / 2),
            batch_seconds=session.batch_size * edit,
            statistics_seconds=forward / (peak * EFFICIENCY) if shape.statistics_layers else 0.0,
        )
    packed = 2 * weights / profile.bandwidth if profile.device == "cpu" else 0.0
    return Speed(
        load_seconds=3 + weights / DISK_BYTES_PER_SECOND,
        call_seconds=launch + packed,
        flop_seconds=((_SHORT, 1 / (peak * SHORT_EFFICIENCY)), (_LONG, 1 / (peak * EFFICIENCY))),
        position_seconds=flops.head / (peak * EFFICIENCY),
        generating_call_seconds=launch + packed,
        step_seconds=steps,
        task_seconds=TASK_SECONDS,
        item_seconds=ITEM_SECONDS,
        methods=speeds,
    )
