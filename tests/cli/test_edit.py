"""`sequela edit`, `sequela evaluate` and `sequela stats` on a small model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sequela.api import load_model
from sequela.editors.storage import read_description
from sequela.edits import EditSet, load_edits
from support.commands import Sequela
from support.tiny import tiny_language_model

SETTINGS = {"num_steps": 4}


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(SETTINGS), encoding="utf-8")
    return path


class TestEdit:
    def test_it_reports_each_edit_and_saves_the_delta(
        self, sequela: Sequela, world_folder: Path, edits_file: Path, settings_file: Path, tmp_path: Path
    ) -> None:
        answer = sequela(
            *("edit", "--model", world_folder, "--editor", "ft-m", "--hparams", settings_file),
            *(
                "--edits",
                edits_file,
                "--count",
                2,
                "--output",
                tmp_path / "delta",
                "--device",
                "cpu",
                "--json",
            ),
        )
        assert answer.exit_code == 0
        reported = answer.json
        assert reported["settings"]["num_steps"] == SETTINGS["num_steps"]
        assert len(reported["edits"]) == 2
        assert all("efficacy/free_decoding" in one["success@edit"] for one in reported["edits"])
        description = read_description(tmp_path / "delta")
        assert description.delta.content_hash == reported["delta"]["content_hash"]
        assert description.edits == tuple(one["edit_id"] for one in reported["edits"])

    def test_the_python_interface_gives_the_same_delta(
        self, sequela: Sequela, world_folder: Path, world_edits: EditSet, edits_file: Path, tmp_path: Path
    ) -> None:
        settings = {"mom2_adjustment": False, "v_num_grad_steps": 3}
        (tmp_path / "rome.yaml").write_text(json.dumps(settings), encoding="utf-8")
        contexts = ["{}", f"{world_edits[3].question} {world_edits[3].target_true}. {{}}"]
        (tmp_path / "contexts.txt").write_text("\n".join(contexts), encoding="utf-8")
        answer = sequela(
            *("edit", "--model", world_folder, "--editor", "rome", "--hparams", tmp_path / "rome.yaml"),
            *("--edits", edits_file, "--count", 2, "--contexts", tmp_path / "contexts.txt", "--seed", 3),
            *("--on-bad-edit", "skip", "--device", "cpu", "--json"),
        )
        assert answer.exit_code == 0
        options: dict[str, Any] = {"contexts": contexts, "seed": 3, "on_bad_edit": "skip"}
        model = load_model(str(world_folder), device="cpu")
        edits = load_edits(str(edits_file), limit=2)
        with model.edited("rome", edits, settings=settings, **options) as edited:
            assert edited.delta.content_hash == answer.json["delta"]["content_hash"]
            reports = [report.model_dump(mode="json") for report in edited.reports]
        reported = answer.json["edits"]
        assert [{**one, **report} for one, report in zip(reported, reports, strict=True)] == reported

    def test_a_single_edit_in_a_table(self, sequela: Sequela, world_folder: Path) -> None:
        answer = sequela(
            *("edit", "--model", world_folder, "--editor", "ft-m", "--device", "cpu"),
            *("--subject", "Mira Dolvan", "--prompt", "{} speaks the language", "--target", "Orran"),
        )
        assert answer.exit_code == 0
        assert "Mira Dolvan speaks the language" in answer.stdout

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--subject", "a", "--prompt", "{} is", "--target", " "], "target_new: is empty"),
            (["--subject", "a", "--prompt", "b is", "--target", "c"], "no {} for the subject 'a'"),
            (["--subject", "", "--prompt", "{} is", "--target", "c"], "subject"),
            (["--subject", "a"], "needs --prompt, --target too"),
            (["--subject", "a", "--edits", "builtin"], "not both"),
            (["--edits", "nowhere.jsonl"], "nowhere.jsonl"),
            (["--edits", "builtin", "--count", "100000"], "100000 were requested"),
            (["--hparams", "nowhere.yaml"], "nowhere.yaml can't be read"),
            (["--contexts", "nowhere.txt"], "nowhere.txt can't be read"),
            (["--model", "./nowhere"], "does not exist"),
            (["--count", "0"], "--count"),
        ],
    )
    def test_invalid_input_is_reported(self, sequela: Sequela, arguments: list[str], expected: str) -> None:
        answer = sequela("edit", *arguments)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert expected in answer.stderr
        assert "Traceback" not in answer.stderr

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ('{"num_step": 3}', "Did you mean 'num_steps'? Allowed: preset, layers, num_steps"),
            ("num_steps: many", "num_steps = 'many'"),
            ("- 1", "must hold a table"),
            ("a: [", "is not YAML"),
        ],
    )
    def test_invalid_settings_are_reported(
        self, sequela: Sequela, tmp_path: Path, content: str, expected: str
    ) -> None:
        path = tmp_path / "settings.yaml"
        path.write_text(content, encoding="utf-8")
        answer = sequela("edit", "--editor", "ft-m", "--hparams", path)
        assert answer.exit_code == 2
        assert expected in answer.stderr

    def test_an_invalid_context_is_reported_with_its_line(self, sequela: Sequela, tmp_path: Path) -> None:
        path = tmp_path / "contexts.txt"
        path.write_text("{}\nOnce. {}\nno blank here\n", encoding="utf-8")
        answer = sequela("edit", "--contexts", path)
        assert answer.exit_code == 2
        assert "line 3: 'no blank here'" in answer.stderr

    def test_an_unwritable_folder_is_reported_before_the_model_is_loaded(
        self, sequela: Sequela, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        answer = sequela("edit", "--model", "./nowhere", "--output", tmp_path / "file" / "delta")
        assert answer.exit_code == 2
        assert "Can't write to" in answer.stderr


class TestEvaluate:
    def test_suites_on_a_model_with_and_without_saved_edits(
        self, sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
    ) -> None:
        sequela(
            *("edit", "--model", world_folder, "--editor", "ft-m", "--edits", edits_file),
            *("--output", tmp_path / "delta", "--device", "cpu"),
        )
        command = ("evaluate", world_folder, "--suite", "perplexity", "--device", "cpu", "--json")
        plain, edited = sequela(*command), sequela(*command, "--delta", tmp_path / "delta")
        assert (plain.exit_code, edited.exit_code) == (0, 0)
        values = [
            {one["metric"]: one["value"] for one in answer.json}
            for answer in (plain, edited, sequela(*command))
        ]
        assert values[0] != values[1]
        assert values[0] == values[2]
        assert "perplexity" in sequela(*command[:-1]).stdout

    def test_edits_of_another_model_are_rejected_with_both_fingerprints(
        self, sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
    ) -> None:
        sequela(
            *("edit", "--model", world_folder, "--editor", "ft-m", "--edits", edits_file),
            *("--output", tmp_path / "delta", "--device", "cpu"),
        )
        other = tiny_language_model("gpt2")
        other.module.save_pretrained(tmp_path / "other")
        other.tokenizer.save_pretrained(tmp_path / "other")
        answer = sequela(
            "evaluate", tmp_path / "other", "--suite", "perplexity", "--delta", tmp_path / "delta"
        )
        assert answer.exit_code == 2
        assert read_description(tmp_path / "delta").base_fingerprint in answer.stderr
        assert other.fingerprint in answer.stderr

    def test_missing_edits_are_reported_before_the_model_is_loaded(self, sequela: Sequela) -> None:
        answer = sequela("evaluate", "./nowhere", "--delta", "no-delta")
        assert answer.exit_code == 2
        assert "no-delta holds no saved edits" in answer.stderr


class TestStats:
    def test_they_are_collected_once(self, sequela: Sequela, world_folder: Path) -> None:
        command = ("stats", world_folder, "--tokens", 512, "--layers", "0,2-3", "--device", "cpu")
        first, second = sequela(*command, "--json"), sequela(*command, "--json")
        assert first.exit_code == 0
        assert first.json["layers"] == first.json["collected_now"] == [0, 2, 3]
        assert second.json["collected_now"] == []
        assert Path(first.json["folder"]).is_dir()
        assert "all 3 layers were stored already" in sequela(*command).stdout
        listed = sequela("store", "list", "--kind", "statistics", "--json").json
        assert sorted(str(one["about"].get("layer", "text")) for one in listed) == ["0", "2", "3", "text"]
        assert "4 objects verified" in sequela("store", "verify", "--kind", "statistics").stdout
        (pruned,) = sequela("store", "prune", "--unused", "--dry-run").stdout.splitlines()[-1:]
        assert pruned.startswith("4 objects would be removed")

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--layers", "first"], "Invalid value 'first' of --layers"),
            (["--layers", "7"], "Invalid layer 7"),
            (["--layers", "0,3-2"], "the range 3-2 is empty"),
            (["--source", "nowhere.txt"], "'nowhere.txt' is not a file"),
        ],
    )
    def test_invalid_input_is_reported(
        self, sequela: Sequela, world_folder: Path, arguments: list[str], expected: str
    ) -> None:
        answer = sequela("stats", world_folder, "--device", "cpu", *arguments)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert expected in answer.stderr


def test_of_two_edits_of_one_question_in_a_batch_the_later_counts(
    sequela: Sequela, world_folder: Path, world_edits: EditSet, settings_file: Path, tmp_path: Path
) -> None:
    first = world_edits[0]
    later = first.model_copy(update={"id": "later", "target_new": world_edits[1].target_new})
    (tmp_path / "facts.jsonl").write_text(f"{first.model_dump_json()}\n{later.model_dump_json()}\n", "utf-8")
    answer = sequela(
        *("edit", "--model", world_folder, "--editor", "ft-m", "--hparams", settings_file, "--device", "cpu"),
        *("--edits", tmp_path / "facts.jsonl", "--count", 2, "--batch-size", 2, "--json"),
    )
    assert answer.exit_code == 0, answer.stderr
    one, other = answer.json["edits"]
    assert (one["superseded_by"], other["superseded_by"]) == ("later", None)
    assert "efficacy/free_decoding" not in one["success@edit"]
    assert "efficacy/free_decoding" in other["success@edit"]


def test_dropped_and_superseded_edits_are_counted_and_explained(
    sequela: Sequela,
    world_folder: Path,
    world_edits: EditSet,
    settings_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second edit asks the first one's question again; the third is longer than the model's context."""
    first, second = world_edits[:2]
    again = first.model_copy(update={"id": "again", "target_new": second.target_new})
    long = second.model_copy(update={"id": "long", "prompt": "so " * 300 + second.prompt})
    lines = (one.model_dump_json() for one in (first, again, long))
    (tmp_path / "facts.jsonl").write_text("\n".join(lines), "utf-8")
    command = (
        *("edit", "--model", world_folder, "--editor", "ft-m", "--hparams", settings_file, "--device", "cpu"),
        *("--edits", tmp_path / "facts.jsonl", "--count", 3),
    )
    monkeypatch.setenv("COLUMNS", "400")
    answer = sequela(*command)
    assert answer.exit_code == 0, answer.stderr
    shown = " ".join(answer.stdout.split())
    assert re.search(r"2 of 3 edits were applied; right after each, the model expressed [012] of 2\.", shown)
    assert "1 of 3 edits is superseded by a later edit of the same question" in shown
    assert "superseded by again" in shown
    assert "not applied: prompt and target have" in shown
    assert shown.count("context") == 1
    assert "nan" not in shown
    edits = sequela(*command, "--json").json["edits"]
    assert [one["superseded_by"] for one in edits] == ["again", None, None]
    assert "efficacy/free_decoding" in edits[0]["success@edit"]  # it was measured before the later edit
    assert edits[2]["final_loss"] is None


def test_nothing_is_saved_if_no_edit_was_applied(
    sequela: Sequela, world_folder: Path, world_edits: EditSet, settings_file: Path, tmp_path: Path
) -> None:
    long = world_edits[0].model_copy(update={"prompt": "so " * 300 + world_edits[0].prompt})
    (tmp_path / "facts.jsonl").write_text(long.model_dump_json(), "utf-8")
    answer = sequela(
        *("edit", "--model", world_folder, "--editor", "ft-m", "--hparams", settings_file, "--device", "cpu"),
        *("--edits", tmp_path / "facts.jsonl", "--output", tmp_path / "saved"),
    )
    assert answer.exit_code == 0, answer.stderr
    assert "no edit was applied" in " ".join(answer.stdout.split())
    assert not (tmp_path / "saved" / "edits.json").exists()
