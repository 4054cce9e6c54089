"""The peak memory of a run, computed from a model's configuration, the requests and the methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.core.precision import SCORING_DTYPE
from sequela.inference.memory_limit import ALLOWANCE
from sequela.inference.torch.lm_head import POSITIONS
from sequela.inference.torch.memory_plan import LOGITS, WIDTHS, WorkingMemory
from sequela.inference.torch.packed_linear import packed_bytes, packs_linears
from sequela.models.weightless import WeightlessModel
from sequela.planning.counting import Call, GeneratingCall, ScoringCall
from sequela.planning.methods import MethodShape
from sequela.planning.speed import MOST_ROWS

DOUBLE, SINGLE = 8, 4
"""The bytes of a number in the solves, and in fp32."""

ADAM = 4 * SINGLE
"""The bytes that Adam needs for a weight: its gradient, two moments, and the weight before."""

SAVED_WIDTHS = 16
"""About how many vectors of the hidden size a token keeps in a block for the backward pass, besides those of
the MLP's inner width."""

SAVED_INNER = 4
"""The number of vectors of the MLP's inner width."""

DEPTH_CACHE = 2**30
"""The maximum number of bytes of hidden states that are kept in memory; more are in files."""

RUNNING = 200 * 2**20
"""The memory that libraries take when they first run: kernels, the optimizer, the database, and the heap."""

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class PeakMemory:
    """The peak memory of a run, in bytes.

    Args:
        program: The program with its libraries and the data sets.
        weights: The model's weights.
        copies: The copies of weights that engines make to be fast: packed ones, and the head in fp32.
        requests: The activations, keys and values, and logits of the largest call.
        states: The hidden states that are kept from one checkpoint to the next.
        methods: What the most demanding method needs in addition: statistics, gradients, an optimizer's
            state, a network.
        limit: The memory limit of the study, if it has one.
        on_gpu: Whether everything but the program is in the memory of a GPU.
    """

    program: int
    weights: int
    copies: int
    requests: int
    states: int
    methods: int
    limit: int | None = None
    on_gpu: bool = False

    @property
    def model(self) -> int:
        """Everything but the program: what a GPU must hold, if there is one.

        Editing and asking take turns: only statistics stay.
        """
        return self.weights + self.states + max(self.copies + self.requests, self.methods)

    @property
    def total(self) -> int:
        """The peak memory of the process; a limit bounds it."""
        total = self.program + self.model
        return total if self.limit is None else min(total, self.limit)


def peak_memory(
    model: WeightlessModel,
    calls: Sequence[Call],
    scored_tokens: float,
    methods: Iterable[MethodShape],
    program: int,
    limit: int | None = None,
) -> PeakMemory:
    """Returns the peak memory of the tasks of a model.

    Args:
        model: The model.
        calls: The calls of engines, each once.
        scored_tokens: The number of tokens of all scored requests of the study.
        methods: The methods.
        program: The memory of the program without a model.
        limit: The memory limit of the study.
    """
    methods = list(methods)
    weights = model.n_parameters * model.dtype.itemsize
    packs = packs_linears(model.device, model.dtype)
    vocabulary = int(model.module.config.vocab_size)
    head = vocabulary * model.hidden_size * SCORING_DTYPE.itemsize
    heads = packs_linears(model.device, SCORING_DTYPE) + (model.dtype != SCORING_DTYPE)
    logits = LOGITS * POSITIONS * vocabulary * SCORING_DTYPE.itemsize
    blocks = {shape.lowest_block for shape in methods if shape.lowest_block > 0}
    kept = scored_tokens * model.hidden_size * model.dtype.itemsize * len(blocks)
    return PeakMemory(
        program=program + RUNNING,
        weights=weights,
        copies=(packed_bytes(model) if packs else 0) + heads * head,
        requests=logits + round(max((_of_call(model, call) for call in calls), default=0)),
        states=round(min(kept, DEPTH_CACHE)),
        methods=max((_of_method(model, shape) for shape in methods), default=0),
        limit=limit,
        on_gpu=model.device.type != "cpu",
    )


def memory_in_use() -> int:
    """Returns the main memory that this process uses now, in bytes; a typical number where it is unknown."""
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return ALLOWANCE


def _of_call(model: WeightlessModel, call: Call) -> float:
    working = WorkingMemory()
    at_once = working.tokens_at_once(model)
    inside = WIDTHS * model.key_size * model.dtype.itemsize
    if isinstance(call, ScoringCall):
        return (
            min(call.tokens, at_once) * (inside + model.key_value_bytes) + model.key_value_bytes * call.length
        )
    assert isinstance(call, GeneratingCall)
    rows = min(len(call.most), MOST_ROWS)
    tokens = min(rows * (call.length + max(call.most)), working.tokens_kept(model))
    return tokens * model.key_value_bytes + min(call.prompt_tokens, at_once) * inside


def _of_method(model: WeightlessModel, shape: MethodShape) -> int:
    """Returns what a method needs in addition to the weights, in bytes."""
    size, vocabulary = model.key_size, int(model.module.config.vocab_size)
    factors = len(shape.statistics_layers) * size**2 * DOUBLE
    factoring = 2 * size**2 * DOUBLE + size**2 * SINGLE if shape.statistics_layers else 0
    passes = 0.0
    if shape.gradient_steps:
        tokens, blocks = shape.rows * shape.row_tokens, model.n_layers - shape.lowest_block
        saved = SAVED_WIDTHS * model.hidden_size + SAVED_INNER * size
        passes = tokens * blocks * saved * model.dtype.itemsize + LOGITS * shape.rows * vocabulary * SINGLE
    trained = shape.trained_parameters * (ADAM + DOUBLE)
    network = (shape.network_parameters or 0) * SINGLE
    return round(factors + max(factoring, passes) + trained + network)
