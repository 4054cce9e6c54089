"""Opening engines by name."""

from __future__ import annotations

import importlib.util

import pytest

from sequela.core.errors import SequelaError
from sequela.core.progress import SilentProgress
from sequela.inference import TorchEngine, open_engine
from support.tiny import tiny_language_model


class Listener(SilentProgress):
    """Records messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


def test_hidden_states_are_kept_only_if_requests_are_expected_again() -> None:
    model = tiny_language_model("llama")
    with open_engine("torch", model) as once, open_engine("torch", model, expected=frozenset({1})) as often:
        assert isinstance(once, TorchEngine)
        assert isinstance(often, TorchEngine)
        assert once.depth_cache is None
        assert often.depth_cache is not None
        assert often.depth_cache.expected == {1}


def test_a_memory_limit_is_divided_and_reported() -> None:
    listener = Listener()
    limit = 2 * 2**30
    with open_engine("torch", tiny_language_model("llama"), limit, frozenset(), listener) as engine:
        assert isinstance(engine, TorchEngine)
        assert engine.depth_cache is not None
        assert 0 < engine.depth_cache.memory + engine.memory.size < limit
    assert listener.messages


def test_an_unknown_engine_is_an_error_that_names_the_known_ones() -> None:
    with (
        pytest.raises(SequelaError, match=r"torhc[\s\S]*torch"),
        open_engine("torhc", tiny_language_model("gpt2")),
    ):
        pass


def test_vllm_supports_no_memory_limit() -> None:
    with (
        pytest.raises(SequelaError, match="torch engine"),
        open_engine("vllm", tiny_language_model("gpt2"), 2**30),
    ):
        pass


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_error_of_its_engine_says_what_to_install() -> None:
    with (
        pytest.raises(SequelaError, match="isn't installed"),
        open_engine("vllm", tiny_language_model("gpt2")),
    ):
        pass
