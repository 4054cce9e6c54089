"""MEND's network, apart from what it is trained to do."""

from __future__ import annotations

import torch

from sequela.editors.methods.mend.editor import MendNetwork
from sequela.editors.shared.gradient_factors import GradientFactors
from sequela.editors.shared.hypernetwork import ResidualLowRank


def test_before_training_it_is_the_identity_and_every_layer_can_learn() -> None:
    """The hidden layer begins at exactly 0, where a relu would never let it leave."""
    torch.manual_seed(0)
    network = MendNetwork(
        {"linear": (4, 6)},
        lambda size, n_modes: [ResidualLowRank(size, 3, n_modes, rectified=i < 1) for i in range(2)],
        edit_lr=0.1,
    )
    factors = GradientFactors(torch.randn(2, 5, 6), torch.randn(2, 5, 4))
    (made,) = network({"linear": factors}).values()
    torch.testing.assert_close(made.inputs, factors.inputs)
    torch.testing.assert_close(made.gradients, -0.1 * factors.gradients)
    (made.inputs.square().sum() + made.gradients.square().sum()).backward()
    left = {name for name, one in network.named_parameters() if one.grad is None or not bool(one.grad.any())}
    layers = range(2)
    # V learns as soon as U isn't 0, and a scale as soon as there is something to scale.
    assert left == {f"networks.4x6.layers.{layer}.{part}" for layer in layers for part in ("v", "scale")}
