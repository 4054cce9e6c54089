"""Cheap readings that tell early that a model is being damaged, and the rules that ring on them.

A few seconds for a small model, so that they can be taken every few edits: perplexity of the fixed text, how
far the next-token distributions on fixed prompts have moved, and what became of the edited weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sequela.deltas import Delta
from sequela.evaluation.health import WINDOW, HealthSuite
from sequela.ground.errors import BadInputError
from sequela.ground.hashing import hash_json
from sequela.ground.precision import solve_dtype
from sequela.inference import Engine, perplexity
from sequela.models import EditedModel, LanguageModel
from sequela.models.batch import pad_right
from sequela.models.decisions import Places
from sequela.models.partial import read_logits, record
from sequela.results import ALARMS, PERPLEXITY_FACTOR, EvaluationKey, Finding

TASK = ALARMS
PROTOCOL = "reading"

PROMPT_WORDS = 7
"""So many first words of every sentence of the fixed text make a prompt."""

LARGEST_SPECTRUM = 4096
"""Singular values of weights with a longer side than this would not be cheap: they are left out."""

COLLAPSE = f"perplexity > {PERPLEXITY_FACTOR}x"
"""The rule by which a model has collapsed."""

READINGS: Mapping[str, str] = {
    "perplexity": "perplexity of the fixed text",
    "kl_to_base": "mean KL divergence of the next token's distribution from the unedited model's, on fixed "
    "prompts, in nats",
    "relative_change": "‖Δ‖/‖W‖, the largest of the changed weights",
    "weight_norm": "‖W + Δ‖/‖W‖, the largest",
    "top_singular_value": "the largest singular value of W + Δ over that of W, the largest",
    "condition_number": "the condition number of W + Δ over that of W, the largest",
    "nonfinite": "prompts and windows on which a number was not finite",
}
"""What is read; on the unedited model the ratios are 1, the others (but perplexity) 0."""

ZERO_UNEDITED = frozenset({"kl_to_base", "relative_change", "nonfinite"})
"""Readings of which no rule can take a multiple."""

_RULE = re.compile(r"^\s*(\w+)\s*>\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(x?)\s*$")


@dataclass(frozen=True)
class AlarmRule:
    """`reading > limit`; with `x` the limit is a multiple of the unedited model's reading.

    Args:
        text: As it was written.
        reading: One of `READINGS`.
        limit: The number.
        times: Whether it is a multiple.
    """

    text: str
    reading: str
    limit: float
    times: bool

    @classmethod
    def parse(cls, text: str) -> AlarmRule:
        """Reads a rule such as `perplexity > 3x` or `relative_change > 0.5`.

        Raises:
            BadInputError: It is none, there is no such reading, or it asks for a multiple of 0.
        """
        match = _RULE.match(text)
        if match is None:
            raise BadInputError(
                f"{text!r} is no rule for an alarm.", hint="For example: perplexity > 3x, kl_to_base > 0.5"
            )
        name, limit, times = match.groups()
        if name not in READINGS:
            raise BadInputError(
                f"The rule {text!r} is about {name!r}, which isn't read.",
                hint=f"Read are: {', '.join(READINGS)}.",
            )
        if times and name in ZERO_UNEDITED:
            raise BadInputError(
                f"The rule {text!r} asks for a multiple of the unedited model's {name}, which is 0.",
                hint=f"Give a number without x: {name} > {limit}",
            )
        return cls(text.strip(), name, float(limit), bool(times))

    def rings(self, readings: Mapping[str, float], unedited: Mapping[str, float]) -> bool:
        """Whether it rings; a reading that is not a number rings always, one that isn't there never."""
        if self.reading not in readings:
            return False
        value = readings[self.reading]
        limit = self.limit * unedited[self.reading] if self.times else self.limit
        return not value <= limit


