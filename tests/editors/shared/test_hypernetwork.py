"""MEND's network before training."""

from __future__ import annotations

import torch

from sequela.editors.methods.mend.editor import MendNetwork
from sequela.editors.shared.gradient_factors import GradientFactors
from sequela.editors.shared.hypernetwork import ResidualLowRank


def test_before_training_it_is_the_identity_and_every_layer_can_learn() -> None:
    """The hidden layer starts at exactly 0, where a relu would block its gradients."""
    torch.manual_seed(0)
    network = MendNetwork(
        {"linear": (4, 6)},
        lambda size, n_modes: [ResidualLowRank(size, 3, n_modes, rectified=i < 1) for i in range(2)],
        edit_lr=0.1,
    )
    factors = GradientFactors(torch.randn(2, 5, 6), torch.randn(2, 5, 4))
    (change,) = network({"linear": factors}).values()
    torch.testing.assert_close(change.inputs, factors.inputs)
    torch.testing.assert_close(change.gradients, -0.1 * factors.gradients)
    (change.inputs.square().sum() + change.gradients.square().sum()).backward()
    without_gradient = {
        name for name, one in network.named_parameters() if one.grad is None or not bool(one.grad.any())
    }
    # V gets gradients once U isn't 0, and a scale once its input isn't 0.
    assert without_gradient == {
        f"networks.4x6.layers.{layer}.{part}" for layer in range(2) for part in ("v", "scale")
    }
