"""The Python interface: a model that can be asked, edited for a while, and asked again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sequela.deltas import Delta
from sequela.deltas.storage import load_delta, save_delta
from sequela.editors import AnyEditor, EditReport, Resources, create_editor
from sequela.editors.sequence import edit_in_batches
from sequela.edits import Edit
from sequela.ground.progress import SILENT, Progress
from sequela.inference import Engine, Perplexity, TorchEngine, generation_request, perplexity, score_request
from sequela.models import EditedModel, LanguageModel
from sequela.models import load_model as load_language_model
from sequela.statistics import CorpusSpec


@dataclass(frozen=True)
class Model:
    """A model that can be asked; `edited` gives it edits for the length of a `with` block.

    Args:
        current: What is asked: the base with whatever edits it has.
        engine: What runs it.
        reports: How each edit in force went.
    """

    current: EditedModel
    engine: Engine = field(default_factory=TorchEngine)
    reports: tuple[EditReport, ...] = ()

    @property
    def base(self) -> LanguageModel:
        """The model underneath."""
        return self.current.base

    def generate(self, prompt: str, max_new_tokens: int = 32, stop: tuple[str, ...] = ()) -> str:
        """Continues a prompt greedily; returns the continuation."""
        request = generation_request(self.current, prompt, max_new_tokens, stop)
        return self.engine.generate(self.current, [request])[0].text

    def score(self, prompt: str, continuation: str) -> float:
        """The natural log-probability of a continuation, summed over its tokens."""
        return self.engine.score(self.current, [score_request(self.current, prompt, continuation)])[0].logprob

    def perplexity(self, text: str) -> Perplexity:
        """Perplexity per token of a text."""
        return perplexity(self.engine, self.current, text)

    @contextmanager
    def edited(
        self,
        editor: AnyEditor | str,
        edits: Sequence[Edit],
        *,
        settings: Mapping[str, Any] | None = None,
        batch_size: int = 1,
        statistics: CorpusSpec | None = None,
        progress: Progress = SILENT,
    ) -> Iterator[Model]:
        """Edits the model for the length of a block; afterwards every bit is as before.

        Args:
            editor: A method, or its name.
            edits: The edits, made in order.
            settings: Hyper-parameters, if the method is given by name.
            batch_size: How many edits are made together.
            statistics: The text for key statistics; by default sampled from the model.
            progress: Who is told.

        Yields:
            The edited model.
        """
        chosen = create_editor(editor, settings) if isinstance(editor, str) else editor
        resources = Resources.for_model(self.base, statistics, progress)
        delta, reports = Delta.empty(self.base.fingerprint), list(self.reports)
        for step in edit_in_batches(chosen, self.base, list(edits), batch_size, resources):
            delta = step.delta
            reports.extend(step.reports)
        with self._with(delta, tuple(reports)) as edited:
            yield edited

    @contextmanager
    def with_delta(self, folder: str | Path) -> Iterator[Model]:
        """Puts a saved delta in force for the length of a block."""
        with self._with(load_delta(Path(folder), self.base), ()) as edited:
            yield edited

    def save_delta(self, folder: str | Path) -> None:
        """Saves the change of weights that is in force."""
        weights = self.current.weights
        delta = weights if isinstance(weights, Delta) else Delta.empty(self.base.fingerprint)
        edits = tuple(report.edit_id for report in self.reports if not report.dropped)
        save_delta(delta, Path(folder), self.base, edits=edits)

    @contextmanager
    def _with(self, delta: Delta, reports: tuple[EditReport, ...]) -> Iterator[Model]:
        with EditedModel(self.base, delta) as edited:
            yield Model(edited, self.engine, reports)


def load_model(name: str, *, device: str | None = None, dtype: str = "float32") -> Model:
    """Loads a model: an alias, a Hugging Face hub id, a folder or a GGUF file.

    Raises:
        SequelaError: It can't be had, or its architecture isn't supported.
    """
    return Model(EditedModel(load_language_model(name, device=device, dtype=dtype)))
