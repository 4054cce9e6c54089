from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sequela.edited import Delta, LowRank
from sequela.editors.regularizers.rect import Rect, RectSettings
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model

MODEL = tiny_language_model("gpt2")
NAME = MODEL.family.mlp_out_name(1)


def change(seed: int) -> Delta:
    generator = torch.Generator().manual_seed(seed)
    b = torch.randn(WIDTH, 2, generator=generator)
    a = torch.randn(2, KEY_WIDTH, generator=generator)
    return Delta(MODEL.fingerprint, {NAME: LowRank(b, a)})


@given(keep=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_the_entries_with_the_greatest_relative_change_stay(keep: float, seed: int) -> None:
    whole = change(seed)
    update = whole.updates[NAME].to_dense()
    kept = Rect(RectSettings(keep=keep)).regularize_batch(MODEL, whole).updates[NAME].to_dense()
    weight = MODEL.family.as_out_in(MODEL.module.get_parameter(NAME).detach()).double()
    relative = (update / weight).abs()
    stays = kept != 0
    assert int(stays.sum()) == max(1, round(keep * update.numel()))
    torch.testing.assert_close(kept[stays], update[stays], rtol=1e-6, atol=1e-9)
    if not stays.all():
        assert float(relative[stays].min()) >= float(relative[~stays].max())


def test_weights_of_zero_change_most() -> None:
    """A change of a zero weight is infinitely large relative to it; if both are 0, there is none."""
    model = tiny_language_model("gpt2")
    stored = model.module.get_parameter(NAME).data
    weight = model.family.as_out_in(stored)
    weight[3] = 0.0
    update = torch.ones(WIDTH, KEY_WIDTH)
    update[3, : KEY_WIDTH // 2] = 0.0
    delta = Delta(model.fingerprint, {NAME: LowRank(update, torch.eye(KEY_WIDTH))})
    keep = (KEY_WIDTH // 2) / update.numel()
    kept = Rect(RectSettings(keep=keep)).regularize_batch(model, delta).updates[NAME].to_dense()
    assert kept[3, KEY_WIDTH // 2 :].eq(1).all()
    assert int(kept.ne(0).sum()) == KEY_WIDTH // 2
