"""The dtype that a model is loaded in, and the reason that `auto` gives."""

from __future__ import annotations

import pytest
import torch

from sequela.core.errors import UnknownNameError
from sequela.core.precision import DTYPES, choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", DTYPES)
def test_a_named_precision_is_used_on_every_device(name: str) -> None:
    for device in (CPU, torch.device("mps")):
        chosen = choose_precision(name, device)
        assert (chosen.name, chosen.reason, str(chosen)) == (name, "", name)
        assert chosen.dtype is getattr(torch, name)


def test_auto_is_bfloat16_only_if_it_is_native_and_gives_the_reason() -> None:
    chosen = choose_precision("auto", CPU)
    capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert chosen.name == ("bfloat16" if capable else "float32")
    assert chosen.reason
    assert chosen.reason in str(chosen)


@pytest.mark.parametrize(
    ("capable", "name", "reason"),
    [
        ("_is_amx_tile_supported", "bfloat16", "AMX computes it natively"),
        ("_is_avx512_bf16_supported", "bfloat16", "AVX-512 BF16 computes it natively"),
        (None, "float32", "the device cpu has no known native bfloat16"),
    ],
)
def test_auto_depends_on_the_features_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capable: str | None, name: str, reason: str
) -> None:
    for question in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, question, lambda answer=question == capable: answer, raising=False)
    chosen = choose_precision("auto", CPU)
    assert (chosen.name, chosen.reason) == (name, reason)


def test_auto_is_float32_on_an_unknown_device() -> None:
    assert choose_precision("auto", torch.device("mps")).name == "float32"


def test_an_unknown_precision_is_an_error_that_names_similar_ones() -> None:
    with pytest.raises(UnknownNameError, match="bfloat16"):
        choose_precision("bfloat", CPU)
