"""The example plug-in, installed as pip would leave it: listed, used in a run, and missed when it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from typer.testing import CliRunner

from sequela.cli.main import app
from sequela.core.errors import BadInputError
from sequela.core.registry import SEQUELA
from sequela.results import UNEDITED, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.bisect import bisect_run
from sequela.studies.plugins import REGISTRIES
from sequela.studies.rescoring import rescore_run
from support.plugins import EXAMPLE, Install, declared_entry_points, installer
from support.tokenizers import byte_level

PACKAGE = "sequela-example-plugin 1.0.0"


@pytest.fixture(scope="module")
def olmo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model of a family that only the plug-in describes."""
    tokenizer, folder = byte_level(), tmp_path_factory.mktemp("olmo")
    config = AutoConfig.for_model(
        "olmo",
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def finished(olmo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which everything comes from the plug-in; the plug-in is gone again."""
    study = Study.model_validate(
        {
            "name": "plugin",
            "models": [str(olmo)],
            "editors": [{"name": "doubling+halving", "settings": {"layer": 1, "halving": {"share": 0.25}}}],
            "edits": {"source": "example-rivers"},
            "checkpoints": [0, 1, 2],
            "suites": [{"name": "answer-length"}, {"name": "example-rivers"}],
            "edit_quality": {"metrics": ["asked_politely"], "max_new_tokens": 4},
            "engine": "plain",
            "device": "cpu",
        }
    )
    folder = tmp_path_factory.mktemp("run") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder.parent / "cache"))
        for install in installer(folder.parent, patch):
            install(declared_entry_points())
            run_study(study, folder)
    return folder


def test_the_example_brings_one_of_each_kind_in_under_250_lines() -> None:
    assert set(declared_entry_points()) == {registry.group for registry in REGISTRIES}
    files = [one for one in EXAMPLE.rglob("*") if one.is_file() and one.suffix != ".pyc"]
    assert sum(len(one.read_text(encoding="utf-8").splitlines()) for one in files) < 250


def test_everything_it_brings_is_listed_with_its_origin(install_plugin: Install) -> None:
    install_plugin(declared_entry_points())
    for registry in REGISTRIES:
        (one,) = (one for one in registry.listed() if one.origin != SEQUELA)
        assert (str(one.origin), one.problem) == (PACKAGE, "")


@pytest.mark.parametrize("command", ["methods", "models", "tasks", "edits"])
def test_listings_show_the_package(
    install_plugin: Install, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    install_plugin(declared_entry_points())
    assert f"from {PACKAGE}" in CliRunner().invoke(app, [command]).stdout


def test_a_run_measures_with_what_the_plug_in_brings(finished: Path) -> None:
    with open_store(finished) as store:
        found = store.measurements()
    assert {one.editor for one in found} == {UNEDITED, "doubling+halving"}
    assert {one.suite for one in found} == {"edit_quality", "answer-length", "example-rivers"}
    assert {one.protocol for one in found if one.metric == "asked_politely"} == {
        "free_decoding",
        "teacher_forced",
    }
    assert all(one.value is not None for one in found if one.suite == "answer-length")


def test_the_manifest_says_where_everything_came_from(finished: Path) -> None:
    plugins = read_manifest(finished).plugins
    assert {(one.kind, one.name) for one in plugins} == {
        ("editor", "doubling"),
        ("regularizer", "halving"),
        ("suite", "answer-length"),
        ("benchmark", "example-rivers"),
        ("metric of edit quality", "asked_politely"),
        ("edit source", "example-rivers"),
        ("family", "olmo"),
        ("engine", "plain"),
    }
    assert {f"{one.distribution} {one.version}" for one in plugins} == {PACKAGE}
    components = read_manifest(finished).components
    assert {(one.kind, one.name) for one in plugins} == {
        (one.kind, one.name) for one in components if one.distribution != "sequela"
    }


def test_without_the_package_results_are_shown_with_its_name(finished: Path) -> None:
    answer = CliRunner().invoke(app, ["results", str(finished)])
    assert answer.exit_code == 0
    assert f"The method doubling is from {PACKAGE}." in answer.stdout


def test_without_the_package_what_needs_it_says_what_to_install(finished: Path) -> None:
    with pytest.raises(BadInputError, match="is not installed") as caught:
        bisect_run(finished, "perplexity > 2x")
    assert PACKAGE in caught.value.message
    assert caught.value.hint == "pip install 'sequela-example-plugin==1.0.0'"
    with pytest.raises(BadInputError, match=r"'asked_politely'|'example-rivers'"):
        rescore_run(finished)


def test_another_version_of_the_package_is_rejected_if_edits_are_reapplied(
    finished: Path, install_plugin: Install
) -> None:
    install_plugin(declared_entry_points(), version="1.1.0")
    with pytest.raises(BadInputError, match=r"the installed one is from sequela-example-plugin 1\.1\.0"):
        bisect_run(finished, "perplexity > 2x")


def test_answers_are_scored_again_by_the_plug_ins_own_rule(finished: Path, install_plugin: Install) -> None:
    install_plugin(declared_entry_points(), version="1.1.0")
    assert [pair for one in rescore_run(finished).done for pair in one.changed] == []
