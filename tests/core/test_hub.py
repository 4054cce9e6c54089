"""Access to an unreachable hub: no long wait, no log noise, no lasting change of state."""

from __future__ import annotations

import logging

import datasets
import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from sequela.core.hub import hub_access, unreachable_because

NOBODY = "http://127.0.0.1:9"
"""The port `discard`, which no server listens on."""


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", NOBODY)


def test_if_the_hub_is_unreachable_only_the_cache_is_used(capfd: pytest.CaptureFixture[str]) -> None:
    with hub_access() as reachable:
        assert not reachable
        with pytest.raises(LocalEntryNotFoundError) as caught:
            hf_hub_download("nobody/none", "none.json", repo_type="dataset")
        assert "doesn't answer" in unreachable_because(caught.value, reachable)
    assert capfd.readouterr().err == ""


def test_afterwards_everything_is_as_before() -> None:
    before = (
        constants.HF_HUB_OFFLINE,
        datasets.config.HF_HUB_OFFLINE,
        datasets.are_progress_bars_disabled(),
        logging.getLogger("huggingface_hub").level,
    )
    with pytest.raises(RuntimeError), hub_access():
        raise RuntimeError
    assert before == (
        constants.HF_HUB_OFFLINE,
        datasets.config.HF_HUB_OFFLINE,
        datasets.are_progress_bars_disabled(),
        logging.getLogger("huggingface_hub").level,
    )


def test_a_reason_is_reported_in_one_line() -> None:
    assert unreachable_because(OSError("no such data set\nlong traceback"), True) == "no such data set"
    assert unreachable_because(OSError(), True) == "OSError"
