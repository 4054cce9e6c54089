"""Which dtype a model is loaded in, and that `auto` says why."""

from __future__ import annotations

import pytest
import torch

from sequela.core.errors import UnknownNameError
from sequela.core.precision import DTYPES, choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", DTYPES)
def test_a_named_precision_is_taken_wherever_the_model_runs(name: str) -> None:
    for device in (CPU, torch.device("mps")):
        chosen = choose_precision(name, device)
        assert (chosen.name, chosen.reason, str(chosen)) == (name, "", name)
        assert chosen.dtype is getattr(torch, name)


def test_auto_is_bfloat16_only_where_it_is_native_and_says_so() -> None:
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
        (None, "float32", "no native bfloat16 is known of the device cpu"),
    ],
)
def test_auto_asks_the_processor(
    monkeypatch: pytest.MonkeyPatch, capable: str | None, name: str, reason: str
) -> None:
    for question in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, question, lambda answer=question == capable: answer, raising=False)
    chosen = choose_precision("auto", CPU)
    assert (chosen.name, chosen.reason) == (name, reason)


def test_auto_is_float32_where_nothing_is_known() -> None:
    assert choose_precision("auto", torch.device("mps")).name == "float32"


def test_an_unknown_precision_is_told_with_what_is_near() -> None:
    with pytest.raises(UnknownNameError, match="bfloat16"):
        choose_precision("bfloat", CPU)
