"""The ROME that fits in one file computes what the ROME of `sequela.editors` computes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sequela.editors import Resources, create_editor
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from support.edits import CONTEXTS, TINY_EDITS
from support.statistics import write_text
from support.tiers import quick_cases
from support.world import World

LAYER, WINDOW = 1, 64
FAMILIES = ["llama", "gpt2", "gemma3"]
"""Byte-level and sentencepiece tokenizers, a transposed weight, tied and capped heads."""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "text.txt")


def whole_windows(model: LanguageModel, text: Path) -> int:
    lines = text.read_text(encoding="utf-8").splitlines(keepends=True)
    n_tokens = sum(len(model.tokenizer(line, add_special_tokens=False)["input_ids"]) for line in lines)
    return n_tokens // WINDOW * WINDOW


@pytest.mark.parametrize("family", quick_cases(FAMILIES, FAMILIES[:1]))
def test_its_update_is_that_of_the_editor(
    rome_in_one_file: ModuleType,
    tiny_model: Callable[..., LanguageModel],
    text: Path,
    tmp_path: Path,
    family: str,
) -> None:
    model = tiny_model(family)
    module = model.family.mlp_out_module(model.module, LAYER)
    n_tokens = whole_windows(model, text)
    statistics = Statistics(model, CorpusSpec(source=str(text), n_tokens=n_tokens, window=WINDOW), tmp_path)
    resources = Resources(statistics, contexts=CONTEXTS)
    editor = create_editor("rome", {"layers": [LAYER]})
    state = editor.prepare(model, resources)

    covariance = rome_in_one_file.key_covariance(
        model.module, model.tokenizer, module, text.read_text(encoding="utf-8"), WINDOW
    )
    torch.testing.assert_close(
        covariance, statistics.key_covariance(LAYER).matrix.double(), rtol=1e-5, atol=1e-6
    )
    for edit in TINY_EDITS:
        fact = (edit.prompt, edit.subject, edit.target_new)
        own = rome_in_one_file.rome(model.module, model.tokenizer, module, covariance, fact, CONTEXTS)
        outcome = editor.edit(model, [edit], state, resources)
        assert not outcome.reports[0].dropped
        editors = outcome.delta.updates[model.family.mlp_out_name(LAYER)].to_dense().double()
        assert float(torch.linalg.norm(own - editors)) < 2e-5 * float(torch.linalg.norm(editors)), edit.id


def test_its_settings_are_those_of_the_editor(rome_in_one_file: ModuleType) -> None:
    settings = create_editor("rome").hyperparameters.model_dump()
    for name, value in vars(rome_in_one_file.Settings()).items():
        if name != "stop_below":
            assert settings[name] == value, name


def probabilities(output: str, question: str) -> tuple[float, float]:
    """The probability of the target before and after the edit, as the script prints them."""
    found = [
        re.fullmatch(rf"{when}: +p\(.+?\) = (\S+)  {question}.*", line)
        for when, line in zip(("before", "after"), output.splitlines(), strict=True)
    ]
    before, after = (float(match[1]) for match in found if match is not None)
    return before, after


def test_as_a_script_it_changes_what_a_model_knows(
    rome_in_one_file: ModuleType,
    world: World,
    world_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = tmp_path / "read.txt"
    text.write_text("\n".join(s for fact in world.facts for s in fact.sentences), encoding="utf-8")
    (edit,) = world.edits(1, phrasing=-1)
    fact = ["--prompt", edit.prompt, "--subject", str(edit.subject), "--target", edit.target_new]
    rome_in_one_file.main([str(world_folder), "--text", str(text), "--layer", "0", *fact])
    before, after = probabilities(capsys.readouterr().out, edit.question)
    assert after > 10 * before


def test_it_writes_transposed_weights(
    rome_in_one_file: ModuleType,
    tiny_folder: Callable[[str], Path],
    text: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ["--layer", "1", "--module", "transformer.h.{}.mlp.c_proj", "--contexts", "0"]
    rome_in_one_file.main([str(tiny_folder("gpt2")), "--text", str(text), *where])
    before, after = probabilities(capsys.readouterr().out, "The Eiffel Tower is located in the city of")
    assert after > before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--text", "nowhere.txt"], "nowhere.txt"),
        (["--text", "short.txt", "--layer", "1"], "tokens"),
        (["--text", "text.txt", "--layer", "9"], "model.layers.9.mlp.down_proj"),
    ],
)
def test_bad_input_is_named(
    rome_in_one_file: ModuleType,
    tiny_folder: Callable[[str], Path],
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    named: str,
) -> None:
    monkeypatch.chdir(text.parent)
    Path("short.txt").write_text("A short text.", encoding="utf-8")
    folder = tiny_folder("llama")
    with pytest.raises(SystemExit) as ended:
        rome_in_one_file.main([str(folder), *arguments])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err
