"""The fastest way to compute the products of linear layers on this machine, found by a short measurement.

Which of PyTorch's products is the fastest depends on the processor, the dtype, the size of the layer and the
number of rows: where MKL leaves wide vector units idle, oneDNN is twice as fast; elsewhere it can be slower.
So each kind of product is measured once, and the seconds are kept in the cache folder.

The ways round differently. All processes of a machine read the same file, so that they use the same ways:
results of a run don't depend on which of its workers computed them, or on whether it was interrupted. For the
same reason the measurement uses one thread, whatever the number of threads that will compute: it decides the
same in a process of one thread and of eight, and other work on the machine disturbs it least.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch.nn import functional

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_json
from sequela.core.locks import waiting_lock
from sequela.core.paths import cache_folder
from sequela.core.processor import processor_name
from sequela.core.temporary_files import make_folder

logger = logging.getLogger(__name__)

Way = Literal["plain", "direct", "packed"]
"""PyTorch's own product; oneDNN's, with the weight as it is stored; oneDNN's with a packed copy of it."""

WAYS: tuple[Way, ...] = ("plain", "direct", "packed")
"""All ways; a later one must be faster than an earlier one to be used, as it needs more code or memory."""

ADVANTAGE = 0.05
"""The share of the time that a way must save to be preferred to an earlier one."""

FEW_ROWS, MANY_ROWS = 16, 256
"""The rows of the two measured products: a step of generation, and a pass over many tokens."""

MANY_FROM = 64
"""From this number of rows on, a product is one of many rows."""

SMALL = 2**16
"""Layers with fewer weights are not measured but packed: they take microseconds and little memory."""

Linear = Callable[[torch.Tensor], torch.Tensor]
Measure = Callable[["Product"], Mapping[Way, float]]
"""A function that returns the seconds of a product in each way."""


@dataclass(frozen=True)
class Product:
    """A kind of product of a linear layer, `x Wᵀ`.

    Args:
        n_out: The number of rows of the weight.
        n_in: The number of its columns.
        dtype: Its dtype.
        n_rows: The number of rows of x, `FEW_ROWS` or `MANY_ROWS`.
    """

    n_out: int
    n_in: int
    dtype: torch.dtype
    n_rows: int

    def __str__(self) -> str:
        return f"{self.n_rows} x {self.n_in} x {self.n_out}, {str(self.dtype).removeprefix('torch.')}"


@dataclass(frozen=True)
class Ways:
    """The ways of one layer.

    Args:
        few: The way of products with few rows.
        many: The way of products with many.
    """

    few: Way
    many: Way

    def __contains__(self, way: Way) -> bool:
        return way in (self.few, self.many)

    def of(self, x: torch.Tensor) -> Way:
        """Returns the way of the product with x `[..., in]`."""
        return self.few if x.numel() < MANY_FROM * x.shape[-1] else self.many


PLAIN = Ways("plain", "plain")
"""The ways of layers that are left to PyTorch."""


