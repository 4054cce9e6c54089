from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.edits import SOURCES, describe_sources, load_edits


def test_unknown_name_has_near_matches():
    with pytest.raises(UnknownNameError) as caught:
        load_edits("counterfacts")
    assert "counterfact" in caught.value.near
    assert "edit source" in caught.value.message


def test_limit_takes_the_first():
    assert [edit.id for edit in load_edits("builtin", limit=3)] == [
        edit.id for edit in load_edits("builtin")[:3]
    ]
    with pytest.raises(BadInputError, match="100000 were requested"):
        load_edits("builtin", limit=100_000)


def test_error_of_a_source_without_data_names_the_expected_files(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path))
    with pytest.raises(SequelaError) as caught:
        load_edits("counterfact-easyedit")
    assert "not on the hub" in caught.value.message
    assert "counterfact/counterfact-edit.json" in (caught.value.hint or "")


def test_descriptions_give_the_location_of_the_data(monkeypatch, tmp_path):
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    nowhere = {line.name: line for line in describe_sources()}
    assert list(nowhere) == list(SOURCES)
    assert nowhere["builtin"].is_local
    assert nowhere["counterfact"].location == "hub:azhx/counterfact"
    assert not nowhere["counterfact"].is_local
    assert not nowhere["counterfact-easyedit"].is_local
    file = tmp_path / "counterfact" / "counterfact.json.gz"
    file.parent.mkdir()
    file.touch()
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path))
    local = {line.name: line for line in describe_sources()}
    assert local["counterfact"].location == str(file)
    assert local["counterfact"].is_local


@pytest.mark.parametrize("source", ["counterfact", "knowedit"])
def test_error_of_the_hub_without_network_has_a_hint(tmp_path: Path, source: str):
    # In a separate process, because the hub's libraries read their environment at import.
    program = (
        "from sequela.edits import load_edits\n"
        "from sequela.core.errors import SequelaError\n"
        f"try: load_edits({source!r})\n"
        "except SequelaError as error: print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "SEQUELA_DATA"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "Can't load hub:" in done.stdout
    assert "set SEQUELA_DATA" in done.stdout
    assert "'builtin'" in done.stdout


REAL = {
    "counterfact/counterfact_1000_full_schema.json.gz": ("counterfact", 1000, 0),
    "counterfact/easyedit_counterfact-edit.json.gz": ("counterfact-easyedit", 10_000, 0),
    "counterfact/easyedit_counterfact-train.json.gz": ("counterfact-easyedit-train", 10_000, 0),
    "zsre/zsre_mend_eval_portability_gpt4.json": ("zsre", 1037, 0),
    "zsre/zsre_mend_train-1k.json": ("zsre-train", 998, 2),
    "knowedit/wiki_counterfact_test_requests.json.gz": ("knowedit-wiki_counterfact", 839, 0),
    "knowedit/zsre_test_requests.json": ("knowedit-zsre", 1301, 0),
}


@pytest.mark.parametrize("file", REAL)
def test_real_files(real_data: Path, file: str):
    if not (real_data / file).is_file():
        pytest.skip(f"SEQUELA_DATA has no {file}")
    name, loaded, skipped = REAL[file]
    if SOURCES[name].local_file() != real_data / file:
        pytest.skip(f"SEQUELA_DATA has another file for {name}")
    edits = load_edits(name)
    assert (len(edits), len(edits.skipped)) == (loaded, skipped)
    for edit in edits:
        assert edit.prompt.count("{}") == 1


def test_a_path_object_is_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(
        '{"id": "ulm", "prompt": "{} is in", "subject": "Ulm", "target_new": "Peru"}\n', encoding="utf-8"
    )
    assert load_edits(path).edits == load_edits(f"jsonl:{path}").edits
    assert load_edits("jsonl", path).edits == load_edits(path).edits
    with pytest.raises(BadInputError, match="builtin"):
        load_edits(tmp_path / "builtin")
