"""Blocks run one by one compute the same as in the model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sequela.models import LanguageModel
from sequela.models.forward.batch import Batch, pad_right
from sequela.models.forward.blocks import ForwardReplaced, block_output, capture_block_inputs
from support.tiny import FAMILY_NAMES, WINDOW, tiny_language_model

FAMILIES = [name for name in FAMILY_NAMES if name != "gptj"]
"""GPT-J's blocks return tuples, and its model accepts nothing else, so its inputs can't be captured."""

ROWS = (tuple(range(3, 3 + 3 * WINDOW)), tuple(range(40, 45)))


@pytest.fixture(params=FAMILIES)
def family_model(request: pytest.FixtureRequest) -> LanguageModel:
    """A tiny random model of each family in turn."""
    return tiny_language_model(request.param)


def driven(model: LanguageModel, batch: Batch) -> list[torch.Tensor]:
    """Returns the input of every block and the last output, run block by block."""
    entrance = capture_block_inputs(model, batch)
    assert len(entrance.arguments) == model.n_layers
    states = [entrance.hidden]
    with torch.no_grad():
        for block, arguments in zip(model.family.block_list(model.module), entrance.arguments, strict=True):
            states.append(block_output(block(states[-1], **arguments)))
    return states


def watched(model: LanguageModel, batch: Batch) -> list[torch.Tensor]:
    """Like `driven`, recorded while the model itself runs."""
    states: list[torch.Tensor] = []
    blocks = model.family.block_list(model.module)
    hooks = [blocks[0].register_forward_pre_hook(lambda _, args: states.append(args[0]))]
    hooks += [
        block.register_forward_hook(lambda _, __, out: states.append(block_output(out))) for block in blocks
    ]
    with torch.no_grad():
        model.module(input_ids=batch.ids, position_ids=batch.positions, use_cache=False)
    for hook in hooks:
        hook.remove()
    return states


@pytest.mark.parametrize("attention", [None, "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_one_by_one_give_what_the_model_gives(family: str, attention: str | None) -> None:
    model = tiny_language_model(family, attention=attention)
    batch = pad_right(ROWS, model.pad_id, model.device)
    for ours, theirs in zip(driven(model, batch), watched(model, batch), strict=True):
        assert torch.equal(ours, theirs)


def test_given_positions_are_used(family_model: LanguageModel) -> None:
    """Without their prefix, tokens keep the positions that they have with it."""
    ids = torch.tensor([[5, 6, 7]])
    moved = Batch(ids, torch.tensor([[30, 31, 40]]), (3,))
    for ours, theirs in zip(driven(family_model, moved), watched(family_model, moved), strict=True):
        assert torch.equal(ours, theirs)
    plain = Batch(ids, torch.tensor([[0, 1, 2]]), (3,))
    assert not torch.allclose(driven(family_model, moved)[-1], driven(family_model, plain)[-1], atol=1e-4)


def test_capturing_inputs_runs_no_block_and_leaves_all_unchanged(family_model: LanguageModel) -> None:
    ran = []
    blocks = family_model.family.block_list(family_model.module)
    hooks = [
        module.register_forward_hook(lambda module, _, __: ran.append(module))
        for block in blocks
        for module in block.modules()
        if module is not block
    ]
    batch = pad_right(ROWS, family_model.pad_id, family_model.device)
    capture_block_inputs(family_model, batch)
    assert ran == []
    family_model.module(batch.ids)
    assert ran != []
    for hook in hooks:
        hook.remove()
    assert not any("forward" in vars(block) for block in blocks)


# Replaced modules


def test_a_replacement_is_removed_afterwards_and_hooks_stay() -> None:
    module, seen = nn.Linear(2, 2).requires_grad_(False), []
    module.register_forward_hook(lambda _, __, out: seen.append(out.sum().item()))
    x = torch.ones(1, 2)
    before = module(x)
    with ForwardReplaced(module, lambda x: x * 0 + 5):
        with ForwardReplaced(module, lambda x: x * 0 + 7):
            assert module(x).tolist() == [[7, 7]]
        assert module(x).tolist() == [[5, 5]]
    assert torch.equal(module(x), before)
    assert seen == [before.sum().item(), 14, 10, before.sum().item()]
    assert "forward" not in vars(module)


def test_an_error_inside_reverts_the_replacement() -> None:
    module = nn.Linear(2, 2)
    with pytest.raises(ZeroDivisionError), ForwardReplaced(module, lambda x: x):
        _ = 1 / 0
    assert "forward" not in vars(module)


def test_the_hidden_states_are_found_in_a_block_s_output() -> None:
    hidden = torch.zeros(1, 2, 3)
    assert block_output(hidden) is hidden
    assert block_output((hidden, None)) is hidden
