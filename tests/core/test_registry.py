"""Names come from the metadata of packages; entries are imported when they are requested."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.registry import SEQUELA, Registry, instance_of
from support.plugins import Install

GROUP = "sequela.tests"
BUILT_IN: Mapping[str, str] = {"pi": "math:pi", "e": "math:e"}
NUMBERS = Registry(
    kind="odd number",
    group=GROUP,
    built_in=lambda: BUILT_IN,
    check=instance_of(float),
    expected="a float",
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package with a valid, a broken and a wrong module."""
    folder = tmp_path / "numbers_of_others"
    folder.mkdir()
    modules = {
        "__init__": "",
        "well": "TAU = 6.28\nWORD = 'tau'\n",
        "broken": "raise RuntimeError('no license found')\n",
        "exits": "raise SystemExit(3)\n",
        "garbled": "def (\n",
        "objects": "class Thing:\n    def __repr__(self) -> str:\n        return 'x' * 999\nTHING = Thing()\n"
        "def make() -> None: ...\n",
    }
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in modules:
        monkeypatch.delitem(sys.modules, f"numbers_of_others.{name}", raising=False)
    return "numbers_of_others"


def test_names_are_known_before_anything_is_imported(package: str, install_plugin: Install) -> None:
    install_plugin({GROUP: {"tau": f"{package}.well:TAU", "bad": f"{package}.broken:X"}})
    assert NUMBERS.names() == ("pi", "e", "bad", "tau")
    assert str(NUMBERS.origin("tau")) == "sequela-example-plugin 1.0.0"
    assert NUMBERS.origin("pi") == SEQUELA
    assert f"{package}.well" not in sys.modules
    assert NUMBERS.get("tau") == 6.28
    assert NUMBERS.get("pi") == pytest.approx(3.14159, abs=1e-5)


def test_without_packages_only_built_in_entries_exist() -> None:
    assert NUMBERS.names() == ("pi", "e")


def test_an_unknown_name_is_an_error_that_names_similar_ones(package: str, install_plugin: Install) -> None:
    install_plugin({GROUP: {"tau": f"{package}.well:TAU"}})
    for ask in (NUMBERS.get, NUMBERS.origin, NUMBERS.require):
        with pytest.raises(UnknownNameError, match="Unknown odd number 'tauu'") as caught:
            ask("tauu")
        assert caught.value.near == ["tau"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("{}.broken:X", r"can't be imported: RuntimeError: no license found"),
        ("{}.exits:X", r"can't be imported: SystemExit: 3"),
        ("{}.garbled:X", r"can't be imported: SyntaxError"),
        ("{}.missing:X", r"can't be imported: ModuleNotFoundError"),
        ("{}.well:MISSING", r"can't be imported: AttributeError"),
        ("{}.well:WORD", r"as 'tau', which is not a float"),
        ("{}.objects:THING", r"as a Thing object, which is not a float"),
        ("{}.objects:Thing", r"as the class numbers_of_others\.objects\.Thing, which is not a float"),
        ("{}.objects:make", r"as the function make, which is not a float"),
    ],
)
def test_the_error_of_an_unusable_package_names_it_and_says_what_to_do(
    package: str, install_plugin: Install, place: str, expected: str
) -> None:
    install_plugin({GROUP: {"bad": place.format(package)}})
    with pytest.raises(BadInputError, match=expected) as caught:
        NUMBERS.get("bad")
    assert "'bad'" in caught.value.message
    assert "sequela-example-plugin 1.0.0" in caught.value.message
    assert "uninstall sequela-example-plugin" in (caught.value.hint or "").lower()


def test_a_listing_includes_unusable_entries(package: str, install_plugin: Install) -> None:
    install_plugin({GROUP: {"bad": f"{package}.broken:X", "tau": f"{package}.well:TAU"}})
    listed = {one.name: one for one in NUMBERS.listed()}
    assert list(listed) == ["pi", "e", "bad", "tau"]
    assert listed["bad"].value is None
    assert "no license found" in listed["bad"].problem
    assert (listed["tau"].value, listed["tau"].problem) == (6.28, "")


def test_a_name_of_two_packages_is_an_error(package: str, install_plugin: Install) -> None:
    install_plugin({GROUP: {"tau": f"{package}.well:TAU"}})
    install_plugin({GROUP: {"tau": f"{package}.well:TAU"}}, name="other-numbers", version="2.0")
    with pytest.raises(BadInputError, match="is taken") as caught:
        NUMBERS.get("tau")
    assert "other-numbers 2.0" in caught.value.message
    assert "sequela-example-plugin 1.0.0" in caught.value.message
    assert "each provide an odd number" in caught.value.message


def test_a_built_in_name_that_a_package_uses_too_is_an_error(package: str, install_plugin: Install) -> None:
    install_plugin({GROUP: {"pi": f"{package}.well:TAU"}})
    with pytest.raises(BadInputError, match=r"sequela and sequela-example-plugin 1\.0\.0"):
        NUMBERS.get("pi")
    ours, theirs = (one for one in NUMBERS.listed() if one.name == "pi")
    assert ours.value == pytest.approx(3.14159, abs=1e-5)
    assert "taken" in theirs.problem


def test_an_implementation_that_cant_be_imported_is_named(package: str, install_plugin: Install) -> None:
    install_plugin({GROUP: {"tau": f"{package}.well:TAU"}})
    with pytest.raises(BadInputError, match=r"'tau' of the package sequela-example-plugin 1\.0\.0"):
        NUMBERS.load("tau", f"{package}.broken:X")
