"""The engine for GPUs: vLLM serves the base model, and edits become adapters or changed weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress, counted
from sequela.edited import Delta, EditedModel
from sequela.inference.base_engine import BaseEngine
from sequela.inference.engine import Generation, GenerationRequest, Score, ScoreRequest
from sequela.inference.vllm.decoding import Sampled, decoding_params, ended, sampled_tokens
from sequela.inference.vllm.scoring import assemble, plan_queries
from sequela.inference.vllm.server import VllmServer, VllmSettings, check_installed

PROMPTS_AT_ONCE = 512
"""The number of prompts passed to vLLM between progress reports; it forms its own batches of them."""


class VllmEngine(BaseEngine):
    """Scores and generates on vLLM.

    The base model is copied to a temporary folder and served from there; a request for another base ends that
    server and starts a new one. Deltas are passed to the server as LoRA adapters or as changed weights
    (`weights`). Use the engine as a context manager, or call `close`, to end the server.

    The server is a separate process, so scripts need `if __name__ == "__main__":`.

    Args:
        weights: `lora`: deltas become adapters; one that can't raises an error. `in-place`: the server's
            weights are changed. `auto`: an adapter if possible, else in place.
        max_rank: The maximum rank of adapters. Memory and time grow with it.
        context_length: The maximum number of tokens in a request, including the answer; by default the
            model's context length.
        options: Further arguments of `vllm.LLM`, such as `gpu_memory_utilization` or `enforce_eager`.

    Raises:
        SequelaError: vLLM isn't installed, or `max_rank` is more than it allows.
    """

    def __init__(
        self,
        weights: Literal["auto", "lora", "in-place"] = "auto",
        *,
        max_rank: int = 16,
        context_length: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        check_installed()
        self.settings = VllmSettings(weights, max_rank, context_length, dict(options or {}))
        self._server: VllmServer | None = None

    def __enter__(self) -> VllmEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server, if it is running; the next request starts another."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _check_model(self, model: EditedModel) -> None:
        check_edit_locations(model)

    def _context_limit(self, model: EditedModel) -> int:
        return self.settings.limit(model.base)

    def _score(self, model: EditedModel, requests: list[ScoreRequest], progress: Progress) -> list[Score]:
        """Scores continuations by the log-probabilities of next tokens (`scoring.py`)."""
        server = self._serving(model, progress)
        queries = plan_queries(requests, server.block_size)
        row_parts = [(row, part) for row, query in queries.items() for part in query.parts()]
        rows = [row for row, _ in row_parts]
        params = [queries[row].params(part) for row, part in row_parts]
        outputs = _run(server, model, rows, params, "scoring requests", progress)
        for row, output in zip(rows, outputs, strict=True):
            queries[row].add_output(output)
        return [assemble(request, queries) for request in requests]

    def _generate(
        self, model: EditedModel, requests: list[GenerationRequest], progress: Progress
    ) -> list[Generation]:
        """Continues prompts; a text that vLLM stopped too early is continued by further requests."""
        server = self._serving(model, progress)
        tokens: list[list[Sampled]] = [[] for _ in requests]
        answers: dict[int, Generation] = {}
        while unfinished := [number for number in range(len(requests)) if number not in answers]:
            prompts = [requests[n].prompt + tuple(token for token, _ in tokens[n]) for n in unfinished]
            params = [decoding_params(model.base, requests[n], tokens[n]) for n in unfinished]
            outputs = _run(server, model, prompts, params, "generating texts", progress)
            for number, output in zip(unfinished, outputs, strict=True):
                tokens[number] += sampled_tokens(output)
                answer = ended(model.base, requests[number], tokens[number])
                if answer is not None:
                    answers[number] = answer
        return [answers[number] for number in range(len(requests))]

    def _serving(self, model: EditedModel, progress: Progress) -> VllmServer:
        """Returns a server of the model's base; starts it if another or none is running."""
        if self._server is not None and self._server.fingerprint != model.base.fingerprint:
            self.close()
        if model.base.offloaded:
            raise SequelaError(
                f"VllmEngine can't run {model.base.name!r}: its weights are offloaded by the device map.",
                hint="Load the model without one, or use TorchEngine.",
            )
        if self._server is None:
            progress.say(f"starting vLLM for {model.base.name}")
            self._server = VllmServer(model.base, self.settings)
        return self._server


def check_edit_locations(model: EditedModel) -> None:
    """Checks that vLLM can run the edits.

    Raises:
        SequelaError: The model has interventions, or a weight change other than a `Delta`.
    """
    if model.interventions:
        raise SequelaError(
            "VllmEngine can't run edits that act on activations: vLLM's layers can't be hooked.",
            hint="TorchEngine can.",
        )
    if model.weights is not None and not isinstance(model.weights, Delta):
        raise SequelaError(
            "VllmEngine runs only weight changes that are a Delta; "
            f"this one is of type {type(model.weights).__name__}.",
            hint="TorchEngine runs every weight change.",
        )


def _run(
    server: VllmServer,
    model: EditedModel,
    prompts: Sequence[Sequence[int]],
    params: Sequence[Any],
    what: str,
    progress: Progress,
) -> list[Any]:
    outputs: list[Any] = []
    with model, counted(progress, what, len(prompts)) as advance:
        _check_alone(model)
        for start in range(0, len(prompts), PROMPTS_AT_ONCE):
            at = slice(start, start + PROMPTS_AT_ONCE)
            outputs += server.run(model, prompts[at], params[at])
            advance(len(prompts[at]))
    return outputs


def _check_alone(model: EditedModel) -> None:
    """Checks that no other changes are in force on the base, since the server has only the model's own."""
    if len(model.base.changes) != model.n_changes:
        raise SequelaError(
            f"Edits other than those of the edited model are in force on {model.base.name!r}.",
            hint="Run the edited model whose edits are in force, or revert them first.",
        )
