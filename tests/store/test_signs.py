"""Signs by which processes know that they see the same store."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.stores import local_store, remote_store, rewrite


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_sign_is_seen_in_its_store_only_and_while_it_is_there(is_remote: bool, tmp_path: Path) -> None:
    def open_one(name: str):  # type: ignore[no-untyped-def]
        folder = tmp_path / name
        return remote_store(folder, tmp_path / "copies") if is_remote else local_store(folder)

    store, again, other = open_one("a"), open_one("a"), open_one("b")
    with store.signed("run") as sign:
        assert again.sees(sign)
        assert not other.sees(sign)
        with other.signed("run"):  # another sign of the same name, as in a copy of the store
            assert not other.sees(sign)
        document = tmp_path / "a" / "signs" / "run.json"
        rewrite(document, document.read_bytes().replace(sign.content.encode(), b"0" * 32))
        assert not again.sees(sign)
    assert not store.sees(sign)
    assert not list((tmp_path / "a" / "signs").iterdir())


def test_a_sign_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    store = local_store(tmp_path)
    with store.signed("run") as left, store.signed("run") as sign:
        assert store.sees(sign)
        assert not store.sees(left)
