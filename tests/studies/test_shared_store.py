"""Studies that share a store: what one has made, another takes, and its table is that of an empty store."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequela.editors import create_editor
from sequela.editors.training.stored_network import keep_network
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from sequela.statistics import store as statistics_store
from sequela.store import Address, Kind, open_store
from sequela.studies import Study, run_study
from sequela.studies.workers import Workers
from support.runs import MessageLog, checkpoint_files, edit_records, measured
from support.trainings import train_quickly
from support.world import World

MakeStudy = Callable[..., Study]

ROME = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8}}
FT_M = {"name": "ft-m", "settings": {"num_steps": 30, "lr": 2e-3}}


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


@pytest.mark.parametrize("damaged", [0, 1])
@pytest.mark.parametrize("is_gone", [False, True])
def test_a_checkpoint_is_made_again_although_all_that_was_measured_on_it_is_there(
    make_two: MakeStudy, damaged: int, is_gone: bool, tmp_path: Path
) -> None:
    study = make_two(editors=[FT_M], checkpoints=[0, 1, 2])
    run_study(study, tmp_path / "first")
    store = open_store()
    entry = sorted(store.entries([Kind.CHECKPOINT]), key=lambda one: one.description.created)[damaged]  # type: ignore[union-attr]
    folder = store.fetch(entry.address)
    if is_gone:
        shutil.rmtree(folder.parent)
    else:
        path = folder / "trajectory.json"
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-20])
    result = run_study(study, tmp_path / "second")
    assert result.done == result.planned
    assert measured(tmp_path / "second") == measured(tmp_path / "first")
    assert checkpoint_files(tmp_path / "second") == checkpoint_files(tmp_path / "first")
    assert len(edit_records(tmp_path / "second")) == 2
    assert entry.address in {one.address for one in store.entries([Kind.CHECKPOINT])}


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


WITH_STATISTICS = {"name": "rome", "settings": {"n_contexts": 1, "v_num_grad_steps": 2}}
FEW_TOKENS = {"source": "self", "n_tokens": 640, "window": 64}


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Counts the layers whose statistics are collected."""
    counts: Counter[int] = Counter()
    collect = statistics_store.collect_key_covariances

    def counted(model: Any, corpus: Any, layers: Any, *args: Any) -> Any:
        counts.update(layers)
        return collect(model, corpus, layers, *args)

    monkeypatch.setattr(statistics_store, "collect_key_covariances", counted)
    return counts


def test_a_second_study_collects_no_statistics(
    make_two: MakeStudy, collected: Counter[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(make_two(editors=[WITH_STATISTICS], statistics=FEW_TOKENS), tmp_path / "first")
    assert list(collected.values()) == [1]
    other = {**WITH_STATISTICS, "settings": {**WITH_STATISTICS["settings"], "v_num_grad_steps": 3}}
    second = make_two(editors=[other], statistics=FEW_TOKENS)
    run_study(second, tmp_path / "second")
    assert list(collected.values()) == [1]

    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / "empty"))
    run_study(second, tmp_path / "alone")
    assert list(collected.values()) == [2]
    assert measured(tmp_path / "alone") == measured(tmp_path / "second")
    assert checkpoint_files(tmp_path / "alone") == checkpoint_files(tmp_path / "second")


def test_damaged_statistics_are_named_and_collected_again(
    make_two: MakeStudy, world_model: LanguageModel, collected: Counter[int], tmp_path: Path
) -> None:
    Statistics(world_model, CorpusSpec.model_validate(FEW_TOKENS)).prepare(range(world_model.n_layers))
    store = open_store()
    for entry in list(store.entries([Kind.STATISTICS])):
        for path in store.fetch(entry.address).glob("layer_*.safetensors"):
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1])
    log = MessageLog()
    run_study(make_two(editors=[WITH_STATISTICS], statistics=FEW_TOKENS), tmp_path / "run", log)
    assert sum(collected.values()) == world_model.n_layers + 1
    assert any("are collected again: The object statistics/" in line for line in log.lines)
    assert sum(bool(one.damages) for one in store.verify()) == world_model.n_layers - 1


def test_what_a_run_uses_is_kept_until_its_folder_is_gone(
    make_two: MakeStudy, world_folder: Path, world: World, tmp_path: Path
) -> None:
    mend = {"name": "mend", "settings": {"layers": [1], "rank": 4}}
    trained = train_quickly(create_editor("mend", mend["settings"]), world_folder, world, tmp_path / "mend")
    store = open_store()
    keep_network(trained, store)
    run_study(make_two(editors=[WITH_STATISTICS, mend], statistics=FEW_TOKENS), folder := tmp_path / "first")
    kinds = Counter(one.address.kind for one in store.entries())
    assert kinds[Kind.NETWORK] == 1
    assert kinds[Kind.STATISTICS] == 2  # the layer and the text
    assert list(store.prune(unused=True)) == []
    shutil.rmtree(folder)
    removed = Counter(one.name.partition("/")[0] for one in store.prune(unused=True))
    assert removed["network"] == 1
    assert removed["statistics"] == 2
    assert list(store.entries()) == []
