"""Studies that share a store: what one has made, another takes, and its table is that of an empty store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequela.edited import EditedModel
from sequela.editors.session import EditSession
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.store import Address, Kind, open_store
from sequela.studies import Study, run_study
from sequela.studies.workers import Workers
from support.runs import checkpoint_files, edit_records, measured

MakeStudy = Callable[..., Study]

ROME = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8}}
FT_M = {"name": "ft-m", "settings": {"num_steps": 30, "lr": 2e-3}}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the batches that a method applies, and the evaluations of unedited and edited models."""
    counts: Counter[str] = Counter()
    apply_batch, evaluate = EditSession.apply_batch, BuiltinSuite.evaluate

    def counted_batch(self: EditSession, *args: Any) -> Any:
        counts[self.editor.name] += 1
        return apply_batch(self, *args)

    def counted_evaluation(self: BuiltinSuite, model: EditedModel, *args: Any) -> Any:
        counts["edited" if model.n_changes else "unedited"] += 1
        return evaluate(self, model, *args)

    monkeypatch.setattr(EditSession, "apply_batch", counted_batch)
    monkeypatch.setattr(BuiltinSuite, "evaluate", counted_evaluation)
    return counts


@pytest.fixture
def make_two(make_study: MakeStudy) -> MakeStudy:
    """Makes a study of two edits, however many checkpoints it has."""

    def make(**changes: Any) -> Study:
        study = make_study(**{"checkpoints": [0, 1], "editors": [ROME], **changes})
        edits = study.edits.model_copy(update={"count": 2})
        return study.model_copy(update={"edits": edits})

    return make


def test_a_larger_study_does_only_what_is_new(
    make_two: MakeStudy, done: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(make_two(), tmp_path / "small")
    assert done == {"rome": 1, "unedited": 1, "edited": 1}
    done.clear()
    larger = make_two(checkpoints=[0, 1, 2], editors=[ROME, FT_M], name="larger")
    run_study(larger, tmp_path / "larger")
    assert done == {"rome": 1, "ft-m": 2, "edited": 1 + 2}

    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / "empty"))
    run_study(larger, tmp_path / "alone")
    assert measured(tmp_path / "alone") == measured(tmp_path / "larger")
    assert checkpoint_files(tmp_path / "alone") == checkpoint_files(tmp_path / "larger")
    without_times = [
        [one.model_copy(update={"seconds": 0}) for one in edit_records(tmp_path / name)]
        for name in ("alone", "larger")
    ]
    assert without_times[0] == without_times[1]


def test_a_checkpoint_does_not_depend_on_those_before_it(
    make_two: MakeStudy, done: Counter[str], tmp_path: Path
) -> None:
    run_study(make_two(checkpoints=[0, 1, 2]), tmp_path / "two steps")
    done.clear()
    run_study(make_two(checkpoints=[0, 2]), tmp_path / "one step")
    assert not done
    last = measured(tmp_path / "two steps", n_edits=2)
    assert measured(tmp_path / "one step", n_edits=2) == last
    assert edit_records(tmp_path / "one step") == edit_records(tmp_path / "two steps")


def test_two_orders_share_the_edits_that_they_begin_with(
    make_two: MakeStudy, done: Counter[str], tmp_path: Path
) -> None:
    same = make_two(order_seeds=[0, 2, 3, 4], checkpoints=[0, 2])  # of two edits, there are two orders
    run_study(same, tmp_path / "run")
    assert done == {"rome": 2 * 2, "unedited": 1, "edited": 2}
    by_seed = [measured(tmp_path / "run", order_seed=seed, n_edits=2) for seed in (0, 2, 3, 4)]
    assert [len(one) for one in by_seed] == [len(by_seed[0])] * 4


def test_several_workers_give_the_same_results(make_study: MakeStudy, finished: Path, tmp_path: Path) -> None:
    run_study(make_study(), tmp_path / "run", workers=Workers(2))
    assert measured(tmp_path / "run") == measured(finished)
    assert checkpoint_files(tmp_path / "run") == checkpoint_files(finished)


def test_a_damaged_output_is_computed_again(make_two: MakeStudy, tmp_path: Path) -> None:
    run_study(make_two(), tmp_path / "first")
    store = open_store()
    (checkpoint,) = store.entries([Kind.CHECKPOINT])
    address = Address.parse(str(checkpoint.address))
    log = store.fetch(address) / "trajectory.json"
    log.chmod(0o644)
    log.write_bytes(log.read_bytes()[:-20])
    run_study(make_two(checkpoints=[0, 1, 2]), tmp_path / "second")
    alone = measured(tmp_path / "second", n_edits=1)
    assert alone == measured(tmp_path / "first", n_edits=1)
    assert [str(one.address) for one in store.entries([Kind.CHECKPOINT])].count(str(address)) == 1