class AlarmSettings(BaseModel):
    """When alarms are read, and what follows.

    Args:
        every: After every so many edits; 0 for never.
        stop_when: Rules that end a trajectory.
        mark_when: Rules that are only told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(default=0, ge=0)
    stop_when: tuple[str, ...] = ()
    mark_when: tuple[str, ...] = (COLLAPSE,)

    @field_validator("stop_when", "mark_when", mode="before")
    @classmethod
    def _one_rule_alone(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("stop_when", "mark_when")
    @classmethod
    def _are_rules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                AlarmRule.parse(text)
            except BadInputError as error:
                raise ValueError(f"{error.message} {error.hint}") from error
        return value


def ringing(rules: Sequence[str], readings: Mapping[str, float], unedited: Mapping[str, float]) -> list[str]:
    """Those of some rules that ring."""
    return [text for text in rules if AlarmRule.parse(text).rings(readings, unedited)]


class Alarms:
    """Takes readings of one base with whatever change is in force.

    Args:
        model: The unedited base.
        engine: What runs it for the perplexity.
    """

    def __init__(self, model: LanguageModel, engine: Engine) -> None:
        self._model = model
        self._engine = engine
        self._spectra: dict[str, tuple[float, float]] = {}

    @cached_property
    def version(self) -> str:
        """A hash of the text, the prompts and the rules by which they are read."""
        return hash_json(
            {"text": self._text, "prompts": self._prompts, "window": self._window, "readings": 1}
        )

    @cached_property
    def unedited(self) -> dict[str, float]:
        """The readings of the unedited model."""
        ratios = {"top_singular_value": 1.0, "condition_number": 1.0}
        return {**self.read(EditedModel(self._model)), **ratios}

    def read(self, edited: EditedModel) -> dict[str, float]:
        """All readings of an edited model; infinite or NaN where it broke down."""
        base, delta = self._base_logprobs, edited.weights
        with edited:
            measured = perplexity(self._engine, edited, self._text, self._window)
            changed = edited.interventions or (isinstance(delta, Delta) and delta.updates)
            logprobs = self._logprobs(edited) if changed else base
        broken = ~torch.isfinite(logprobs).all(-1)
        readings = {
            "perplexity": measured.value,
            "kl_to_base": math.inf
            if bool(broken.any())
            else float((base.exp() * (base - logprobs)).sum(-1).mean()),
            "nonfinite": float(measured.n_nonfinite + int(broken.sum())),
        }
        return {**readings, **self._of_weights(delta if isinstance(delta, Delta) else None)}

    def key(self, trajectory: str, n_edits: int, edited: EditedModel) -> EvaluationKey:
        """What names the readings of a trajectory after so many edits."""
        return EvaluationKey(
            trajectory=trajectory,
            n_edits=n_edits,
            suite=ALARMS,
            suite_version=self.version,
            model_hash=edited.content_hash,
        )

    def findings(self, readings: Mapping[str, float], note: str = "") -> list[Finding]:
        """The readings as findings of a suite."""
        return [
            Finding(
                suite=ALARMS,
                task=TASK,
                metric=name,
                protocol=PROTOCOL,
                value=value if math.isfinite(value) else None,
                stderr=None,
                n=1,
                n_nonfinite=int(not math.isfinite(value)),
                note=note,
            )
            for name, value in readings.items()
        ]

    @property
    def _window(self) -> int:
        return min(WINDOW, self._model.context_length)

    @cached_property
    def _text(self) -> str:
        return HealthSuite().text

    @cached_property
    def _prompts(self) -> tuple[str, ...]:
        sentences = re.split(r"(?<=[.!?])\s+", self._text)
        return tuple(
            " ".join(words[:PROMPT_WORDS]) for words in map(str.split, sentences) if len(words) > PROMPT_WORDS
        )

    @torch.no_grad()
    def _logprobs(self, edited: EditedModel) -> torch.Tensor:
        """Log-probabilities of the next token after every prompt, `[prompts, vocabulary]`."""
        rows: list[list[int]] = [self._model.tokenizer.encode(prompt) for prompt in self._prompts]
        batch = pad_right(rows, self._model.pad_id, self._model.device)
        edited.decisions.begin()
        lengths = torch.tensor(batch.lengths, device=self._model.device)
        with edited.decisions.during(Places.at(lengths, batch.ids.shape[1])):
            final = record(self._model, batch, first=self._model.n_layers).final
        last = torch.tensor([len(row) - 1 for row in rows], device=final.device)
        places = torch.arange(len(rows), device=final.device)
        return read_logits(self._model, final[places, last]).log_softmax(-1)

    @cached_property
    def _base_logprobs(self) -> torch.Tensor:
        return self._logprobs(EditedModel(self._model))

    def _of_weights(self, delta: Delta | None) -> dict[str, float]:
        """Ratios of every changed weight, the largest of each."""
        found: dict[str, list[float]] = {"relative_change": [0.0], "weight_norm": [1.0]}
        for name, update in ({} if delta is None else delta.updates).items():
            weight = self._model.family.as_out_in(self._model.module.get_parameter(name).data)
            base = weight.to(solve_dtype(weight.device))
            change = update.to_dense().to(base.device)
            norm = float(torch.linalg.norm(base))
            found["relative_change"].append(float(torch.linalg.norm(change)) / norm)
            found["weight_norm"].append(float(torch.linalg.norm(base + change)) / norm)
            if max(base.shape) <= LARGEST_SPECTRUM:
                if name not in self._spectra:
                    self._spectra[name] = _spectrum(base)
                for reading, now, before in zip(
                    ("top_singular_value", "condition_number"),
                    _spectrum(base + change),
                    self._spectra[name],
                    strict=True,
                ):
                    found.setdefault(reading, [1.0]).append(now / before)
        return {reading: _largest(values) for reading, values in found.items()}


def _largest(values: Sequence[float]) -> float:
    """The largest; NaN if one is not a number, which `max` might pass over."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def _spectrum(weight: torch.Tensor) -> tuple[float, float]:
    """The largest singular value and the condition number; NaN for a weight that isn't finite."""
    if not bool(torch.isfinite(weight).all()):
        return math.nan, math.nan
    values = torch.linalg.svdvals(weight)
    smallest = float(values[-1])
    return float(values[0]), float(values[0]) / smallest if smallest > 0 else math.inf


def every_so_many(before: int, after: int, every: int) -> bool:
    """Whether a reading is due when the edits made go from `before` to `after`."""
    return bool(every) and after // every > before // every


def due(batches: Iterator[int], every: int) -> list[int]:
    """The numbers of edits at which readings are due.

    Args:
        batches: The edits made after each batch, ascending.
        every: After how many edits.
    """
    found, before = [], 0
    for after in batches:
        if every_so_many(before, after, every):
            found.append(after)
        before = after
    return found
