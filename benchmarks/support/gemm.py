"""The fastest matrix products of this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sequela.models import LanguageModel

SECONDS = 0.25
"""The time for which one product is repeated."""


@dataclass(frozen=True)
class Product:
    """A product `[rows, inner] @ [inner, columns]`.

    Args:
        rows: The number of tokens.
        inner: The number of input features.
        columns: The number of output features.
    """

    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """The number of floating-point operations, where a multiplication and an addition are two."""
        return 2 * self.rows * self.inner * self.columns

    def __str__(self) -> str:
        return f"{self.rows}x{self.inner}x{self.columns}"


def products(model: LanguageModel, quick: bool) -> list[Product]:
    """Returns square products, and those of a model's linear layers for several numbers of tokens."""
    weights = [weight for weight in model.family.block(model.module, 0).parameters() if weight.dim() == 2]
    shapes = sorted({tuple(model.family.as_out_in(weight).shape) for weight in weights})
    square = [Product(size, size, size) for size in ((512, 1024) if quick else (1024, 2048, 4096))]
    rows = (512,) if quick else (512, 1024, 2048, 4096)
    return square + [Product(n, inner, columns) for n in rows for columns, inner in shapes]


def measure(product: Product, dtype: torch.dtype) -> dict[str, float]:
    """Returns the FLOP/s of one product by implementation, as the median of many repetitions.

    Args:
        product: The shape.
        dtype: The dtype of the factors and the result.

    Returns:
        `torch_mm`, and `onednn_packed` where torch has oneDNN: a linear layer whose weight is
        packed into the library's own layout beforehand.
    """
    source = torch.Generator().manual_seed(0)
    x = torch.randn(product.rows, product.inner, generator=source).to(dtype)
    weight = torch.randn(product.columns, product.inner, generator=source).to(dtype)
    transposed = weight.T.contiguous()
    ways: dict[str, Callable[[], torch.Tensor]] = {"torch_mm": lambda: torch.mm(x, transposed)}
    if torch.backends.mkldnn.is_available():
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, product.rows)
        ways["onednn_packed"] = lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    with torch.inference_mode():
        return {name: product.flops / _median_seconds(way) for name, way in ways.items()}


def _median_seconds(work: Callable[[], object]) -> float:
    for _ in range(2):
        work()
    seconds: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(seconds) < 3 or time.perf_counter() < until:
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
