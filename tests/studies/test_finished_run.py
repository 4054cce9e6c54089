"""The same study again in the folder of its finished run: nothing is measured, and nothing changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sequela.results import Status, open_store
from sequela.results.manifest import MANIFEST_NAME
from sequela.studies import Study, run_study
from support.runs import WorkloadLog


def test_nothing_is_measured_and_the_record_stays_as_it_is(
    make_study: Callable[..., Study], finished: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    before = (folder / MANIFEST_NAME).read_bytes()
    log = WorkloadLog()
    result = run_study(make_study(), folder, log, command="another command")
    assert (result.status, result.done, result.planned) == (Status.COMPLETE, 15, 15)
    assert (folder / MANIFEST_NAME).read_bytes() == before
    with open_store(finished) as first, open_store(folder) as again:
        assert again.costs() == first.costs()
    assert log.lines[0] == (
        "all 15 evaluations are done already; checking that models and methods are the same"
    )
    assert not any("measuring" in line or "reference answers" in line for line in log.lines)
    assert log.workload.n_done == log.workload.n_pieces
