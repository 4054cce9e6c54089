"""The way of each product is measured once per machine, and every process uses what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sequela.models.forward import linear_products
from sequela.models.forward.linear_products import (
    ADVANTAGE,
    FEW_ROWS,
    MANY_FROM,
    MANY_ROWS,
    WAYS,
    Product,
    ProductChoices,
    Way,
    Ways,
    fastest,
    linear_by,
    measured_seconds,
)
from sequela.models.forward.onednn_linear import has_onednn

LARGE, OTHER, SMALL = (512, 256), (256, 512), (64, 64)
needs_onednn = pytest.mark.skipif(
    not has_onednn(torch.device("cpu")), reason="oneDNN doesn't support this processor"
)
SECONDS = st.floats(1e-6, 1.0)


class Clock:
    """Stands in for the measurement: few rows are fastest packed, many rows plain. Keeps what was asked."""

    def __init__(self, few: Way = "packed", many: Way = "plain") -> None:
        self.best = {FEW_ROWS: few, MANY_ROWS: many}
        self.asked: list[Product] = []

    def __call__(self, product: Product) -> Mapping[Way, float]:
        self.asked.append(product)
        return {way: 0.5 if way == self.best[product.n_rows] else 1.0 for way in WAYS}


@given(plain=SECONDS, direct=SECONDS, packed=SECONDS)
def test_a_way_that_needs_more_must_be_faster(plain: float, direct: float, packed: float) -> None:
    seconds: dict[Way, float] = {"plain": plain, "direct": direct, "packed": packed}
    for may_pack in (True, False):
        found = fastest(seconds, may_pack)
        assert may_pack or found != "packed"
        allowed = [way for way in WAYS if may_pack or way != "packed"]
        for way in allowed[: allowed.index(found)]:
            assert seconds[found] < (1 - ADVANTAGE) * seconds[way]
        least = min(seconds[way] for way in allowed)
        assert seconds[found] <= least / (1 - ADVANTAGE) ** 2


def test_ties_are_left_to_pytorch() -> None:
    assert fastest({"plain": 1.0, "direct": 0.96, "packed": 0.96}) == "plain"
    assert fastest({"plain": 1.0, "direct": 0.9, "packed": 0.88}) == "direct"
    assert fastest({"plain": 1.0, "direct": 0.9, "packed": 0.8}) == "packed"


def test_each_kind_of_product_is_measured_once(tmp_path: Path) -> None:
    clock = Clock()
    found = ProductChoices(tmp_path, clock).ways([LARGE, LARGE, SMALL], torch.float32)
    assert found == {LARGE: Ways("packed", "plain"), SMALL: Ways("packed", "packed")}
    assert [product.n_rows for product in clock.asked] == [FEW_ROWS, MANY_ROWS]
    again = ProductChoices(tmp_path, clock)
    assert again.ways([LARGE], torch.float32, may_pack=False) == {LARGE: Ways("plain", "plain")}
    assert len(clock.asked) == 2
    again.ways([LARGE, OTHER], torch.float32)
    again.ways([LARGE], torch.bfloat16)
    assert len(clock.asked) == 6


def test_another_process_with_the_same_cache_decides_the_same(tmp_path: Path) -> None:
    first = ProductChoices(tmp_path, Clock("packed", "direct")).ways([LARGE, OTHER], torch.float32)
    slower = Clock("plain", "plain")
    assert ProductChoices(tmp_path, slower).ways([OTHER, LARGE], torch.float32) == first
    assert slower.asked == []


def test_what_another_process_measured_meanwhile_is_used(tmp_path: Path) -> None:
    def late(product: Product) -> Mapping[Way, float]:
        raise AssertionError(f"{product} is stored already")

    waiting = ProductChoices(tmp_path, late)
    assert waiting._stored() == {}
    first = ProductChoices(tmp_path, Clock()).ways([LARGE], torch.float32)
    assert waiting.ways([LARGE], torch.float32) == first


@pytest.mark.parametrize("harm", ["changed", "cut", "empty", "of another version"])
def test_a_damaged_file_is_measured_again(tmp_path: Path, harm: str) -> None:
    choices = ProductChoices(tmp_path, Clock())
    choices.ways([LARGE], torch.float32)
    text = choices.file.read_text()
    harmed = {
        "changed": text.replace("0.5", "2.5"),
        "cut": text[: len(text) // 2],
        "empty": "",
        "of another version": json.dumps({"version": 7}),
    }
    choices.file.write_text(harmed[harm])
    clock = Clock("direct", "direct")
    expected = {LARGE: Ways("direct", "direct")}
    assert ProductChoices(tmp_path, clock).ways([LARGE], torch.float32) == expected
    assert len(clock.asked) == 2
    assert ProductChoices(tmp_path, Clock()).ways([LARGE], torch.float32) == expected


@pytest.mark.parametrize(
    ("name", "value"), [("ONEDNN_MAX_CPU_ISA", "AVX2"), ("MKL_ENABLE_INSTRUCTIONS", "SSE4_2")]
)
def test_other_vector_units_are_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    before = ProductChoices(tmp_path, Clock())
    before.ways([LARGE], torch.float32)
    monkeypatch.setenv(name, value)
    clock = Clock()
    ProductChoices(tmp_path, clock).ways([LARGE], torch.float32)
    assert len(clock.asked) == 2


def test_a_file_of_another_machine_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ProductChoices(tmp_path, Clock())
    here.ways([LARGE], torch.float32)
    monkeypatch.setattr(linear_products, "processor_name", lambda: "another processor")
    clock = Clock()
    there = ProductChoices(tmp_path, clock)
    here.file.rename(there.file)
    there.ways([LARGE], torch.float32)
    assert len(clock.asked) == 2


def test_the_number_of_threads_does_not_matter(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    here = ProductChoices(tmp_path, Clock()).file
    torch.set_num_threads(2)
    try:
        measured_seconds(Product(64, 64, torch.float32, FEW_ROWS))
        assert torch.get_num_threads() == 2
        assert ProductChoices(tmp_path, Clock()).file == here
    finally:
        torch.set_num_threads(before)


def test_without_a_place_for_them_nothing_is_measured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    clock = Clock("plain", "plain")
    choices = ProductChoices(tmp_path / "file" / "folder", clock)
    for _ in range(2):
        assert choices.ways([LARGE], torch.float32) == {LARGE: Ways("packed", "packed")}
        assert choices.ways([LARGE], torch.float32, may_pack=False) == {LARGE: Ways("direct", "direct")}
    assert clock.asked == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not measured" in caplog.text


def test_small_layers_need_no_file(tmp_path: Path) -> None:
    found = ProductChoices(tmp_path / "none", Clock()).ways([SMALL], torch.float32)
    assert found == {SMALL: Ways("packed", "packed")}
    assert not (tmp_path / "none").exists()


@needs_onednn
def test_a_measurement_has_all_ways() -> None:
    seconds = measured_seconds(Product(400, 200, torch.float32, FEW_ROWS))
    assert set(seconds) == set(WAYS)
    assert all(0 < value < 1 for value in seconds.values())


@needs_onednn
@pytest.mark.parametrize("many", WAYS)
@pytest.mark.parametrize("few", WAYS)
def test_a_layer_computes_the_same_in_every_way(few: Way, many: Way) -> None:
    source = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(30, 20, generator=source), torch.randn(30, generator=source)
    ways = Ways(few, many)
    linear = linear_by(ways, weight, bias)
    for rows in (1, MANY_FROM - 1, MANY_FROM, 100):
        x = torch.randn(1, rows, 20, generator=source)
        assert ways.of(x) == (few if rows < MANY_FROM else many)
        torch.testing.assert_close(linear(x), functional.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
