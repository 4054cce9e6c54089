"""Loading a language model by the name that the user gives (`names.py`).

The configuration is read first, so that an unsupported architecture is an error before the weights are read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig
from transformers.utils import logging as transformers_logging

from sequela.core.damaged_files import first_line
from sequela.core.device_maps import DeviceMap, devices_of, read_device_map
from sequela.core.errors import BadInputError, IntegrityError, SequelaError, UnsupportedModelError, shown
from sequela.core.hardware_names import check_device_name
from sequela.core.hub import hub_access, why_unreachable
from sequela.core.paths import user_path
from sequela.core.precision import choose_precision
from sequela.core.progress import SILENT, Progress
from sequela.core.wording import size_in_words
from sequela.models.aliases import ALIASES
from sequela.models.config_sizes import check_class_names, check_sizes
from sequela.models.device_map_fitting import fitted
from sequela.models.families import family_of
from sequela.models.gguf import read_gguf
from sequela.models.hub_cache import cached_folder, damaged_files, text_files, weight_files
from sequela.models.hub_download import download_model
from sequela.models.language_model import LanguageModel
from sequela.models.names import HubName, check_model_name, is_path, model_name
from sequela.models.pypi_models import packaged_folder

_OTHER_DEVICE = "Choose another one, or none: the best available one is used."
"""The advice about a device that is not available."""


def load_model(
    name: str | PathLike[str],
    *,
    device: str | None = None,
    device_map: DeviceMap | None = None,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    accept_terms: bool = False,
    progress: Progress = SILENT,
) -> LanguageModel:
    """Loads a model.

    A hub model that is in the Hugging Face cache is loaded from there without access to the hub, once its
    files were found to have the hashes that the hub published.

    Args:
        name: An alias, a folder, a GGUF file or a Hugging Face hub id, which may name a revision:
            `org/model@v1.0`.
        device: The device to run on, e.g. `cuda:1`; by default CUDA, else Apple's `mps`, else the CPU.
        device_map: The places of a model that is larger than one device's memory, instead of `device`:
            `auto`, `disk`, or a table by module; see `core/device_maps.py`.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 if `device` computes it natively.
        trust_remote_code: True if code from the hub or the folder may run.
        accept_terms: True if the user accepts the model's terms of use, if it has any.
        progress: Receives progress reports.

    Raises:
        UnsupportedModelError: Sequela can't edit this architecture, or the weights are quantized.
        UnknownNameError: There is no such dtype, or the name is similar to an alias.
        BadInputError: The device map is invalid, or doesn't fit the model.
        SequelaError: There is no such model, or it can't be downloaded.
    """
    name = model_name(name)
    places = _check_places(device, device_map)
    computing = devices_of(places) if isinstance(places, dict) else []
    if isinstance(places, dict) and not computing:
        computing = ["cpu"]  # accelerate computes there if all weights are on the disk
    target_device = choose_device(computing[0] if computing else device)
    precision = choose_precision(dtype, target_device)
    if precision.reason:
        progress.say(f"{name}: {precision}")
    check_model_name(name)
    how = _How(precision.dtype, places, trust_remote_code)
    with quiet_transformers():
        if name in ALIASES:
            folder = packaged_folder(ALIASES[name], accept_terms=accept_terms, progress=progress)
            model = _load_folder(str(folder), name, replace(how, trust=False))
        elif is_path(name):
            model = _load_path(user_path(name), name, how)
        else:
            model = _load_from_hub(name, how, progress)
    if places is None:
        model.module.to(target_device)
    elif model.offloaded:
        progress.say(f"{name}: {_offloaded_share(model)} of the weights are read whenever their layer runs")
    return model


@dataclass(frozen=True)
class _How:
    """The settings with which a model is loaded.

    Args:
        dtype: The dtype of its weights.
        places: The device map; None for one device.
        trust: True if code from the hub or the folder may run.
    """

    dtype: torch.dtype
    places: str | dict[str, str] | None
    trust: bool


def _check_places(device: str | None, device_map: DeviceMap | None) -> str | dict[str, str] | None:
    """Returns the checked device map."""
    if device_map is None:
        return None
    if device is not None:
        raise BadInputError(
            f"A model has either a device ({device!r}) or a device map ({shown(device_map)}), not both."
        )
    places = read_device_map(device_map)
    for one in devices_of(places) if isinstance(places, dict) else ():
        choose_device(one)
    return places


def _offloaded_share(model: LanguageModel) -> str:
    """Returns how much of a model's weights is offloaded."""
    offloaded = sum(one.nbytes for one in model.module.parameters() if one.is_meta)
    everything = sum(one.nbytes for one in model.module.parameters())
    return f"{size_in_words(offloaded)} of {size_in_words(everything)}"


