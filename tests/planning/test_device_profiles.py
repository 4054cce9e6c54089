"""Device profiles by name and from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.planning import PROFILES, device_profile


def test_every_profile_has_its_source_and_plausible_figures() -> None:
    for name, profile in PROFILES.items():
        assert device_profile(name) is profile
        assert profile.source
        assert set(profile.flops) == {"float32", "bfloat16", "float16"}
        assert 1e10 < profile.flops["float32"] < 1e15
        assert 1e9 < profile.bandwidth < 1e13


def test_an_unknown_name_is_answered_with_similar_ones() -> None:
    with pytest.raises(UnknownNameError, match="'h10'") as raised:
        device_profile("h10")
    assert "'h100'" in str(raised.value)


def test_a_file_describes_another_device(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("flops: {float32: 1.0e+13}\nbandwidth: 5.0e+11\nmemory: 17179869184\n", encoding="utf-8")
    profile = device_profile(str(path))
    assert (profile.name, profile.peak("float32"), profile.device) == (str(path), 1e13, "cuda")
    with pytest.raises(BadInputError, match="no figure for bfloat16"):
        profile.peak("bfloat16")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flops: {}\n", "bandwidth"),
        ("flops: {float32: 1}\nbandwidth: -1\nmemory: 1\n", "bandwidth"),
        ("flops: {float32: 1}\nbandwidth: 1\nmemory: 1\ndevice: tpu\n", "device"),
        ("- 1\n", "not a device profile"),
        ("flops: {\n", "mine.yaml"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=said):
        device_profile(str(path))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"mine\.yaml"):
        device_profile(str(tmp_path / "mine.yaml"))