class Measurements(BaseModel):
    """The measurements of one machine, as they are stored.

    Args:
        machine: What the seconds depend on, as `describe_machine` returns it.
        seconds: The seconds of each product in each way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: dict[str, str]
    seconds: dict[str, dict[Way, float]]


def direct_linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """Returns a linear layer over a weight `[out, in]` through oneDNN, without a copy if it is contiguous."""
    weight = weight.contiguous()

    def linear(x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product

    return linear


def packed_linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """Returns a linear layer over a packed copy of a weight `[out, in]`; later changes have no effect."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _TYPICAL_ROWS)

    def linear(x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
        return product

    return linear


def plain_linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """Returns PyTorch's own linear layer over a weight `[out, in]`."""
    return lambda x: functional.linear(x, weight, bias)


def linear_by(ways: Ways, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """Returns a linear layer over a weight `[out, in]` that computes in these ways."""
    made = {way: _MAKERS[way](weight, bias) for way in dict.fromkeys((ways.few, ways.many))}
    if ways.few == ways.many:
        return made[ways.few]
    return lambda x: made[ways.of(x)](x)


def fastest(seconds: Mapping[Way, float], may_pack: bool = True) -> Way:
    """Returns the way to compute a product.

    Args:
        seconds: The seconds of each way.
        may_pack: False if the weight may not be in memory twice.
    """
    found: Way = "plain"
    for way in WAYS:
        if (may_pack or way != "packed") and seconds[way] < (1 - ADVANTAGE) * seconds[found]:
            found = way
    return found


class ProductChoices:
    """The choice of a way for each linear layer, from measurements that are kept in a file.

    Args:
        folder: The folder of the file; by default one in the cache folder.
        measure: Measures a product.
    """

    def __init__(self, folder: Path | None = None, measure: Measure | None = None) -> None:
        self._machine = describe_machine()
        folder = folder or cache_folder() / "linear-products"
        self.file = folder / f"{hash_json(self._machine)}.json"
        self._measure = measure or measured_seconds

    def ways(
        self, shapes: Iterable[tuple[int, int]], dtype: torch.dtype, may_pack: bool = True
    ) -> dict[tuple[int, int], Ways]:
        """Returns the ways of layers, after measuring those that no process of this machine has measured.

        If the file can't be written, nothing is measured, since each process could decide differently.

        Args:
            shapes: The shapes of their weights, `(out, in)`.
            dtype: The dtype of the weights; one that oneDNN supports.
            may_pack: False if weights may not be in memory twice.
        """
        wanted = set(shapes)
        unmeasured = Ways("packed", "packed") if may_pack else Ways("direct", "direct")
        large = {shape for shape in wanted if shape[0] * shape[1] >= SMALL}
        products = {
            shape: [Product(*shape, dtype, n_rows) for n_rows in (FEW_ROWS, MANY_ROWS)] for shape in large
        }
        seconds = self._seconds([product for both in products.values() for product in both])
        if seconds is None:
            return dict.fromkeys(wanted, unmeasured)
        chosen = {
            shape: Ways(*(fastest(seconds[str(product)], may_pack) for product in both))
            for shape, both in products.items()
        }
        return {shape: chosen.get(shape, unmeasured) for shape in wanted}

    def _seconds(self, products: list[Product]) -> Mapping[str, Mapping[Way, float]] | None:
        """Returns the stored seconds of products, measuring what is missing; None if they can't be stored."""
        stored = self._stored()
        if all(str(product) in stored for product in products):
            return stored
        try:
            make_folder(self.file.parent)
            with waiting_lock(self.file.with_suffix(".lock"), "measuring products"):
                stored = self._stored()  # another process may have measured meanwhile
                missing = [product for product in products if str(product) not in stored]
                found = {str(product): dict(self._measure(product)) for product in missing}
                both = {**stored, **found}
                if missing:
                    write_description(self.file, Measurements(machine=self._machine, seconds=both))
        except (OSError, SequelaError) as error:
            _say_once(
                f"The fastest products can't be kept in {self.file.parent} ({error}) and are not measured."
            )
            return None
        return both

    def _stored(self) -> dict[str, dict[Way, float]]:
        """Returns what is stored for this machine; a file that is damaged is as if it weren't there."""
        try:
            stat = self.file.stat()
        except OSError:
            return {}
        return _read(self.file, stat.st_mtime_ns, stat.st_ino, hash_json(self._machine))


@lru_cache
def _say_once(message: str) -> None:
    logger.warning(message)


@lru_cache(maxsize=8)
def _read(file: Path, changed: int, inode: int, machine: str) -> dict[str, dict[Way, float]]:
    """Reads a file; `changed` and `inode` identify its content, so that it is read again when it changed."""
    try:
        found = read_description_of(file, Measurements, "measurement")
    except SequelaError:  # damaged, or of another version: measured again and replaced
        return {}
    return found.seconds if hash_json(found.machine) == machine else {}


def describe_machine() -> dict[str, str]:
    """Returns everything that decides how fast products are: processor, limits on it, and libraries."""
    limits = {name: os.environ[name] for name in _LIMITS if name in os.environ}
    return {
        "revision": str(_REVISION),
        "processor": processor_name(),
        "vector units": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        **limits,
    }


def measured_seconds(product: Product) -> dict[Way, float]:
    """Measures one product in all ways, in turns and with one thread; returns the shortest times.

    They are seconds of the processor, so that the time for which other work has it doesn't count. A large
    layer is represented by a part of its outputs, so that one product takes few milliseconds.
    """
    n_in, rows = product.n_in, product.n_rows
    columns = min(product.n_out, _MOST_FLOPS // (2 * rows * n_in), _MOST_WEIGHTS // n_in)
    weight = torch.ones(max(1, columns), n_in, dtype=product.dtype)
    x = torch.ones(rows, n_in, dtype=product.dtype)
    seconds: dict[Way, list[float]] = {way: [] for way in WAYS}
    with torch.inference_mode(), one_thread():
        linears = {way: _MAKERS[way](weight, None) for way in WAYS}
        for linear in linears.values():
            linear(x)
        began = time.thread_time()
        while len(seconds["plain"]) < _LEAST_TIMES or (
            len(seconds["plain"]) < _MOST_TIMES and time.thread_time() - began < _SECONDS
        ):
            for way, linear in linears.items():
                started = time.thread_time()
                linear(x)
                seconds[way].append(time.thread_time() - started)
    return {way: min(times) for way, times in seconds.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Makes PyTorch compute with one thread during a `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_MAKERS: dict[Way, Callable[[torch.Tensor, torch.Tensor | None], Linear]] = {
    "plain": plain_linear,
    "direct": direct_linear,
    "packed": packed_linear,
}
_REVISION = 1  # raised when the measurement changes
_TYPICAL_ROWS = 1024  # the packing is chosen for products with about this many rows
_LIMITS = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
)  # environment variables that restrict the vector units in use
_MOST_FLOPS = 250_000_000
_MOST_WEIGHTS = 8 * 2**20  # larger than the processor's caches, as are the weights of a model
_LEAST_TIMES, _MOST_TIMES = 5, 25
_SECONDS = 0.03  # for all ways of one product, unless `_LEAST_TIMES` take longer
