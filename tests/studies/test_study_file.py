"""Study files: their schema, and the error messages for invalid ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.studies import Study, read_study, study_from_text
from sequela.studies.study_file import check_device

BASE = "name: x\nmodels: [m]\n"
ROME = BASE + "editors: [rome]\n"


def error_of(text: str) -> str:
    with pytest.raises(BadInputError) as caught:
        study_from_text(text, "my.yaml")
    return str(caught.value)


def test_bare_names_have_default_settings() -> None:
    study = study_from_text(ROME + "suites: [builtin, perplexity]\n", "my.yaml")
    assert [editor.name for editor in study.editors] == ["rome"]
    assert [(suite.name, suite.options) for suite in study.suites] == [("builtin", {}), ("perplexity", {})]


def test_options_of_a_suite_may_be_flat_or_nested() -> None:
    beside = study_from_text(ROME + "suites: [{name: builtin, limit: 3}]\n", "my.yaml")
    below = study_from_text(ROME + "suites: [{name: builtin, options: {limit: 3}}]\n", "my.yaml")
    assert beside == below
    assert beside.suites[0].options == {"limit": 3}


def test_checkpoints_are_sorted_and_start_with_the_unedited_model() -> None:
    study = study_from_text(ROME + "checkpoints: [5, 1, 5]\n", "my.yaml")
    assert study.checkpoints == (0, 1, 5)
    assert study.n_edits == 5


def test_a_study_round_trips(tmp_path: Path) -> None:
    study = study_from_text(ROME + "suites: [{name: builtin, limit: 3}]\n", "my.yaml")
    assert Study.model_validate(study.model_dump(mode="json")) == study
    path = tmp_path / "study.yaml"
    path.write_text(ROME, encoding="utf-8")
    assert read_study(path).content_hash == study_from_text(ROME, "other").content_hash


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (ROME + "\nchekpoints: [1]\n", 5, ["'chekpoints'", "'checkpoints'", "Allowed: alarms, checkpoints"]),
        (
            ROME + "edits:\n  sorce: a\n",
            5,
            ["'edits.sorce'", "'source'", "Allowed: count, file, samples, source."],
        ),
        (ROME + "statistics:\n  tokens: 3\n", 5, ["'statistics.tokens'", "'n_tokens'"]),
        (
            BASE + "editors:\n  - name: rome\n    setings: {v_lr: 1}\n",
            5,
            ["'editors.1.setings'", "'settings'", "Allowed: batch_size, name, settings."],
        ),
        (
            BASE + "editors:\n  - name: rome\n    settings:\n      v_lr: 1\n      layer: [3]\n",
            7,
            ["'layer'", "'layers'", "Allowed: preset, v_num_grad_steps"],
        ),
        (
            ROME + "suites:\n  - perplexity\n  - name: builtin\n    limt: 3\n",
            7,
            ["'limt'", "Allowed: limit, categories"],
        ),
    ],
)
def test_an_unknown_key_is_reported_with_its_line_and_the_allowed_keys(
    text: str, line: int, expected: list[str]
) -> None:
    error = error_of(text)
    assert f"my.yaml, line {line}: " in error
    for piece in expected:
        assert piece in error


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (BASE + "editors: rome\n", 3, "editors: expected a list (given: 'rome')"),
        (ROME + "checkpoints: 3\n", 4, "checkpoints: expected a list (given: 3)"),
        (ROME + "checkpoints:\n  - 0\n  - many\n", 6, "expected a whole number (given: 'many')"),
        (ROME + "device: 3\n", 4, "device: expected a text (given: 3)"),
        (ROME + "device: cpu:9\n", 4, "Unknown device 'cpu:9'"),
        (ROME + "device_map: disc\n", 4, "'disc' is no device"),
        (ROME + "device_map: {model.layers.0: cpu:9}\n", 4, "'cpu:9' is no device"),
        (ROME + "device_map: disk\ndevice: cpu\n", 4, "either `device` or `device_map`"),
        (ROME + "seed: x\n", 4, "seed: expected a whole number (given: 'x')"),
        (ROME + "alarms: {every: -1}\n", 4, "alarms.every: expected at least 0 (given: -1)"),
        (ROME + "max_thinking_tokens: 99999999\n", 4, "expected at most 1048576"),
        (BASE + "editors:\n  - name: rome\n    settings:\n      v_lr: [1]\n", 6, "expected a number"),
        (ROME + "suites:\n  - name: builtin\n    limit: x\n", 6, "expected a whole number"),
        (ROME + "edits: 3\n", 4, "edits: expected a table of keys and values"),
        (ROME + "dtype: float8\n", 4, "'float32', 'bfloat16' or 'float16'"),
        (ROME + "memory: much\n", 4, "memory: expected a size such as 4GiB (given: 'much')"),
        (ROME + "memory: 4GiBs\n", 4, "memory: expected a size such as 4GiB (given: '4GiBs')"),
        (ROME + "checkpoints: [-1, 2]\n", 4, "can't be negative"),
        (ROME + "order_seeds: [1.5]\n", 4, "order_seeds.1"),
        (BASE + "editors: []\n", 3, "editors: the list is empty"),
        ("name: a/b\nmodels: [m]\neditors: [rome]\n", 1, "(given: 'a/b')"),
        (BASE + "editors:\n  - name: rome\n    settings:\n      v_lr: fast\n", 6, "v_lr = 'fast'"),
        (ROME + "suites:\n  - name: builtin\n    limit: 0\n", 6, "limit = 0"),
    ],
)
def test_an_invalid_value_is_reported_with_its_line(text: str, line: int, expected: str) -> None:
    error = error_of(text)
    assert f"my.yaml, line {line}: " in error
    assert expected in error


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        (BASE + "editors:\n  - ft-m\n  - romee\n", 5, "'rome'"),
        (ROME + "suites: [biltin]\n", 4, "'builtin'"),
    ],
)
def test_unknown_names_are_reported_with_their_line_and_near_matches(text: str, line: int, near: str) -> None:
    error = error_of(text)
    assert error.startswith(f"my.yaml, line {line}: ")
    assert f"Did you mean {near}?" in error


def test_all_missing_keys_are_reported_at_once() -> None:
    error = error_of("seed: 1\n")
    for key in ("name", "models", "editors"):
        assert f"the key {key!r} is missing" in error


def test_an_invalid_item_is_not_also_reported_as_an_empty_list() -> None:
    assert "empty" not in error_of(BASE + "editors:\n  - {name: rome, sttings: {}}\n")


@pytest.mark.parametrize("key", ["editors", "models"])
def test_a_duplicate_key_is_rejected(key: str) -> None:
    error = error_of(ROME + f"{key}: [other]\n")
    assert error.startswith(f"my.yaml, line 4: the key {key!r} is already defined in line")


@pytest.mark.parametrize("number", ["-1", str(2**63), str(2**64), "0.5", "a", "null", "[1]"])
def test_the_number_of_a_sample_is_a_whole_number_of_64_bits_from_0(number: str) -> None:
    assert "my.yaml, line 4: edits.samples.2: " in error_of(
        ROME + f"edits: {{count: 30, samples: [1, {number}]}}\n"
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("order_seeds: [1, 1]", "order_seeds has duplicate entries"),
        ("checkpoints: [0]", "no checkpoint after an edit"),
        ("edits: {count: 30, samples: [4, 2, 4]}", "line 4: edits.samples: has duplicate entries"),
        ("edits: {samples: [0]}", "line 4: edits: `samples` needs `count`"),
        ("edits:\n  count: 30\n  samples: []", "line 6: edits.samples: the list is empty"),
        ("edits:\n  samples: [3]\n  count: 9999", "line 6: edits.count = 9999 needs 9999 edits"),
        ("edits: {count: 329, samples: [0, 1]}", "line 4: edits.count = 329 is the number of all edits"),
        ("edits: {count: 3, samples: [0]}\ncheckpoints: [0, 5]", "edits.count is 3"),
        ("edits: {count: 3}\ncheckpoints: [0, 5]", "checkpoint 5 needs 5 edits; edits.count is 3"),
        (
            "edits: {count: 3}",
            "checkpoint 10, one of the default `checkpoints: [0, 1, 5, 10]`, needs 10 edits; "
            "edits.count is 3; set `checkpoints`, such as [0, 3]",
        ),
    ],
)
def test_inconsistent_values_are_rejected(lines: str, expected: str) -> None:
    assert expected in error_of(ROME + lines + "\n")


def test_a_default_checkpoint_that_the_source_is_too_short_for_is_called_a_default(tmp_path: Path) -> None:
    line = {"subject": "Karsk", "prompt": "{} is in", "target_new": "Ulm"}
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"id": str(n), **line}) + "\n" for n in range(5)), encoding="utf-8")
    error = error_of(ROME + f"edits: {{source: {path}}}\n")
    assert (
        "line 4: checkpoint 10, one of the default `checkpoints: [0, 1, 5, 10]`, needs 10 edits, but" in error
    )
    assert "has 5.\nSet `checkpoints`, such as `checkpoints: [0, 5]`, or choose another source." in error


def test_checkpoints_inside_a_batch_are_rejected_but_the_last_batch_may_be_short() -> None:
    memit = BASE + "editors: [{name: memit, batch_size: 5}]\n"
    assert "checkpoint 3 falls inside a batch: memit applies 5" in error_of(
        memit + "checkpoints: [0, 3, 5]\n"
    )
    assert "checkpoint 1, one of the default `checkpoints: [0, 1, 5, 10]`, falls inside" in error_of(memit)
    assert study_from_text(memit + "checkpoints: [0, 5, 7]\n", "my.yaml").n_edits == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a study is a table"),
        ("- a\n- b\n", "a study is a table"),
        ("name: [\n", "this is not YAML"),
        ("name: x\n\tmodels: y\n", "my.yaml, line 2: this is not YAML"),
    ],
)
def test_text_that_is_no_table_is_rejected(text: str, expected: str) -> None:
    assert expected in error_of(text)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"missing\.yaml can't be read"):
        read_study(tmp_path / "missing.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="is not UTF-8 text"):
        read_study(binary)


@pytest.mark.parametrize(
    ("kind", "entries", "line"), [("editors", "[rome, ft-m, rome]", 4), ("suites", "[builtin, builtin]", 5)]
)
def test_an_entry_given_twice_is_reported_with_its_line(kind: str, entries: str, line: int) -> None:
    lines = {"name": "x", "models": "[m]", "edits": "{source: builtin}", "editors": "[memit]", "suites": "[]"}
    lines["models"] = "[smollm2-135m-instruct]"
    text = "\n".join(f"{key}: {value}" for key, value in {**lines, kind: entries}.items())
    with pytest.raises(BadInputError, match=rf"s.yaml, line {line}: The study has \w+ twice"):
        study_from_text(text + "\ncheckpoints: [0, 1]\n", "s.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 9223372036854775808", "line 4: seed: a number of more than 63 bits"),
        ("order_seeds: [1, -9223372036854775809]", "line 4: order_seeds.2: a number of more than 63 bits"),
        ("memory: inf", "line 4: memory: expected a size"),
        ("memory: 1e999", "line 4: memory: expected a size"),
        (f"memory: {'9' * 400}GiB", "line 4: memory: "),
        (f"memory: '{'1' * 400}'", "line 4: memory: the size is too large"),
        ("statistics: {n_tokens: 1000000000000}", "line 4: statistics.n_tokens: "),
        ("statistics: {source: ~nobody-at-all/x}", "line 4: '~nobody-at-all/x' is not a path"),
        ("edits: {source: jsonl, file: ~nobody-at-all/x}", "line 4: '~nobody-at-all/x' is not a path"),
        ('edits: {source: jsonl, file: "a\\0b"}', "line 4: the field 'edits.file' has a NUL character"),
        ("suites: [~nobody-at-all/x.yaml]", "line 4: '~nobody-at-all/x.yaml' is not a path"),
        ('suites: ["a\\0b"]', "line 4: the field 'suites.1' has a NUL character"),
        ('device: "\\uD83D"', "line 4: the field 'device' has half of a surrogate pair"),
        ("suites: [{name: builtin, limit: 99999999999}]", "line 4: Invalid option limit"),
        ("edit_quality: {max_new_tokens: 1000000000000}", "line 4: edit_quality.max_new_tokens: "),
        ("alarms: {every: 1, stop_when: perplexity > 1e999x}", "is not finite"),
        ("on_bad_edit: {relative_norm: 1e999}", "line 4: on_bad_edit.relative_norm: "),
        ("checkpoints: &a [1, *a]", "line 4: this value contains itself"),
    ],
)
def test_a_number_or_path_that_nothing_can_use_is_reported(text: str, expected: str) -> None:
    message = error_of(f"{ROME}{text}\n")
    assert message.startswith("my.yaml, line 4: ")
    assert expected in message
    assert len(message) < 500


@pytest.mark.parametrize("value", ["1e999", ".inf", ".nan", "nan", "-1e999"])
def test_a_setting_that_is_not_finite_is_reported(value: str) -> None:
    message = error_of(f"{BASE}editors: [{{name: rome, settings: {{v_lr: {value}}}}}]\n")
    assert "my.yaml, line 3" in message
    assert "finite" in message


def test_a_model_whose_name_is_no_path_is_reported() -> None:
    for name, problem in (("~nobody-at-all/x", "is not a path"), ("a" * 5000, "File name too long")):
        assert problem in error_of(f"name: x\nmodels: [{name}]\neditors: [rome]\n")


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("editors:\n  - {name: rome, v_lr: 1}\n", "'settings.v_lr'"),
        ("editors:\n  - {name: memit+rect, keeep: 1, rect: {keep: 0.4}}\n", "'settings.rect'"),
        ("editors:\n  - {name: rome, batchsize: 1}\n", "'batch_size'"),
        ("editors:\n  - {name: romee, v_lr: 1}\n", None),
        ("editors: [rome]\nbatch_size: 1\n", "'editors.batch_size'"),
        ("editors: [rome]\nstop_when: perplexity > 3x\n", "'alarms.stop_when'"),
        ("editors: [rome]\nedits: {order_seeds: [1]}\n", "'order_seeds'"),
        ("editors: [rome]\nzzz: 1\n", None),
        ("editors: [{name: [1], zzz: 1}]\n", None),
    ],
)
def test_a_key_in_the_wrong_place_is_pointed_to_its_place(text: str, guess: str | None) -> None:
    error = error_of(BASE + text)
    assert "unknown key" in error
    assert (f"Did you mean {guess}?" in error) if guess else ("Did you mean" not in error)


@pytest.mark.parametrize("editor", ["romee", "zzz", "memit+recct"])
def test_an_unknown_method_is_called_a_method(editor: str) -> None:
    assert "nknown editor" not in error_of(BASE + f"editors: [{editor}]\n")


def test_a_device_that_is_not_here_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(ROME + "device: cuda:77\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"study\.yaml, line 4: device: The device 'cuda:77' is not av"):
        check_device(read_study(path), path)
    path.write_text(ROME + "device: cpu:0\n", encoding="utf-8")
    check_device(read_study(path), path)


def test_a_path_may_be_a_text_or_a_path_object(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(ROME, encoding="utf-8")
    assert read_study(str(path)) == read_study(path)
    with pytest.raises(BadInputError, match="`path` = 3 is not the path"):
        read_study(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines",
    [
        "checkpoints: [0, true]",
        "seed: true",
        "memory: true",
        "evaluation_template: chat\nmax_thinking_tokens: true",
        "on_bad_edit: {relative_norm: true}",
        "alarms: {every: true}",
        "edit_quality: {max_neighborhood: true}",
        "statistics: {n_tokens: true}",
        "edits: {source: builtin, count: true}",
        "edits: {count: 30, samples: [0, true]}",
        "suites: [{name: builtin, limit: true}]",
        "editors: [{name: rome, settings: {v_lr: true}}]",
    ],
)
def test_a_truth_value_is_no_number(lines: str) -> None:
    start = BASE if lines.startswith("editors") else ROME
    assert "expected a number, not true or false" in error_of(f"{start}{lines}\n")
