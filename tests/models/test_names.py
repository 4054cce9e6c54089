"""Names of models: aliases, paths and hub ids with a revision."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.models.names import HubName, check_model_name, is_path


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/3", "feature/a-b", "0123abc" * 5])
def test_a_revision_stands_after_an_at_sign(revision: str) -> None:
    name = f"somebody/tiny@{revision}"
    check_model_name(name)
    assert not is_path(name)
    assert HubName.read(name) == HubName("somebody/tiny", revision)


def test_without_one_it_is_main() -> None:
    assert HubName.read("somebody/tiny") == HubName.read("somebody/tiny@main")
    assert str(HubName.read("somebody/tiny@main")) == "somebody/tiny"
    assert str(HubName.read("somebody/tiny@v1")) == "somebody/tiny@v1"


@pytest.mark.parametrize(
    "name", ["somebody/tiny@", "somebody/tiny@a b", "somebody/tiny@../x", "somebody/tiny@-x"]
)
def test_what_can_t_be_a_revision_is_an_error(name: str) -> None:
    with pytest.raises(BadInputError, match="can't be a revision"):
        check_model_name(name)


def test_an_alias_has_no_revisions() -> None:
    with pytest.raises(BadInputError, match="has no revisions"):
        check_model_name("smollm2-135m-instruct@v1")


@pytest.mark.parametrize("name", ["@v1", "two words@v1", "smollm2-135m@v1"])
def test_what_stands_before_it_must_be_a_hub_id(name: str) -> None:
    with pytest.raises(UnknownNameError):
        check_model_name(name)


def test_a_folder_may_have_an_at_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a@b").mkdir()
    assert is_path("a@b")
    assert is_path("./a@b/c")
