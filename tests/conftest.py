"""Fixtures of all tests: tiny models of all families, and a small trained world."""

from __future__ import annotations

import os

# Set before torch is loaded: each test worker, and each program that a test starts, has one thread. Workers
# with a thread for every core would spend most of their time waiting for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sequela.edits import EditSet
from sequela.models import LanguageModel
from support.plugins import Install, installer
from support.postgresql import NoServerError, Server, running_server
from support.tiny import FAMILY_NAMES, tiny_language_model
from support.tokenizers import byte_level, sentencepiece
from support.world import World, build_world, load_world_model, trained_world_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Uses one thread, on which tiny matrices are fastest and results are reproducible bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package with entry points for the duration of the test."""
    yield from installer(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; each test that uses it should be in one file, for which one worker starts it."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_server())
        except NoServerError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture
def tiny_model() -> Callable[..., LanguageModel]:
    """Returns the factory of tiny random models: `tiny_model("llama")`, `tiny_model("gpt2", seed=1)`."""
    return tiny_language_model


@pytest.fixture(params=FAMILY_NAMES)
def any_family(request: pytest.FixtureRequest) -> LanguageModel:
    """A tiny random model of each family in turn."""
    return tiny_language_model(request.param)


@pytest.fixture(params=["byte_level", "sentencepiece"])
def any_tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    """Each of the two kinds of tokenizer in turn."""
    return byte_level() if request.param == "byte_level" else sentencepiece()


@pytest.fixture(scope="session")
def world() -> World:
    """The invented facts that `world_model` was trained on."""
    return build_world()


@pytest.fixture(scope="session")
def world_folder(request: pytest.FixtureRequest, world: World) -> Path:
    """The folder of the small model that was trained on the facts of `world`; read-only."""
    cache = request.config.cache
    return trained_world_model(world, Path(cache.mkdir("sequela-world")))


@pytest.fixture
def world_model(world_folder: Path) -> LanguageModel:
    """A small Llama that was trained on the facts of `world`; a fresh copy for every test."""
    return load_world_model(world_folder)


@pytest.fixture(scope="session")
def world_edits(world: World) -> EditSet:
    """Edits of twenty facts of `world`, with paraphrases and neighborhood probes."""
    return world.edits(20)
