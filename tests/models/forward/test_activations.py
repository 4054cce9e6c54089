"""Keys, values and block outputs are read at the locations that the papers define."""

from __future__ import annotations

import torch

from sequela.models import LanguageModel
from sequela.models.forward.activations import Site, read_activations
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward

ROWS = ((5, 6, 7, 8, 9, 10, 11, 12, 13), (20, 21))


def test_sites_have_the_activations_of_the_whole_model(any_family: LanguageModel) -> None:
    batch = pad_right(ROWS, any_family.pad_id, any_family.device)
    sites = [Site("key", 1), Site("value", 1), Site("block", 1), Site("block", any_family.n_layers - 1)]
    found = read_activations(any_family, batch, sites)
    assert set(found) == set(sites)
    assert found[sites[0]].shape == (2, 9, any_family.key_size)
    assert found[sites[1]].shape == found[sites[2]].shape == (2, 9, any_family.hidden_size)

    output = any_family.family.mlp_out_module(any_family.module, 1)
    torch.testing.assert_close(output(found[sites[0]]), found[sites[1]])
    torch.testing.assert_close(found[sites[2]], record_forward(any_family, batch, first=2).hidden)
    torch.testing.assert_close(found[sites[3]], record_forward(any_family, batch, first=0).final)


def test_blocks_above_the_highest_site_are_not_run(any_family: LanguageModel) -> None:
    run: list[int] = []
    hooks = [
        block.register_forward_pre_hook(lambda *_, layer=layer: run.append(layer))
        for layer, block in enumerate(any_family.family.block_list(any_family.module))
    ]
    batch = pad_right(ROWS, any_family.pad_id, any_family.device)
    read_activations(any_family, batch, [Site("value", 1), Site("key", 0), Site("key", 0)])
    for hook in hooks:
        hook.remove()
    assert run == [0, 1]


def test_reading_leaves_no_hook_behind(any_family: LanguageModel) -> None:
    batch = pad_right(ROWS, any_family.pad_id, any_family.device)
    read_activations(any_family, batch, [Site("key", 0), Site("value", 2), Site("block", 3)])
    for module in any_family.module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
