"""Replaying the upper part gives the same as the whole model, for every family."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from sequela.models import LanguageModel
from sequela.models.forward.batch import Batch, pad_right
from sequela.models.forward.hooks import hooked
from sequela.models.forward.replay import record_forward, run_blocks
from support.tiny import FAMILY_NAMES, WINDOW, tiny_language_model

ROWS = (
    tuple(range(3, 3 + 3 * WINDOW)),
    tuple(range(40, 40 + 2 * WINDOW + 1)),
    (7, 8, 9),
)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def batch_of(model: LanguageModel, rows: tuple[tuple[int, ...], ...] = ROWS) -> Batch:
    return pad_right(rows, model.pad_id, model.device)


def test_from_every_layer_the_recorded_states_give_the_same_output(any_family: LanguageModel) -> None:
    batch = batch_of(any_family)
    normed = run_blocks(any_family, batch)
    for first in range(any_family.n_layers + 1):
        recording = record_forward(any_family, batch, first)
        torch.testing.assert_close(recording.replay(), recording.final, **TOLERANCE)
        norm = any_family.module.get_submodule(any_family.family.final_norm)
        torch.testing.assert_close(norm(recording.final), normed, **TOLERANCE)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_blocks_get_the_same_masks_again(family: str) -> None:
    """Eager attention hides later tokens only by a mask."""
    model = tiny_language_model(family, attention="eager")
    recording = record_forward(model, batch_of(model), first=1)
    torch.testing.assert_close(recording.replay(), recording.final, **TOLERANCE)


def test_padding_does_not_reach_real_tokens(any_family: LanguageModel) -> None:
    together = record_forward(any_family, batch_of(any_family), first=0).final
    for i, row in enumerate(ROWS):
        alone = record_forward(any_family, batch_of(any_family, (row,)), first=0).final
        torch.testing.assert_close(together[i, : len(row)], alone[0], **TOLERANCE)


def test_a_changed_state_has_the_effect_it_has_in_the_whole_model(any_family: LanguageModel) -> None:
    batch, first = batch_of(any_family), 2
    change = 0.5 * torch.randn(any_family.hidden_size, generator=torch.Generator().manual_seed(3))
    recording = record_forward(any_family, batch, first)
    changed = recording.hidden.clone()
    changed[:, 1] += change

    def shift(_: object, args: tuple[torch.Tensor, ...], kwargs: dict[str, object]) -> object:
        hidden = args[0].clone()
        hidden[:, 1] += change
        return (hidden, *args[1:]), kwargs

    block = any_family.family.block(any_family.module, first)
    hook = block.register_forward_pre_hook(shift, with_kwargs=True)
    whole = record_forward(any_family, batch, any_family.n_layers).final
    hook.remove()
    assert not torch.allclose(whole, recording.final, atol=1e-2)
    torch.testing.assert_close(recording.replay(changed), whole, **TOLERANCE)


def test_gradients_reach_the_given_states(any_family: LanguageModel) -> None:
    recording = record_forward(any_family, batch_of(any_family), first=1)
    hidden = recording.hidden.clone().requires_grad_(True)
    recording.replay(hidden)[0, -1].sum().backward()
    assert hidden.grad is not None
    assert torch.isfinite(hidden.grad).all()
    assert hidden.grad[0].abs().sum() > 0


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("attention", [None, "eager"])
def test_only_the_suffix_of_each_row_is_run_with_the_same_output(
    family: str, first: int, attention: str | None
) -> None:
    settings = {} if family not in {"mistral", "gemma2", "gemma3"} else {"sliding_window": 64}
    model = tiny_language_model(family, attention=attention, **settings)
    batch, starts = batch_of(model), (5, 8, 0)
    whole = record_forward(model, batch, first)
    suffix = record_forward(model, batch, first, starts=starts)
    assert suffix.starts == starts
    assert suffix.hidden.shape[1] == max(len(row) - s for row, s in zip(ROWS, starts, strict=True))

    shift = torch.randn(model.hidden_size, generator=torch.Generator().manual_seed(5))
    changed_whole, changed_tail = whole.hidden.clone(), suffix.hidden.clone()
    for i, start in enumerate(starts):
        changed_whole[i, start] += shift
        changed_tail[i, 0] += shift
    expected, found = whole.replay(changed_whole), suffix.replay(changed_tail)
    for i, (row, start) in enumerate(zip(ROWS, starts, strict=True)):
        torch.testing.assert_close(found[i, : len(row) - start], expected[i, start : len(row)], **TOLERANCE)


@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3"])
def test_with_a_window_shorter_than_the_rows_everything_is_run_again(family: str) -> None:
    model = tiny_language_model(family)
    recording = record_forward(model, batch_of(model), 1, starts=(5, 8, 0))
    assert recording.starts == (0, 0, 0)
    torch.testing.assert_close(recording.replay(), recording.final, **TOLERANCE)


def test_recomputed_blocks_have_the_same_gradients_and_store_less(any_family: LanguageModel) -> None:
    """A change is in force that must be in force in the backward pass too, with its gradient."""
    recording = record_forward(any_family, batch_of(any_family), first=1)
    names = [any_family.family.mlp_out.format(layer) for layer in (1, 2)]
    wanted = torch.randn(recording.final.shape, generator=torch.Generator().manual_seed(4))
    found, kept = [], []
    for recompute in (False, True):
        shift = torch.full((any_family.hidden_size,), 0.1, requires_grad=True)

        def in_force(shift: torch.Tensor = shift) -> AbstractContextManager[None]:
            return hooked(any_family, dict.fromkeys(names, lambda _, outputs: outputs * (1 + shift)))

        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with in_force(), saved_tensors_hooks(keep, lambda tensor: tensor):
            final = recording.replay(recomputed=in_force if recompute else None)
        (final * wanted).sum().backward()
        found.append((final.detach(), shift.grad))
        kept.append(sum(sizes.values()))
        assert not any_family.changes
    torch.testing.assert_close(found[0], found[1], **TOLERANCE)
    assert kept[1] < 0.5 * kept[0]
