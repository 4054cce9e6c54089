"""Bits that flip and files that are cut, at seeded positions of every kind of file that a store has."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.store import Address, DamagedObjectError, Kind, Store
from support.stores import CONTENT, content_of, local_store, put, remote_store, rewrite

N_POSITIONS = 200


def opened(kind: str, root: Path, copies: str = "copies") -> Store:
    return local_store(root / "store") if kind == "local" else remote_store(root / "store", root / copies)


@pytest.mark.parametrize(("kind", "n_positions"), [("local", N_POSITIONS), ("remote", 30), ("copy", 30)])
def test_damage_is_detected_or_harmless(tmp_path: Path, kind: str, n_positions: int) -> None:
    """`copy` is the local copy of a remote object, which is downloaded again."""
    chance = random.Random(19)
    outcomes: Counter[str] = Counter()
    for number in range(n_positions):
        store = opened(kind, tmp_path)
        address = Address.of(Kind.CHECKPOINT, {"edits": 1})
        if not store.has(address):
            put(store, edits=1)
        place = tmp_path / ("copies" if kind == "copy" else "store") / "objects" / str(address)
        files = place / store.describe(address).folder
        path = chance.choice(
            [place / "object.json", *(files / name for name in sorted(CONTENT) if CONTENT[name])]
        )
        rewrite(path, damaged(path.read_bytes(), chance))
        reader = opened(kind, tmp_path, f"copies-{number}" if kind == "remote" else "copies")
        outcomes[outcome(reader, address)] += 1
    assert outcomes["detected"] + outcomes["harmless"] == n_positions, outcomes
    if kind == "copy":
        assert outcomes["detected"] == 0
    else:
        assert outcomes["detected"] > 0.8 * n_positions, outcomes


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Returns data with a flipped bit, or cut."""
    position = chance.randrange(len(data))
    if chance.random() < 0.3:
        return data[:position]
    changed = bytearray(data)
    changed[position] ^= 1 << chance.randrange(8)
    return bytes(changed)


def outcome(store: Store, address: Address) -> str:
    try:
        folder = store.fetch(address)
    except DamagedObjectError as error:
        return "detected" if error.damages and not store.has(address) else "still there"
    return "harmless" if content_of(folder) == CONTENT else "wrong"


@pytest.mark.parametrize("name", ["store.json", "runs/run.json"])
def test_damaged_documents_are_detected_or_harmless(tmp_path: Path, name: str) -> None:
    chance = random.Random(7)
    store = local_store(tmp_path / "store")
    address = put(store, edits=1)
    store.register("run", tmp_path, [address])
    path = tmp_path / "store" / name
    intact = path.read_bytes()
    detected = 0
    for _ in range(N_POSITIONS):
        path.write_bytes(damaged(intact, chance))
        store = local_store(tmp_path / "store")
        try:
            store._storage.check()
            (registration,) = store.registrations()
        except SequelaError as error:
            detected += name.rpartition("/")[2] in str(error)
        else:
            assert registration.addresses == {address}
    assert detected > 0.8 * N_POSITIONS