def choose_device(device: str | torch.device | None) -> torch.device:
    """Returns the device that the user named, or the best available one: CUDA, then `mps`, then the CPU.

    Raises:
        BadInputError: There is no device of that name.
        SequelaError: The device is not available.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    name = check_device_name(str(device) if isinstance(device, torch.device) else device)
    try:
        chosen = torch.device(name)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = first_line(error)
        raise SequelaError(f"The device {name!r} is not available: {reason}.", hint=_OTHER_DEVICE) from error
    return chosen


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Makes the libraries of Hugging Face draw no bars and log only errors within the `with` block."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    others = [logging.getLogger(name) for name in ("huggingface_hub", "accelerate")]
    levels = [one.level for one in others]
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for one in others:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(others, levels, strict=True):
            one.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _load_path(path: Path, name: str, how: _How) -> LanguageModel:
    if path.is_file():
        if how.places is not None:
            raise BadInputError(
                f"{name!r} is a GGUF file, which is unpacked in memory whole, so it takes no device map.",
                hint="Save the model as a folder with safetensors, and load that.",
            )
        return _load_gguf(path, name, how.dtype)
    try:
        return _load_folder(str(path), name, how)
    except _NotFoundError as error:
        raise BadInputError(
            f"The folder {name!r} holds no complete model: {first_line(error.__cause__)}",
            hint="It needs config.json, tokenizer.json and the weights (*.safetensors).",
        ) from error


def _load_gguf(path: Path, name: str, dtype: torch.dtype) -> LanguageModel:
    try:
        config = AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
        family_of(config, name)
        check_sizes(config, name)
        return _checked(LanguageModel.wrap(*read_gguf(path, dtype), name))
    except SequelaError:
        raise
    except BaseException as error:
        _raise_again(error)
        if "architecture" in str(error):
            raise UnsupportedModelError(f"{name!r} can't be read: {first_line(error)}") from error
        raise IntegrityError(f"{name!r} can't be read as a GGUF model: {first_line(error)}") from error


def _load_from_hub(name: str, how: _How, progress: Progress) -> LanguageModel:
    source = HubName.read(name)
    damaged: list[str] = []
    folder = cached_folder(source)
    if folder is not None:
        names = [file.relative_to(folder).as_posix() for file in folder.rglob("*")]
        damaged = damaged_files(folder, [*text_files(names, trust=how.trust), *weight_files(names, folder)])
    if folder is not None and not damaged:
        try:
            return _load_folder(str(folder), name, how)
        except (_NotFoundError, BadInputError) as error:
            progress.say(
                f"The copy of {name} in the cache can't be used: {first_line(error.__cause__ or error)}."
            )
    progress.say(f"Looking for {name} on the Hugging Face hub.")
    with hub_access() as reachable:
        if reachable:
            check = partial(_check_config, name=name, trust=how.trust)
            folder = download_model(source, check, trust=how.trust, progress=progress)
    if not reachable:  # said outside of the block, which switches to the offline mode itself
        raise _unreachable(name, damaged, why_unreachable())
    try:
        return _load_folder(str(folder), name, how)
    except _NotFoundError as error:
        raise BadInputError(
            f"The repository {name!r} holds no complete model: {first_line(error.__cause__)}."
        ) from error


def _unreachable(name: str, damaged: list[str], reason: str) -> SequelaError:
    if damaged:
        return IntegrityError(
            f"The copy of {name!r} in the Hugging Face cache is damaged: {damaged[0]} doesn't have its hash. "
            f"It can't be downloaded again: {reason}.",
            hint="Try again with access to the hub.",
        )
    return SequelaError(
        f"There is no model {name!r} here, neither as an alias nor as a file or folder nor whole in the "
        f"Hugging Face cache, and it can't be downloaded: {reason}.",
        hint=f"Aliases that need no hub: {', '.join(ALIASES)}.",
    )


class _NotFoundError(Exception):
    """A file of the model is missing; the cause names it."""


def _load_folder(where: str, name: str, how: _How) -> LanguageModel:
    """Loads a model from a folder."""
    options: dict[str, Any] = {"trust_remote_code": how.trust, "local_files_only": True}
    config = _check_config(where, name, how.trust)
    with _describe_load_errors(BadInputError, f"The tokenizer of {name!r} can't be read"):
        tokenizer = AutoTokenizer.from_pretrained(where, **options)
    with _describe_load_errors(IntegrityError, f"The weights of {name!r} can't be read"):
        if how.places is not None:
            options["device_map"] = fitted(how.places, config, name, Path(where))
        module, report = AutoModelForCausalLM.from_pretrained(
            where, config=config, dtype=how.dtype, output_loading_info=True, **options
        )
    if report["missing_keys"] or report["mismatched_keys"]:
        missing = sorted(str(key) for key in (*report["missing_keys"], *report["mismatched_keys"]))
        raise IntegrityError(
            f"The weights of {name!r} don't fit its configuration: {missing[0]} and "
            f"{len(missing) - 1} more are missing or of another shape."
        )
    with _describe_load_errors(IntegrityError, f"{name!r} can't be read"):
        return _checked(LanguageModel.wrap(module, tokenizer, name))


def _check_config(where: str | Path, name: str, trust: bool) -> PretrainedConfig:
    """Reads the configuration in a folder, and checks that Sequela can edit such a model."""
    with _describe_load_errors(BadInputError, f"The configuration of {name!r} can't be read"):
        config = AutoConfig.from_pretrained(str(where), trust_remote_code=trust, local_files_only=True)
    check_class_names(config, name)
    family_of(config, name)
    check_sizes(config, name)
    if getattr(config, "quantization_config", None) is not None:
        raise UnsupportedModelError(
            f"The weights of {name!r} are quantized, so no edit can change them.",
            hint="Load the model in float32, bfloat16 or float16.",
        )
    return config


def _checked(model: LanguageModel) -> LanguageModel:
    """Returns the model if its tokenizer turns a text into tokens that it has.

    Raises:
        BadInputError: It doesn't, so that no request could run.
    """
    tokens = model.tokenizer("The capital of France is")["input_ids"]
    known = model.module.get_input_embeddings().num_embeddings
    if not tokens or max(tokens) >= known:
        raise BadInputError(
            f"The tokenizer of {model.name!r} doesn't fit the model: it gives the tokens {tokens}, and the "
            f"model has {known:,}."
        )
    return model


@contextlib.contextmanager
def _describe_load_errors(kind: type[SequelaError], what: str) -> Iterator[None]:
    """Converts transformers' errors to a `SequelaError`, or to `_NotFoundError` if a file is missing."""
    try:
        yield
    except SequelaError:
        raise
    except OSError as error:
        raise _NotFoundError from error
    except BaseException as error:
        _raise_again(error)
        raise kind(f"{what}: {first_line(error)}") from error


def _raise_again(error: BaseException) -> None:
    """Raises an error again unless it comes from a file that the libraries can't read.

    For a broken file, transformers and the tokenizers raise errors of every class, among them a panic of the
    code in Rust, which is no `Exception`.
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
