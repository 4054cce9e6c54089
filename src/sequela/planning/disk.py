"""The disk space of a run, from the shapes of deltas and the numbers of items."""

from __future__ import annotations

from dataclasses import dataclass

from sequela.editors.session import EditSession
from sequela.models.weightless import WeightlessModel
from sequela.planning.methods import MethodShape, innermost
from sequela.planning.speed import MethodSpeed
from sequela.planning.work import Work

SINGLE = 4
"""The bytes of a stored number: deltas and statistics are in fp32."""

RECORD_BYTES = 1500
"""About the bytes of an edit's report in a checkpoint, and of its record in the database."""

DOCUMENT_BYTES = 4000
"""About the bytes of the description of an object, and of the results of a task."""


@dataclass(frozen=True)
class DiskSpace:
    """The disk space of a run, in bytes. Checkpoints are in the store, and linked to from the run's folder.

    Args:
        checkpoints: Deltas, states and logs.
        items: The item records in the store, and as much again in the run's folder.
        statistics: Key covariances with their text.
        documents: Descriptions and results.
        unknown: The methods of which the size of a checkpoint is unknown.
    """

    checkpoints: float = 0.0
    items: float = 0.0
    statistics: float = 0.0
    documents: float = 0.0
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """All of it."""
        return self.checkpoints + self.items + self.statistics + self.documents

    def __add__(self, other: DiskSpace) -> DiskSpace:
        return DiskSpace(
            self.checkpoints + other.checkpoints,
            self.items + other.items,
            self.statistics + other.statistics,
            self.documents + other.documents,
            tuple(dict.fromkeys((*self.unknown, *other.unknown))),
        )


def of_measurement(work: Work) -> DiskSpace:
    """Returns the space of a measurement: its items are in the store and in the run."""
    return DiskSpace(items=2 * work.item_bytes, documents=2 * DOCUMENT_BYTES)


def of_statistics(model: WeightlessModel, n_layers: int, n_tokens: int) -> DiskSpace:
    """Returns the space of the key covariances of some layers, with their text."""
    return DiskSpace(statistics=n_layers * model.key_size**2 * SINGLE + n_tokens * SINGLE)


def of_checkpoint(
    session: EditSession,
    shape: MethodShape,
    model: WeightlessModel,
    speed: MethodSpeed | None,
    n_edits: int,
    success: Work,
) -> DiskSpace:
    """Returns the space of a checkpoint.

    Args:
        session: The session of the method.
        shape: What the method does.
        model: The model.
        speed: What was measured, which has the size of real checkpoints; None if nothing was.
        n_edits: The number of edits.
        success: The work of measuring one batch right after it, whose items are in the checkpoint.
    """
    n_batches = -(-n_edits // session.batch_size)
    records = n_edits * RECORD_BYTES + n_batches * success.item_bytes
    if speed is not None and speed.first_bytes is not None:
        tensors: float | None = speed.first_bytes + (n_batches - 1) * speed.batch_bytes
    else:
        tensors = _tensor_bytes(session, shape, model, n_edits)
    unknown = () if tensors is not None else (session.editor.name,)
    return DiskSpace(checkpoints=(tensors or 0.0) + records, documents=DOCUMENT_BYTES, unknown=unknown)


def _tensor_bytes(
    session: EditSession, shape: MethodShape, model: WeightlessModel, n_edits: int
) -> float | None:
    """Returns the size of the delta and the state by the kind of the method; None for unknown methods."""
    method, width, inner = innermost(session.editor).method, model.hidden_size, model.key_size
    whole = width * inner * SINGLE
    layers = max(1, len(shape.layers))
    if shape.statistics_layers or method in _ONE_RANK:
        delta = layers * min(n_edits * (width + inner) * SINGLE, whole)
        dense = session.editor is not innermost(session.editor)  # regularized changes have full rank
        keys = layers * n_edits * inner * SINGLE if shape.keeps_keys else 0
        return (layers * whole if dense else delta) + keys
    if method in _WHOLE_LAYERS:
        return layers * whole
    if method in _PER_TOKEN:
        return 2 * layers * min(n_edits * shape.row_tokens * (width + inner) * SINGLE, whole)
    if method in _TWO_VECTORS:
        return n_edits * 2 * width * SINGLE
    if session.editor.location == "prompt":
        return n_edits * width * SINGLE
    return None


_ONE_RANK = frozenset({"rome", "emmet", "kn"})
_WHOLE_LAYERS = frozenset({"ft-m", "ft-l", "wise"})
_PER_TOKEN = frozenset({"mend", "malmen", "ultraedit"})
_TWO_VECTORS = frozenset({"grace", "melo"})
