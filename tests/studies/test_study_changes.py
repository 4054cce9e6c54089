"""Changes of a study, in words."""

from __future__ import annotations

from sequela.studies.study_changes import describe_changes

EARLIER = {
    "models": ["a"],
    "editors": [{"name": "rome", "batch_size": 1}, {"name": "ft-m", "batch_size": 1}],
    "checkpoints": [0, 1, 5],
    "seed": 0,
}


def changes(**others: object) -> list[str]:
    return describe_changes(EARLIER, {**EARLIER, **others})


def test_no_change_has_no_words() -> None:
    assert changes() == []


def test_an_entry_more_leaves_the_others() -> None:
    assert changes(checkpoints=[0, 1, 5, 10]) == ["checkpoints: 10 is new; the other results stay"]
    assert changes(models=["a", "b"]) == ["models: b is new; the other results stay"]


def test_an_entry_less_takes_its_results() -> None:
    assert changes(editors=EARLIER["editors"][:1]) == ["editors: ft-m is gone, with its results"]  # type: ignore[index]


def test_a_changed_entry_is_measured_again() -> None:
    ten = [{"name": "rome", "batch_size": 10}, {"name": "ft-m", "batch_size": 1}]
    assert changes(editors=ten) == ["editors: rome is changed; its results are measured again"]


def test_another_sample_leaves_the_others() -> None:
    def of_samples(before: object, after: object, count: int = 9) -> list[str]:
        earlier = {"edits": {"source": "builtin", "count": 9, "samples": before}}
        return describe_changes(earlier, {"edits": {"source": "builtin", "count": count, "samples": after}})

    assert of_samples([0, 1], [0, 1, 2]) == ["edits.samples: 2 is new; the other results stay"]
    assert of_samples([0, 1], [1]) == ["edits.samples: 0 is gone, with its results"]
    assert of_samples([0, 1], [1, 0]) == []
    (larger,) = of_samples([0], [0], count=10)
    assert larger.startswith("edits: ")
    assert larger.endswith("; everything is measured again")
    (first,) = describe_changes({"edits": {"count": 9}}, {"edits": {"count": 9, "samples": [0]}})
    assert first.endswith("; everything is measured again")


def test_other_keys_concern_everything() -> None:
    assert changes(seed=1) == ["seed: 0 became 1; everything is measured again"]
