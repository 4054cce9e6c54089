"""A process that is killed while it writes leaves no half object, and nothing that stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.programs import start
from support.tiers import quick_cases

STEPS = """
import os, random, signal, sys, time
from pathlib import Path
from fsspec.implementations.local import LocalFileSystem
from sequela.store import Address, Kind
from support.stores import AT_ONCE, CONTENT, content_of, fill, local_store, remote_store

kind, folder, copies, mode = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
STEPS = [(os, name) for name in ("open", "fsync", "pwrite")]
STEPS += [(Path, name) for name in ("mkdir", "write_bytes", "chmod", "rename", "replace", "unlink")]
STEPS += [(LocalFileSystem, name) for name in ("put_file", "pipe_file", "mv", "rm_file", "makedirs")]

def store(number):
    if kind == "local":
        return local_store(folder / str(number))
    return remote_store(folder / str(number), copies / str(number), AT_ONCE)

def kill_before(step):
    # Kills this process before its n-th change of the file system.
    left = [step]
    def counted(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call
    for owner, name in STEPS:
        setattr(owner, name, counted(getattr(owner, name)))

def write(number, step):
    if step:
        kill_before(step)
    opened = store(number)
    about = {"number": number}
    address = Address.of(Kind.CHECKPOINT, about)
    with opened.locked(address, "it"), opened.writing(address, about) as work:
        fill(work, CONTENT)
    opened.register("run", folder, [address])

def check(number):
    # Opens the store as another process would; returns whether the object is there.
    opened = store(number)
    opened._storage.remove_drafts() if kind == "local" else opened._storage._copies.remove_drafts()
    address = Address.of(Kind.CHECKPOINT, {"number": number})
    assert all(not one.damages for one in opened.verify())
    there = opened.has(address)
    if there:
        assert content_of(opened.fetch(address)) == CONTENT
    write(number, 0) if not there or kind == "local" else None
    assert content_of(opened.fetch(address)) == CONTENT
    list(opened.prune(unused=True))
    if kind == "local":
        opened.register("run", folder, [address])
    return there

def stray(number):
    roots = (folder / str(number), copies / str(number))
    found = [(root, path) for root in roots for path in root.rglob("*") if path.is_file()]
    names = [path.relative_to(root).as_posix() for root, path in found]
    known = ("objects/checkpoint/", "store.json", "runs/run.json", "locks/checkpoint-", "locks/run-")
    if kind == "local":
        known = known[:3]
    return [name for name in names if not name.startswith(known)]

def killed(number, step, seconds):
    child = os.fork()
    if child == 0:
        try:
            write(number, step)
        finally:
            os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

n_killed = n_there = 0
if mode == "steps":
    every = int(sys.argv[5])
    number = 1 + every // 2
    while killed(number, number, None):
        n_killed += 1
        n_there += check(number)
        assert stray(number) == [], (number, stray(number))
        number += every
else:
    chance = random.Random(int(sys.argv[5]))
    for number in range(int(mode)):
        n_killed += killed(number, 0, chance.uniform(0.0, 0.03))
        n_there += check(number)
        assert stray(number) == [], (number, stray(number))
print(n_killed, n_there, flush=True)
"""


def counts(kind: str, tmp_path: Path, *mode: str) -> tuple[int, int]:
    """Returns how many writers were killed, and after how many of them the object was there."""
    with start(STEPS, kind, tmp_path / "store", tmp_path / "copies", *mode) as program:
        assert program.process.stdout is not None
        printed = program.process.stdout.read().split()
        assert program.wait() == 0
    return int(printed[0]), int(printed[1])


EVERY = quick_cases((1, 5), quick=(5,))
"""The slow tier kills before each step, the quick one before every fifth."""


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_writer_killed_before_its_steps(tmp_path: Path, kind: str, every: int) -> None:
    n_killed, n_there = counts(kind, tmp_path, "steps", str(every))
    assert n_killed > 30 // every
    assert 0 < n_there < n_killed


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_writers_killed_at_random(tmp_path: Path, kind: str) -> None:
    counts(kind, tmp_path, "8", "1")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_many_writers_killed_at_random(tmp_path: Path, seed: int) -> None:
    n_killed, n_there = counts("local", tmp_path, "200", str(seed))
    assert n_killed > 50
    assert n_there < 200


RACE = """
import os, sys
from pathlib import Path
from sequela.store import Address, Kind
from support.stores import content_of, fill, local_store, remote_store
kind, folder, copies = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
for number in range(6):
    about = {"number": number}
    address = Address.of(Kind.CHECKPOINT, about)
    ready, go = os.pipe()
    children = []
    for writer in range(3):
        child = os.fork()
        if child == 0:
            os.close(go)
            store = local_store(folder) if kind == "local" else remote_store(folder, copies / str(writer))
            os.read(ready, 1)  # until the parent closes its end
            try:
                with store.writing(address, about) as work:
                    fill(work, {f"{part}.bin": bytes([writer]) * 5000 for part in range(3)})
                assert len(set(b"".join(content_of(store.fetch(address)).values()))) == 1
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(ready)
    os.close(go)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
store = local_store(folder) if kind == "local" else remote_store(folder, copies / "new")
assert len(list(store.entries())) == 6
for entry in store.entries():
    assert len(set(b"".join(content_of(store.fetch(entry.address)).values()))) == 1
print("right", flush=True)
"""


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_of_writers_at_once_one_stays_and_nothing_is_mixed(tmp_path: Path, kind: str) -> None:
    with start(RACE, kind, tmp_path / "store", tmp_path / "copies") as program:
        program.wait_for("right")
        assert program.wait() == 0
    if kind == "local":
        assert not os.listdir(tmp_path / "store" / "temporary")  # noqa: PTH208
