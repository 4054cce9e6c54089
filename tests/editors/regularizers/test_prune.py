from __future__ import annotations

import math
from pathlib import Path

import torch

from sequela.edited import Delta, Dense
from sequela.editors import Resources, create_editor
from sequela.editors.regularizers.prune import Prune, PruneSettings
from support.edits import TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model

MODEL = tiny_language_model("llama")
NAME = MODEL.family.mlp_out_name(2)
WEIGHT = MODEL.module.get_parameter(NAME).detach().double()
HIGHEST = float(torch.linalg.svdvals(WEIGHT)[0])


def with_singular_values(values: torch.Tensor) -> Delta:
    generator = torch.Generator().manual_seed(3)
    left, _ = torch.linalg.qr(torch.randn(WIDTH, len(values), generator=generator, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(KEY_WIDTH, len(values), generator=generator, dtype=torch.float64))
    return Delta(MODEL.fingerprint, {NAME: Dense(((left * values) @ right.T).float())})


def test_singular_values_above_the_weights_greatest_are_lowered_by_the_logarithm() -> None:
    values = HIGHEST * torch.tensor([4.0, 1.5, 0.9, 0.1], dtype=torch.float64)
    regularized = Prune(PruneSettings(alpha=1.5)).finalize_delta(MODEL, with_singular_values(values))
    lowered = torch.linalg.svdvals(regularized.updates[NAME].to_dense())[:4]
    expected = torch.tensor(
        [
            (math.log(v) - math.log(HIGHEST)) / math.log(1.5) + HIGHEST if v > HIGHEST else v
            for v in values.tolist()
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(lowered, expected.sort(descending=True).values, rtol=1e-5, atol=1e-6)


def test_a_small_change_is_kept_bit_for_bit() -> None:
    small = with_singular_values(HIGHEST * torch.tensor([0.9, 0.5], dtype=torch.float64))
    assert Prune(PruneSettings()).finalize_delta(MODEL, small).content_hash == small.content_hash


def test_further_edits_build_on_the_unregularized_change(tmp_path: Path) -> None:
    resources = Resources(tiny_statistics(MODEL, tmp_path), contexts=("{}",))
    settings = {"layers": [2], "v_num_grad_steps": 3}
    plain, pruned = create_editor("rome", settings), create_editor("rome+prune", settings)
    *_, one = edit_in_batches(plain, MODEL, TINY_EDITS[:3], 1, resources)
    *_, other = edit_in_batches(pruned, MODEL, TINY_EDITS[:3], 1, resources)
    assert one.delta.content_hash == other.delta.content_hash
    large = with_singular_values(HIGHEST * torch.tensor([30.0], dtype=torch.float64))
    assert plain.finalize_delta(MODEL, large).content_hash == large.content_hash
    norms = pruned.finalize_delta(MODEL, large).norms()
    assert norms[NAME] < 0.5 * large.norms()[NAME]
