"""Low-rank and dense changes of one weight, in the papers' orientation `[out, in]`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.core.precision import solve_dtype


@dataclass(frozen=True)
class LowRank:
    """The update `b @ a`.

    Args:
        b: `[out, rank]`.
        a: `[rank, in]`.
    """

    b: torch.Tensor
    a: torch.Tensor

    @property
    def device(self) -> torch.device:
        """The device of the factors."""
        return self.b.device

    @property
    def rank(self) -> int:
        """The number of outer products in the update, an upper bound of its rank."""
        return self.b.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape `(out, in)` of the weight."""
        return self.b.shape[0], self.a.shape[1]

    def first(self, rank: int) -> LowRank:
        """Returns the sum of the first `rank` outer products."""
        return LowRank(self.b[:, :rank].contiguous(), self.a[:rank].contiguous())

    def to_dense(self) -> torch.Tensor:
        """Returns the update `[out, in]`, in the dtype of solves."""
        dtype = solve_dtype(self.b.device)
        return self.b.to(dtype) @ self.a.to(dtype)

    def entry(self, row: int, column: int) -> torch.Tensor:
        """Returns one entry of the update, a scalar in the dtype of solves."""
        dtype = solve_dtype(self.b.device)
        return self.b[row].to(dtype) @ self.a[:, column].to(dtype)


@dataclass(frozen=True)
class Dense:
    """An update with all entries.

    Args:
        values: `[out, in]`.
    """

    values: torch.Tensor

    @property
    def device(self) -> torch.device:
        """The device of the entries."""
        return self.values.device

    @property
    def shape(self) -> tuple[int, int]:
        """The shape `(out, in)` of the weight."""
        return self.values.shape[0], self.values.shape[1]

    def to_dense(self) -> torch.Tensor:
        """Returns the update `[out, in]`, in the dtype of solves."""
        return self.values.to(solve_dtype(self.values.device))

    def entry(self, row: int, column: int) -> torch.Tensor:
        """Returns one entry of the update, a scalar in the dtype of solves."""
        return self.values[row, column].to(solve_dtype(self.values.device))


WeightUpdate = LowRank | Dense


def add_updates(first: WeightUpdate, second: WeightUpdate) -> WeightUpdate:
    """Returns the sum of two updates of one weight.

    The sum of low-rank updates stays low-rank, with concatenated factors, while that is smaller.
    """
    if isinstance(first, LowRank) and isinstance(second, LowRank):
        b = torch.cat([first.b, second.b.to(first.b.device)], dim=1)
        a = torch.cat([first.a, second.a.to(first.a.device)], dim=0)
        if b.numel() + a.numel() < b.shape[0] * a.shape[1]:
            return LowRank(b, a)
        return Dense(LowRank(b, a).to_dense().float())
    total = dense_copy(first, first.device)
    total += (
        second.values.to(total.device) if isinstance(second, Dense) else second.to_dense().to(total.device)
    )
    return Dense(total.float())


def dense_copy(update: WeightUpdate, device: torch.device) -> torch.Tensor:
    """Returns an update `[out, in]` in the dtype of solves, as a tensor that may be changed."""
    dense = update.to_dense().to(device)
    return dense.clone() if isinstance(update, Dense) and dense is update.values else dense
