"""An unknown key of a study file is answered with the key that was meant."""

from __future__ import annotations

import pytest

from sequela.studies import Study
from sequela.studies.unknown_keys import OTHER_WORDS, PARTS, guess_key


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("health_rules", "alarms.stop_when"),
        ("health_rule", "alarms.stop_when"),
        ("HealthRules", "alarms.stop_when"),
        ("health-checks", "alarms"),
        ("regularizer", "editors.name"),
        ("regularizers", "editors.name"),
        ("methods", "editors"),
        ("method", "editors"),
        ("editor", "editors"),
        ("model", "models"),
        ("benchmarks", "suites"),
        ("suite", "suites"),
        ("shuffle_seeds", "order_seeds"),
        ("precision", "dtype"),
        ("hparams", "editors.settings"),
        ("dataset", "edits"),
        ("batchsize", "editors.batch_size"),
        ("stop_wen", "alarms.stop_when"),
        ("max_neighbourhood", "edit_quality.max_neighborhood"),
    ],
)
def test_the_key_that_was_meant_is_suggested(key: str, meant: str) -> None:
    assert f"'{meant}'" in guess_key((key,), {})


@pytest.mark.parametrize("key", ["zzz", "x", "qqq_www", ""])
def test_nothing_is_suggested_for_a_key_that_is_like_no_other(key: str) -> None:
    assert guess_key((key,), {}) == ""


def test_the_table_of_other_words_names_keys_that_exist_and_no_word_twice() -> None:
    for meant in OTHER_WORDS:
        part, _, field = meant.partition(".")
        assert part in Study.model_fields
        assert not field or field in PARTS[part].model_fields
    words = [word for some in OTHER_WORDS.values() for word in some]
    assert len(set(words)) == len(words)
    assert not set(words) & Study.model_fields.keys()
