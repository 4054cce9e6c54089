"""Runs of a small study with and without a memory limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.editors import create_editor
from sequela.inference import DepthCache, TorchEngine, WorkingMemory
from sequela.models import load_model
from sequela.results import (
    Status,
    open_store,
    read_manifest,
)
from sequela.studies import Study, run_study
from sequela.studies.peak_memory import peak_memory_bytes
from support.runs import (
    MessageLog,
    StopAfterMessage,
    measured,
)

MakeStudy = Callable[..., Study]


def expected_blocks(study: Study) -> set[int]:
    """The lowest blocks that a study's methods edit."""
    model = load_model(study.models[0], device="cpu")
    return {create_editor(one.name, one.settings).lowest_block(model) for one in study.editors}


class TestMemory:
    @pytest.mark.slow
    def test_the_depth_cache_changes_no_bit(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engines: list[TorchEngine] = []

        class Kept(TorchEngine):
            def __init__(self, memory: WorkingMemory | None = None, depth_cache: DepthCache | None = None):
                super().__init__(memory, depth_cache)
                engines.append(self)

        class Forgetful(Kept):
            def __init__(self, memory: WorkingMemory | None = None, depth_cache: DepthCache | None = None):
                super().__init__(memory, None)

        blocks = {}
        for engine in (Kept, Forgetful):
            monkeypatch.setattr("sequela.inference.torch.opening.TorchEngine", engine)
            run_study(make_study(), tmp_path / engine.__name__)
            assert measured(tmp_path / engine.__name__) == measured(finished)
            blocks[engine] = engines[-1].counters.computed_blocks
        keeping, forgetful = engines  # one for the whole run
        assert keeping.depth_cache is not None
        assert keeping.depth_cache.expected == expected_blocks(make_study())
        assert keeping.counters.unique_tokens == forgetful.counters.unique_tokens
        assert blocks[Kept] < 0.8 * blocks[Forgetful]

    def test_a_limit_is_divided_reported_and_changes_nothing(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        log = MessageLog()
        run_study(make_study(memory="1.5GiB"), tmp_path / "run", log)
        (description,) = [line for line in log.lines if line.startswith("memory: ")]
        assert "hidden states" in description
        assert measured(tmp_path / "run") == measured(finished)
        assert read_manifest(tmp_path / "run").config["memory"] == 3 * 2**29

    @pytest.mark.slow
    def test_a_run_may_be_resumed_with_another_limit(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        stopped = run_study(make_study(), tmp_path / "run", StopAfterMessage("ft-m: edit 1"))
        assert stopped.status is Status.STOPPED
        assert run_study(make_study(memory="2GiB"), tmp_path / "run").status is Status.COMPLETE
        assert measured(tmp_path / "run") == measured(finished)

    def test_a_limit_that_is_too_low_is_reported_before_any_measurement(
        self, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        with pytest.raises(SequelaError, match=r"A memory limit of 100\.0 MiB is too low"):
            run_study(make_study(memory="100MiB"), tmp_path / "run")
        assert measured(tmp_path / "run") == []

    def test_peak_memory_is_that_of_this_process(self, finished: Path) -> None:
        page = 2**20  # the system counts pages a little late
        before = peak_memory_bytes()
        block = torch.ones((before + 64 * page) // 4)  # more than the process has held so far
        peak = peak_memory_bytes()
        assert peak >= block.numel() * 4
        del block
        assert peak_memory_bytes() == pytest.approx(peak, abs=8 * page)
        with open_store(finished) as store:
            assert all(0 < (cost.peak_memory_bytes or 0) <= peak for cost in store.costs())
