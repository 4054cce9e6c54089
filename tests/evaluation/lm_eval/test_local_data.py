from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.catalog import benchmark_names, files_of
from sequela.evaluation.lm_eval.listing import describe_benchmarks
from sequela.evaluation.lm_eval.local_data import LocalData, local_path, read_items, read_local
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.task_file import TaskFile


def file_of(benchmark: str) -> TaskFile:
    return files_of(benchmark)[0]


def changed(record: Any, value: object, *path: str | int) -> Any:
    """Returns a CommonsenseQA record with a part of its question changed."""
    copied = copy.deepcopy(record)
    inner = copied["question"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copied


def test_without_a_folder_nothing_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    assert [local_path(file_of(name)) for name in benchmark_names()] == [None] * 7
    with pytest.raises(BadInputError, match="no 'gsm8k"):
        read_local(file_of("gsm8k"))
    assert not any(one.available for one in describe_benchmarks())
    assert {one.missing for one in describe_benchmarks()} == {"its data are not in SEQUELA_DATA"}


def test_the_listing_counts_local_items(small_data: Path) -> None:
    (small_data / "gsm8k" / "test.jsonl").unlink()
    for part in (small_data / "mmlu").glob("*/*_*.csv"):  # the listing reads all 57 subjects
        part.unlink()
    (small_data / "mmlu" / "test").rmdir()
    (small_data / "bbh" / "tasks" / "navigate.json").unlink()
    (small_data / "bbh" / "tasks" / "word_sorting.json").unlink()
    (small_data / "bbh" / "tasks").rmdir()
    here = {(one.name, one.protocol, one.task): one.here for one in describe_benchmarks()}
    assert here == {
        ("mmlu", "generation", "mmlu@1"): None,
        ("mmlu", "letters", "mmlu@1"): None,
        ("mmlu", "answers", "mmlu@1"): None,
        ("bbh", "generation", "bbh@1"): None,
        ("gsm8k", "generation", "gsm8k@1"): None,
        ("commonsenseqa", "generation", "commonsenseqa@1"): 6,
        ("commonsenseqa", "letters", "commonsenseqa@1"): 6,
        ("commonsenseqa", "answers", "commonsenseqa@1"): 6,
        ("triviaqa", "generation", "triviaqa@1"): 4,
        ("truthfulqa", "loglikelihood", "truthfulqa_mc1@1"): 6,
        ("truthfulqa", "loglikelihood", "truthfulqa_mc2@1"): 6,
        ("toxigen", "loglikelihood", "toxigen@1"): 9,
    }


def test_the_listing_has_the_scores_of_guessing(small_data: Path) -> None:
    for part in ("mmlu/test", "bbh/tasks"):
        (small_data / part).rename(small_data / "elsewhere" if part == "mmlu/test" else small_data / "gone")
    reported = {(one.task, one.protocol): one for one in describe_benchmarks()}
    toxigen = reported["toxigen@1", "loglikelihood"]
    assert toxigen.constants == {"No": pytest.approx(5 / 9), "Yes": pytest.approx(4 / 9)}
    assert toxigen.missing == "local split of 9 rows, not the official one of 940"
    assert reported["commonsenseqa@1", "letters"].constants["A"] == pytest.approx(2 / 6)
    assert reported["commonsenseqa@1", "answers"].constants == {}
    mc1, mc2 = reported["truthfulqa_mc1@1", "loglikelihood"], reported["truthfulqa_mc2@1", "loglikelihood"]
    assert mc1.chance == pytest.approx(1 / 3)
    assert mc1.constants == {"the shortest choice": 0.0}
    assert mc2.chance == pytest.approx(2 / 4)


def test_mmlu_rows(small_data: Path) -> None:
    data = read_local(file_of("mmlu"), "anatomy")
    assert {split: len(rows) for split, rows in data.splits.items()} == {"dev": 5, "test": 6}
    assert data.splits["test"][1] == {
        "question": 'Where in anatomy is "part 1" found?',
        "choices": ["the top of 1", "the edge, or rim of 1", "the middle of 1", "the foot of 1"],
        "answer": 0,
    }


def test_commonsense_rows_and_the_number_of_few_shot_examples(small_data: Path) -> None:
    data = read_local(file_of("commonsenseqa"))
    assert {split: len(rows) for split, rows in data.splits.items()} == {"validation": 6, "train": 7}
    row = data.splits["validation"][3]
    assert (row["question"], row["answerKey"]) == ("Where is spoon 3?", "D")
    assert row["choices"]["text"][1] == "on the moon"


def test_all_aliases_of_an_answer_are_kept(small_data: Path) -> None:
    data = read_local(file_of("triviaqa"))
    assert data.splits["validation"][2]["answer"]["aliases"] == ["Ana 2", "Miss Ana 2"]
    assert data.departure == "local split of 4 rows, not the official one of 17944"


def test_labels_are_in_the_order_of_the_choices(small_data: Path) -> None:
    for i, row in enumerate(read_local(file_of("truthfulqa")).splits["validation"]):
        right = row["mc1_targets"]["labels"].index(1)
        assert row["mc1_targets"]["choices"][right] == f"Bread number {i} falls as it likes."
        assert sum(row["mc2_targets"]["labels"]) == 2


def test_the_official_toxigen_split_is_recognized_by_its_size(small_data: Path) -> None:
    assert read_local(file_of("toxigen")).departure == "local split of 9 rows, not the official one of 940"
    path = small_data / "toxigen" / "test.jsonl"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8") * 940, encoding="utf-8")
    assert read_local(file_of("toxigen")).departure == ""


COMMON = '{"question": {"stem": "s", "choices": [{"label": "A", "text": "t"}]}, "answerKey": "A"}'
TARGETS = {"mc1_targets": {"a": 1, "b": 1}, "mc2_targets": {"a": 1, "b": 0}}


@pytest.mark.parametrize(
    ("task", "file", "text", "message"),
    [
        (
            "gsm8k",
            "gsm8k/test.jsonl",
            '{"question": "q", "answer": "#### 1"}\n{"question": "q"}\n',
            "line 2: the fi",
        ),
        ("gsm8k", "gsm8k/test.jsonl", "{\n", "line 1: not JSON"),
        ("toxigen", "toxigen/test.jsonl", '{"text": "t", "toxicity_ai": "1"}', "toxicity_ai"),
        ("toxigen", "toxigen/test.jsonl", "[]", "line 1: expected an object"),
        ("truthfulqa", "truthfulqa/mc_task.json", "{}", "expected a list"),
        (
            "truthfulqa",
            "truthfulqa/mc_task.json",
            json.dumps([{"question": "q", **TARGETS}]),
            "record 1: mc1",
        ),
        ("mmlu", "mmlu/test/anatomy_test.csv", "q,a\n", "the header is"),
        (
            "mmlu",
            "mmlu/test/anatomy_test.csv",
            "question,choice0,choice1,choice2,choice3,answer\nq,a,b,c,d,1\nq,a,b,c,d,A\n",
            "record 2",
        ),
        (
            "mmlu",
            "mmlu/test/anatomy_test.csv",
            "question,choice0,choice1,choice2,choice3,answer\nq,a\n",
            "six|6",
        ),
        ("bbh", "bbh/tasks/navigate.json", "[]", "examples"),
        ("bbh", "bbh/tasks/navigate.json", '{"examples": [{"input": "i"}]}', "record 1: the field 'target'"),
        (
            "commonsenseqa",
            "commonsenseqa/dev_rand_split.jsonl",
            COMMON,
            "line 1: expected the choices A to E",
        ),
        ("triviaqa", "triviaqa/questions.csv", "question,answer\nq, ; \n", "record 1: there is no answer"),
    ],
)
def test_invalid_records_are_named(small_data: Path, task: str, file: str, text: str, message: str) -> None:
    (small_data / file).write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_local(file_of(task), "navigate" if task == "bbh" else "anatomy")


@pytest.mark.parametrize(
    ("task", "file"),
    [("mmlu", "mmlu/dev/anatomy_dev.csv"), ("commonsenseqa", "commonsenseqa/train_rand_split.jsonl.gz")],
)
def test_a_missing_file_of_a_subject_is_named(small_data: Path, task: str, file: str) -> None:
    (small_data / file).unlink()
    with pytest.raises(BadInputError, match=f"{Path(file.removesuffix('.gz')).name} is missing"):
        read_local(file_of(task), "anatomy")


def test_items_of_a_users_own_task(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    with pytest.raises(BadInputError, match="missing"):
        read_items(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="no items"):
        read_items(path)
    path.write_text('{"q": 1}\n[2]\n', encoding="utf-8")
    with pytest.raises(BadInputError, match="line 2: expected an object"):
        read_items(path)
    path.write_text('{"q": 1}\n\n{"q": 2}\n', encoding="utf-8")
    assert read_items(path) == [{"q": 1}, {"q": 2}]


def test_local_data_have_no_departure_by_default() -> None:
    assert LocalData({"test": []}).departure == ""


def write(path: Path, content: bytes | str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_byte_order_mark_is_read_over(small_data: Path) -> None:
    for name, file in (("gsm8k", "gsm8k/test.jsonl"), ("mmlu", "mmlu/test/anatomy_test.csv")):
        plain = read_local(file_of(name), "anatomy")
        write(small_data / file, b"\xef\xbb\xbf" + (small_data / file).read_bytes())
        assert read_local(file_of(name), "anatomy") == plain


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gsm8k", "gsm8k/test.jsonl"),
        ("mmlu", "mmlu/test/anatomy_test.csv"),
        ("truthfulqa", "truthfulqa/mc_task.json"),
    ],
)
def test_another_encoding_is_rejected_by_name(name: str, file: str, encoding: str, small_data: Path) -> None:
    text = (small_data / file).read_text(encoding="utf-8").replace("part", "pärt").replace("pens", "püns")
    write(small_data / file, text.replace("bread", "bröd").encode(encoding))
    with pytest.raises(BadInputError, match=rf"{Path(file).name} is not UTF-8"):
        read_local(file_of(name), "anatomy")


@pytest.mark.parametrize("left_out", [1, 6, 30])
def test_a_cut_archive_is_rejected_by_name(left_out: int, small_data: Path) -> None:
    path = small_data / "gsm8k" / "test.jsonl"
    write(path.with_name("test.jsonl.gz"), gzip.compress(path.read_bytes())[:-left_out])
    path.unlink()
    with pytest.raises(BadInputError, match=r"test\.jsonl\.gz: the compressed data are cut or damaged"):
        read_local(file_of("gsm8k"))


def test_a_field_longer_than_csv_allows_is_rejected_by_record(small_data: Path) -> None:
    path = small_data / "mmlu" / "test" / "anatomy_test.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    write(path, "".join([*lines[:2], f"{'x' * 200_000},a,b,c,d,1\n", *lines[2:]]))
    with pytest.raises(BadInputError, match=r"anatomy_test\.csv, record 2: not CSV: field larger"):
        read_local(file_of("mmlu"), "anatomy")


@pytest.mark.parametrize("answer", ["four, no mark", "four #### ", "#### four", "#### 4 or 5", "4"])
def test_a_gold_answer_without_a_number_is_rejected(answer: str, small_data: Path) -> None:
    path = small_data / "gsm8k" / "test.jsonl"
    write(path, path.read_text() + json.dumps({"question": "2+2?", "answer": answer}) + "\n")
    with pytest.raises(BadInputError, match=r"test\.jsonl, line 6: answer: expected the right number"):
        read_local(file_of("gsm8k"))


@pytest.mark.parametrize("answer", ["#### 4", "So.\n#### -1,234.5", "#### $18", "a #### b #### 1,000 "])
def test_gold_answers_with_a_number_are_read(answer: str, small_data: Path) -> None:
    write(small_data / "gsm8k" / "test.jsonl", json.dumps({"question": "2+2?", "answer": answer}) + "\n")
    assert read_local(file_of("gsm8k")).splits["test"][0]["answer"] == answer


@pytest.mark.parametrize("value", ["NaN", "1e999", "-Infinity", "true", '"1"', "null", "[1]"])
def test_a_rating_that_is_no_finite_number_is_rejected(value: str, small_data: Path) -> None:
    line = '{"text": "t", "toxicity_ai": %s, "toxicity_human": 1}\n' % value  # noqa: UP031
    write(small_data / "toxigen" / "test.jsonl", line)
    with pytest.raises(BadInputError, match=r"test\.jsonl, line 1: the field 'toxicity_ai' is .* finite"):
        read_local(file_of("toxigen"))


def test_own_items_have_finite_numbers(tmp_path: Path) -> None:
    write(tmp_path / "items.jsonl", '{"a": {"b": [1, 2]}, "c": true}\n{"a": {"b": [1, NaN]}, "c": true}\n')
    with pytest.raises(BadInputError, match=r"items\.jsonl, line 2: the field 'a\.b\.2' is nan, which"):
        read_items(tmp_path / "items.jsonl")


TOXIC = {"text": "t", "toxicity_ai": 1, "toxicity_human": 1.5}
TRUE = {"question": "q", "mc1_targets": {"a": 1, "b": 0}, "mc2_targets": {"a": 1, "b": 0}}
SPOON: dict[str, Any] = {
    "question": {"stem": "s", "choices": [{"label": one, "text": one.lower()} for one in "ABCDE"]},
    "answerKey": "A",
}
MMLU = "question,choice0,choice1,choice2,choice3,answer\n"


@pytest.mark.parametrize(
    ("task", "file", "text", "message"),
    [
        ("gsm8k", "gsm8k/test.jsonl", {"question": " ", "answer": "#### 1"}, "line 1: .*'question' is empty"),
        ("bbh", "bbh/tasks/navigate.json", {"examples": [{"input": "i", "target": ""}]}, "'target' is empty"),
        ("bbh", "bbh/tasks/navigate.json", {"examples": [{"input": "", "target": "t"}]}, "'input' is empty"),
        ("mmlu", "mmlu/test/anatomy_test.csv", MMLU + ",a,b,c,d,1\n", "record 1: .*'question' is empty"),
        ("mmlu", "mmlu/dev/anatomy_dev.csv", MMLU + "q,a,b,,d,1\n", "record 1: .*'choice2' is empty"),
        ("triviaqa", "triviaqa/questions.csv", "question,answer\n ,Ana\n", "record 1: .*'question' is empty"),
        ("commonsenseqa", "commonsenseqa/dev_rand_split.jsonl", changed(SPOON, "", "stem"), "question.stem"),
        ("commonsenseqa", "commonsenseqa/dev_rand_split.jsonl", changed(SPOON, 3, "stem"), "question.stem"),
        (
            "commonsenseqa",
            "commonsenseqa/dev_rand_split.jsonl",
            changed(SPOON, "", "choices", 2, "text"),
            "line 1: question.choices: the text of a choice is missing or empty",
        ),
        (
            "commonsenseqa",
            "commonsenseqa/dev_rand_split.jsonl",
            changed(SPOON, None, "choices", 2, "text"),
            "line 1: question.choices: the text of a choice is missing or empty",
        ),
        ("commonsenseqa", "commonsenseqa/dev_rand_split.jsonl", changed(SPOON, 3, "choices"), "choices"),
        ("toxigen", "toxigen/test.jsonl", {**TOXIC, "text": ""}, "line 1: the field 'text' is empty"),
        ("toxigen", "toxigen/test.jsonl", {**TOXIC, "toxicity_ai": 0.5}, "toxicity_ai: expected a rating"),
        (
            "toxigen",
            "toxigen/test.jsonl",
            {**TOXIC, "toxicity_human": 51},
            "line 1: toxicity_human: expected",
        ),
        ("truthfulqa", "truthfulqa/mc_task.json", [{**TRUE, "question": ""}], "record 1: .*'question' is em"),
        (
            "truthfulqa",
            "truthfulqa/mc_task.json",
            [{**TRUE, "mc1_targets": {"": 1, "b": 0}}],
            "record 1: mc1_targets: an answer is empty",
        ),
        (
            "truthfulqa",
            "truthfulqa/mc_task.json",
            [{**TRUE, "mc2_targets": {"a": 1, " ": 0}}],
            "record 1: mc2_targets: an answer is empty",
        ),
        (
            "truthfulqa",
            "truthfulqa/mc_task.json",
            [{**TRUE, "mc1_targets": {"a": True, "b": 0}}],
            "record 1: mc1_targets: expected the label 1 or 0",
        ),
        (
            "truthfulqa",
            "truthfulqa/mc_task.json",
            [{**TRUE, "mc2_targets": {"a": 1, "b": 0, "c": 2}}],
            "record 1: mc2_targets: expected the label 1 or 0",
        ),
        ("truthfulqa", "truthfulqa/mc_task.json", [{**TRUE, "mc1_targets": {}}], "record 1: mc1_targets"),
    ],
)
def test_an_unusable_record_of_a_benchmark_is_named(
    small_data: Path, task: str, file: str, text: object, message: str
) -> None:
    write(small_data / file, text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(BadInputError, match=message) as caught:
        read_local(file_of(task), "navigate" if task == "bbh" else "anatomy")
    assert Path(file).name in str(caught.value)


@pytest.mark.parametrize(
    ("task", "file", "content"),
    [
        ("gsm8k", "gsm8k/test.jsonl", ""),
        ("toxigen", "toxigen/test.jsonl", "\n"),
        ("commonsenseqa", "commonsenseqa/dev_rand_split.jsonl", ""),
        ("truthfulqa", "truthfulqa/mc_task.json", "[]"),
        ("bbh", "bbh/tasks/navigate.json", '{"examples": []}'),
        ("mmlu", "mmlu/test/anatomy_test.csv", MMLU),
        ("mmlu", "mmlu/dev/anatomy_dev.csv", MMLU),
        ("triviaqa", "triviaqa/questions.csv", "question,answer\n"),
    ],
)
def test_a_file_without_records_is_named(small_data: Path, task: str, file: str, content: str) -> None:
    write(small_data / file, content)
    with pytest.raises(BadInputError, match=rf"{Path(file).name} has no records"):
        read_local(file_of(task), "navigate" if task == "bbh" else "anatomy")


def test_too_few_records_for_the_few_shot_examples_are_reported(small_data: Path) -> None:
    path = small_data / "commonsenseqa" / "train_rand_split.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(SPOON).encode()))
    with pytest.raises(BadInputError, match=r"train_rand_split\.jsonl\.gz has 1 records; 7 are needed"):
        read_local(file_of("commonsenseqa"))


@pytest.mark.parametrize(
    ("task", "file", "content", "message"),
    [
        (
            "gsm8k",
            "gsm8k/test.jsonl",
            {"question": "q", "answer": f"#### {'7' * 5000}"},
            "test.jsonl, record 1: the right answer .* no answer could match",
        ),
        (
            "bbh",
            "bbh/tasks/navigate.json",
            {"examples": [{"input": "Which?\nOptions:\n(A) x\n(B) y", "target": "(C)"}]},
            r"navigate.json, record 1: .* is '\(C\)', and the options are A, B",
        ),
    ],
)
def test_a_gold_answer_of_a_benchmark_that_nothing_matches_is_named(
    small_data: Path, task: str, file: str, content: object, message: str
) -> None:
    write(small_data / file, json.dumps(content))
    subjects = {"subjects": ["navigate"]} if task == "bbh" else {}
    with pytest.raises(BadInputError, match=message):
        _ = HarnessSuite(task, **subjects).version


@pytest.mark.slow
def test_the_benchmarks_data_pass_all_checks(real_data: Path) -> None:
    for name in ("bbh", "gsm8k", "commonsenseqa", "triviaqa", "truthfulqa", "toxigen"):
        assert HarnessSuite(name).version
    assert HarnessSuite("mmlu", subjects=["astronomy", "abstract_algebra"]).version
