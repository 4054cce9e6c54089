"""Loading a language model by the name that the user gives (`names.py`).

The configuration is read first, so that an unsupported architecture is an error before the weights are read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from sequela.core.arguments import check_instance
from sequela.core.errors import BadInputError, IntegrityError, SequelaError, UnsupportedModelError
from sequela.core.hub import hub_access
from sequela.core.precision import choose_precision
from sequela.core.progress import SILENT, Progress
from sequela.models.aliases import ALIASES
from sequela.models.families import family_of
from sequela.models.gguf import read_gguf
from sequela.models.language_model import LanguageModel
from sequela.models.names import check_model_name, is_path
from sequela.models.pypi_models import packaged_folder

DEVICES_HINT = "Try 'cpu', 'cuda', 'cuda:1' or 'mps'."
"""What to do about an unusable device."""


def load_model(
    name: str,
    *,
    device: str | None = None,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    accept_terms: bool = False,
    progress: Progress = SILENT,
) -> LanguageModel:
    """Loads a model.

    A hub model that is in the Hugging Face cache is loaded from there without access to the hub.

    Args:
        name: An alias, a folder, a GGUF file or a Hugging Face hub id.
        device: The device to run on, e.g. `cuda:1`; by default CUDA, else Apple's `mps`, else the CPU.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 if `device` computes it natively.
        trust_remote_code: True if code from the hub or the folder may run.
        accept_terms: True if the user accepts the model's terms of use, if it has any.
        progress: Receives progress reports.

    Raises:
        UnsupportedModelError: Sequela can't edit this architecture, or the weights are quantized.
        UnknownNameError: There is no such dtype, or the name is similar to an alias.
        SequelaError: There is no such model, or it can't be downloaded.
    """
    target_device = choose_device(device)
    precision = choose_precision(dtype, target_device)
    if precision.reason:
        progress.say(f"{name}: {precision}")
    check_model_name(name)
    with quiet_transformers():
        if name in ALIASES:
            folder = packaged_folder(ALIASES[name], accept_terms=accept_terms, progress=progress)
            model = _load_folder(str(folder), name, precision.dtype, trust=False, local=True)
        elif is_path(name):
            model = _load_path(Path(name).expanduser(), name, precision.dtype, trust_remote_code)
        else:
            model = _load_from_hub(name, precision.dtype, trust_remote_code, progress)
    model.module.to(target_device)
    return model


def choose_device(device: str | None) -> torch.device:
    """Returns the device that the user named, or the best available one: CUDA, then `mps`, then the CPU.

    Raises:
        SequelaError: The device is not available.
        BadInputError: The argument is not the name of a device.
    """
    if device is not None:
        check_instance("device", device, (str, torch.device), "the name of a device", DEVICES_HINT)
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise SequelaError(f"The device {device!r} can't be used: {reason}", hint=DEVICES_HINT) from error
    return chosen


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Makes the libraries of Hugging Face draw no bars and log only errors within the `with` block."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    hub = logging.getLogger("huggingface_hub")
    hub_level = hub.level
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hub.setLevel(logging.ERROR)
    try:
        yield
    finally:
        hub.setLevel(hub_level)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _load_path(path: Path, name: str, dtype: torch.dtype, trust: bool) -> LanguageModel:
    if path.is_file():
        return _load_gguf(path, name, dtype)
    try:
        return _load_folder(str(path), name, dtype, trust=trust, local=True)
    except _NotFoundError as error:
        raise BadInputError(
            f"The folder {name!r} holds no complete model: {_first_line(error.__cause__)}",
            hint="It needs config.json, tokenizer.json and the weights (*.safetensors).",
        ) from error


def _load_gguf(path: Path, name: str, dtype: torch.dtype) -> LanguageModel:
    try:
        config = AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
        family_of(config, name)
        return LanguageModel.wrap(*read_gguf(path, dtype), name)
    except (ValueError, KeyError, IndexError, OSError) as error:
        if "architecture" in str(error):
            raise UnsupportedModelError(f"{name!r} can't be read: {error}") from error
        raise IntegrityError(f"{name!r} can't be read as a GGUF model: {error}") from error


def _load_from_hub(name: str, dtype: torch.dtype, trust: bool, progress: Progress) -> LanguageModel:
    try:
        return _load_folder(name, name, dtype, trust=trust, local=True)
    except (_NotFoundError, BadInputError):
        progress.say(f"Looking for {name} on the Hugging Face hub.")
    with hub_access() as reachable:
        try:
            return _load_folder(name, name, dtype, trust=trust, local=not reachable)
        except _NotFoundError as error:
            reason = _first_line(error.__cause__) if reachable else "the Hugging Face hub doesn't answer"
            raise SequelaError(
                f"There is no model {name!r} here, neither as an alias nor as a file or folder, and it "
                f"can't be downloaded: {reason}.",
                hint=f"Aliases that need no hub: {', '.join(ALIASES)}.",
            ) from error


class _NotFoundError(Exception):
    """A file of the model is missing; the cause names it."""


def _load_folder(where: str, name: str, dtype: torch.dtype, *, trust: bool, local: bool) -> LanguageModel:
    """Loads a model from a folder or, by hub id, from the Hugging Face cache (`local`) or the hub."""
    options: dict[str, Any] = {"trust_remote_code": trust, "local_files_only": local}
    with _describe_load_errors(BadInputError, f"The configuration of {name!r} can't be read"):
        config = AutoConfig.from_pretrained(where, **options)
    family_of(config, name)
    if getattr(config, "quantization_config", None) is not None:
        raise UnsupportedModelError(
            f"The weights of {name!r} are quantized, so no edit can change them.",
            hint="Load the model in float32, bfloat16 or float16.",
        )
    with _describe_load_errors(BadInputError, f"The tokenizer of {name!r} can't be read"):
        tokenizer = AutoTokenizer.from_pretrained(where, **options)
    with _describe_load_errors(IntegrityError, f"The weights of {name!r} can't be read"):
        module, report = AutoModelForCausalLM.from_pretrained(
            where, config=config, dtype=dtype, output_loading_info=True, **options
        )
    if report["missing_keys"] or report["mismatched_keys"]:
        missing = sorted(str(key) for key in (*report["missing_keys"], *report["mismatched_keys"]))
        raise IntegrityError(
            f"The weights of {name!r} don't fit its configuration: {missing[0]} and "
            f"{len(missing) - 1} more are missing or of another shape."
        )
    return LanguageModel.wrap(module, tokenizer, name)


@contextlib.contextmanager
def _describe_load_errors(kind: type[SequelaError], what: str) -> Iterator[None]:
    """Converts transformers' errors to a `SequelaError`, or to `_NotFoundError` if a file is missing."""
    try:
        yield
    except OSError as error:
        raise _NotFoundError from error
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise kind(f"{what}: {_first_line(error)}") from error


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
