"""The speed of a model on a machine, and the time of work that follows from it.

A machine is measured (`calibration.py`) or described by a profile (`device_profiles.py`); both give a
`Speed`, and everything else is computed alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field

from sequela.models.weightless import WeightlessModel
from sequela.planning.counting import GeneratingCall, ScoringCall
from sequela.planning.work import Work

MOST_ROWS = 128
"""The number of texts that engines continue at once."""

Lengths = tuple[tuple[float, ...], ...]
"""For each generating call of a suite, the lengths of sampled answers as shares of the maximum."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MethodSpeed(_Stored):
    """The speed of an editing method with its settings and its batch size.

    Args:
        prepare_seconds: The time to prepare it, without statistics.
        first_seconds: The additional time of the first batch, such as that of factoring statistics.
        batch_seconds: The time of one batch.
        success_seconds: The time to measure a batch right after it; None if that wasn't measured.
        statistics_seconds: The time to run one token of the text for statistics; 0 if it needs none.
        first_bytes: The size of a checkpoint after one batch.
        batch_bytes: By how much a checkpoint grows with each further batch.
    """

    prepare_seconds: float = 0.0
    first_seconds: float = 0.0
    batch_seconds: float = 0.0
    success_seconds: float | None = None
    statistics_seconds: float = 0.0
    first_bytes: float | None = None
    batch_bytes: float = 0.0


class Speed(_Stored):
    """The speed of a model on a machine.

    Args:
        load_seconds: The time to load the model.
        call_seconds: The fixed time of a call that scores.
        flop_seconds: The time of a floating-point operation in a forward pass, by the length of the requests
            in tokens.
        position_seconds: The time to compute the probability of a token.
        generating_call_seconds: The fixed time of a call that generates.
        step_seconds: The time to generate one token in each row, by the number of rows.
        task_seconds: The fixed time of a task: storing its output and writing its results.
        item_seconds: The same for each item record.
        methods: The speed of methods, by `method_key`.
        answers: The lengths of answers, by `suite_key`.
    """

    load_seconds: float = Field(ge=0)
    call_seconds: float = Field(ge=0)
    flop_seconds: tuple[tuple[float, float], ...]
    position_seconds: float = Field(ge=0)
    generating_call_seconds: float = Field(ge=0)
    step_seconds: tuple[tuple[float, float], ...]
    task_seconds: float = Field(ge=0)
    item_seconds: float = Field(ge=0)
    methods: Mapping[str, MethodSpeed] = Field(default_factory=dict)
    answers: Mapping[str, Lengths] = Field(default_factory=dict)


@dataclass(frozen=True)
class Flops:
    """The floating-point operations of a model's forward pass.

    Args:
        block: For one token in one block, without attention.
        attention: For one token in one block, for each token that it sees.
        head: For the logits of one token.
        n_layers: The number of blocks.
    """

    block: float
    attention: float
    head: float
    n_layers: int

    @classmethod
    def of(cls, model: WeightlessModel) -> Flops:
        """Returns the operations of a model: two for each weight, multiplied and added."""
        blocks = model.family.block_list(model.module)
        weights = sum(one.numel() for one in blocks.parameters() if one.dim() > 1)
        config = model.module.config
        width = getattr(config, "head_dim", None) or model.hidden_size // config.num_attention_heads
        return cls(
            block=2 * weights / model.n_layers,
            attention=4 * width * config.num_attention_heads,
            head=2 * model.hidden_size * int(config.vocab_size),
            n_layers=model.n_layers,
        )

    def tokens(self, count: float, length: float, first_block: int = 0) -> float:
        """Returns the operations of tokens of requests of a mean length, from a block on."""
        return count * (self.n_layers - first_block) * (self.block + self.attention * length / 2)


@dataclass(frozen=True)
class Clockwork:
    """The time of work on one model.

    Args:
        speed: The speed of the model.
        flops: Its operations.
    """

    speed: Speed
    flops: Flops

    def of(self, work: Work, suite: str, first_block: int = 0) -> float:
        """Returns the seconds of the work of a measurement.

        Args:
            work: The work.
            suite: The key of the suite, whose answers' lengths may be known.
            first_block: The first block that is run; the input of a higher one is known from the unedited
                model, if the same was asked of it.
        """
        seconds, lengths = 0.0, iter(self.speed.answers.get(suite, ()))
        for call in work.calls:
            if isinstance(call, ScoringCall):
                seconds += self.scoring(call, first_block)
            else:
                seconds += self.generating(call, next(lengths, (1.0,)))
        return work.own_seconds + work.n_times * seconds

    def scoring(self, call: ScoringCall, first_block: int = 0) -> float:
        """Returns the seconds of a call that scores."""
        operations = self.flops.tokens(call.tokens, call.length, first_block)
        seconds = self.speed.call_seconds + operations * self.forward(call.length)
        return seconds + call.positions * self.speed.position_seconds

    def generating(self, call: GeneratingCall, shares: Sequence[float]) -> float:
        """Returns the seconds of a call that generates.

        Args:
            call: The call.
            shares: The lengths of typical answers as shares of the maximum.
        """
        rows = len(call.most)
        read = self.flops.tokens(call.prompt_tokens, call.length)
        seconds = self.speed.generating_call_seconds + read * self.forward(call.length)
        seconds += rows * self.speed.position_seconds
        longest, at_once = max(call.most), min(rows, MOST_ROWS)
        shares = shares or (1.0,)
        if rows <= MOST_ROWS:
            for step in range(1, longest):
                going = sum(share * longest > step for share in shares) / len(shares)
                if going:
                    seconds += self.step(max(1.0, rows * going))
            return seconds
        generated = sum(call.most) * sum(shares) / len(shares)
        return seconds + generated / at_once * self.step(at_once)

    def forward(self, length: float) -> float:
        """Returns the seconds of an operation in a forward pass over requests of a length."""
        return interpolated(self.speed.flop_seconds, length)

    def step(self, rows: float) -> float:
        """Returns the seconds in which each of some rows gets a token."""
        return interpolated(self.speed.step_seconds, rows, beyond=True)


def interpolated(points: Sequence[tuple[float, float]], at: float, beyond: bool = False) -> float:
    """Returns a value between measured points.

    Args:
        points: The points `(x, y)`, at least one, ordered by x.
        at: The x.
        beyond: Whether the last slope goes on; otherwise values outside are those of the ends.
    """
    if at <= points[0][0] or len(points) == 1:
        return points[0][1]
    for (x, y), (next_x, next_y) in pairwise(points):
        if at <= next_x:
            return y + (at - x) / (next_x - x) * (next_y - y)
    if not beyond:
        return points[-1][1]
    (x, y), (last_x, last_y) = points[-2:]
    return last_y + (at - last_x) * max(0.0, last_y - y) / (last_x - x)
