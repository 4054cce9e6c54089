from __future__ import annotations

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.store import Address, Kind


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../../etc",
        "abc",
        "ABCDEF0123456789",
        "0123456789abcdeg",
        "a" * 129,
        "01234567/..",
        "01234567\n",
        12345678,
    ],
    ids=repr,
)
def test_a_key_that_could_leave_its_folder_is_refused(key: str) -> None:
    with pytest.raises(BadInputError, match="is not the key of an object"):
        Address(Kind.NETWORK, key)


def test_a_key_is_a_hash_of_what_decides_the_content() -> None:
    first = Address.of(Kind.STATISTICS, {"model": "a", "layers": [1, 2], "scale": 0.1})
    same = Address.of(Kind.STATISTICS, {"scale": 0.1, "layers": (1, 2), "model": "a"})
    other = Address.of(Kind.STATISTICS, {"model": "a", "layers": [2, 1], "scale": 0.1})
    assert first == same != other
    assert Address.parse(str(first)) == first
    assert first.key == "3560213fbaf83f5d876176e9624e8919"  # the same on every machine and in every version


@pytest.mark.parametrize(
    "about", [{"x": float("nan")}, {"x": {1, 2}}, {"x": object()}], ids=["nan", "a set", "an object"]
)
def test_what_is_not_json_decides_nothing(about: dict[str, object]) -> None:
    with pytest.raises(BadInputError, match="is not JSON"):
        Address.of(Kind.BASELINE, about)


@pytest.mark.parametrize("text", ["networks/0123456789abcdef", "0123456789abcdef", "network"])
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises((UnknownNameError, BadInputError)):
        Address.parse(text)
