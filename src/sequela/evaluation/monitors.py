"""Cheap health measurements that show damage to a model early.

They take a few seconds for a small model, so they can be repeated every few edits. They measure the
perplexity of the fixed text, the change of the next-token distributions on fixed prompts, and the change of
the edited weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch

from sequela.core.hashing import hash_json
from sequela.core.precision import solve_dtype
from sequela.edited import Delta, EditedModel
from sequela.edited.decisions import DecisionTokens
from sequela.evaluation.suites.perplexity import WINDOW, HealthSuite
from sequela.inference import Engine, perplexity
from sequela.models import LanguageModel
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import read_logits, record_forward
from sequela.results import ALARMS, TaskResult, metrics

TASK = ALARMS
PROTOCOL = "reading"

PROMPT_WORDS = 7
"""The number of words of a prompt: the first words of each sentence of the fixed text."""

LARGEST_SPECTRUM = 4096
"""The longest side of a weight whose singular values are computed; for larger ones it would not be cheap."""


class HealthMonitor:
    """Measures the health of edited versions of one base model.

    Args:
        model: The unedited base model.
        engine: The engine that computes the perplexity.
    """

    def __init__(self, model: LanguageModel, engine: Engine) -> None:
        self._model = model
        self._engine = engine
        self._spectra: dict[str, tuple[float, float]] = {}

    @cached_property
    def version(self) -> str:
        """A hash of the text, the prompts, the window and the version of the measurements."""
        return hash_json(
            {"text": self._text, "prompts": self._prompts, "window": self._window, "readings": 1}
        )

    @cached_property
    def unedited(self) -> dict[str, float]:
        """The health metrics of the unedited model."""
        ratios = {metrics.TOP_SINGULAR_VALUE.name: 1.0, metrics.CONDITION_NUMBER.name: 1.0}
        return {**self.measure(EditedModel(self._model)), **ratios}

    def measure(self, edited: EditedModel) -> dict[str, float]:
        """Measures all health metrics of an edited model; infinite or NaN values where it broke down."""
        base, delta = self._base_logprobs, edited.weights
        with edited:
            measured = perplexity(self._engine, edited, self._text, self._window)
            changed = edited.interventions or (isinstance(delta, Delta) and delta.updates)
            logprobs = self._logprobs(edited) if changed else base
        broken = ~torch.isfinite(logprobs).all(-1)
        readings = {
            metrics.PERPLEXITY.name: measured.value,
            metrics.KL_TO_BASE.name: math.inf
            if bool(broken.any())
            else float((base.exp() * (base - logprobs)).sum(-1).mean()),
            metrics.NONFINITE.name: float(measured.n_nonfinite + int(broken.sum())),
        }
        return {**readings, **self._of_weights(delta if isinstance(delta, Delta) else None)}

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
        """Returns the log-probabilities of the next token after every prompt, `[prompts, vocabulary]`."""
        rows: list[list[int]] = [self._model.tokenizer.encode(prompt) for prompt in self._prompts]
        batch = pad_right(rows, self._model.pad_id, self._model.device)
        edited.decisions.begin()
        lengths = torch.tensor(batch.lengths, device=self._model.device)
        with edited.decisions.for_pass(DecisionTokens.at(lengths, batch.ids.shape[1])):
            final = record_forward(self._model, batch, first=self._model.n_layers).final
        last = torch.tensor([len(row) - 1 for row in rows], device=final.device)
        indices = torch.arange(len(rows), device=final.device)
        return read_logits(self._model, final[indices, last]).log_softmax(-1)

    @cached_property
    def _base_logprobs(self) -> torch.Tensor:
        return self._logprobs(EditedModel(self._model))

    def _of_weights(self, delta: Delta | None) -> dict[str, float]:
        """Returns the largest value of each ratio over all changed weights."""
        change_name, norm_name = metrics.RELATIVE_CHANGE.name, metrics.WEIGHT_NORM.name
        found: dict[str, list[float]] = {change_name: [0.0], norm_name: [1.0]}
        for name, update in ({} if delta is None else delta.updates).items():
            weight = self._model.family.as_out_in(self._model.weight(name))
            base = weight.to(solve_dtype(weight.device))
            change = update.to_dense().to(base.device)
            norm = float(torch.linalg.norm(base))
            found[change_name].append(float(torch.linalg.norm(change)) / norm)
            found[norm_name].append(float(torch.linalg.norm(base + change)) / norm)
            if max(base.shape) <= LARGEST_SPECTRUM:
                if name not in self._spectra:
                    self._spectra[name] = _spectrum(base)
                for metric, now, before in zip(
                    (metrics.TOP_SINGULAR_VALUE.name, metrics.CONDITION_NUMBER.name),
                    _spectrum(base + change),
                    self._spectra[name],
                    strict=True,
                ):
                    found.setdefault(metric, [1.0]).append(now / before)
        return {metric: _largest(values) for metric, values in found.items()}


def _largest(values: Sequence[float]) -> float:
    """Returns the largest value; NaN if one of them is NaN, which `max` might skip."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def _spectrum(weight: torch.Tensor) -> tuple[float, float]:
    """Returns the largest singular value and the condition number; NaN for a weight that isn't finite."""
    if not bool(torch.isfinite(weight).all()):
        return math.nan, math.nan
    values = torch.linalg.svdvals(weight)
    smallest = float(values[-1])
    return float(values[0]), float(values[0]) / smallest if smallest > 0 else math.inf


def health_results(metrics: Mapping[str, float], note: str = "") -> list[TaskResult]:
    """Returns health metrics as results of a suite."""
    return [
        TaskResult(
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
        for name, value in metrics.items()
    ]
