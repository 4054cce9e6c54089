"""The choice of workers, what they request from other machines, and the variables that they get."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sequela.core.errors import BadInputError
from sequela.scheduling import InlineExecutor, ProcessExecutor, RayExecutor, Resources, Workbench
from sequela.studies.workers import Workers, passed_on, resources_of


def unused() -> Workbench:
    raise AssertionError


@pytest.mark.parametrize(
    ("workers", "kind", "n", "threads"),
    [
        (Workers(), InlineExecutor, 1, None),
        (Workers(512), ProcessExecutor, 512, "1"),
        (Workers(3, "ray"), RayExecutor, 3, "1"),
        (Workers(1, "ray", "10.0.0.1:6379", cpus=16), RayExecutor, 1, "16"),
    ],
)
def test_executors(workers: Workers, kind: Callable[..., object], n: int, threads: str | None) -> None:
    executor = workers.make(unused, unused, "cuda:1", 2**30)
    assert type(executor) is kind
    assert len(executor.workers) == n
    assert executor.workers[0].environment.get("OMP_NUM_THREADS") == threads
    if workers.are_elsewhere:
        assert {one.resources for one in executor.workers} == {Resources(2**30, 1)}


@pytest.mark.parametrize(
    ("device", "memory", "words"),
    [("cpu", None, "inf GiB of memory"), ("mps", 2**30, "1.00 GiB of memory"), ("cuda", None, "and 1 GPU")],
)
def test_a_worker_requests_a_gpu_for_cuda_only(device: str, memory: int | None, words: str) -> None:
    assert words in str(resources_of(device, memory))
    assert bool(resources_of(device, memory).gpus) == (device == "cuda")


def test_variables_are_passed_on_by_their_names_and_secrets_are_not() -> None:
    given = {
        "SEQUELA_STORE": "/a",
        "SEQUELA_CACHE": "/b",
        "HF_HOME": "/c",
        "HF_ENDPOINT": "http://d",
        "TRANSFORMERS_OFFLINE": "1",
    }
    kept_back = {
        "SEQUELA_DATABASE": "postgresql://me:secret@x/y",
        "HF_TOKEN": "t",
        "HF_TOKEN_PATH": "/t",
        "RAY_AUTH_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert passed_on({**given, **kept_back}) == given


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"count": 0}, "0 workers can do nothing"),
        ({"cpus": 0}, "with 0 CPUs can do nothing"),
        ({"address": "10.0.0.1:6379"}, "is of a Ray cluster, but the executor is local"),
    ],
)
def test_numbers_and_addresses_that_mean_nothing(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        Workers(**wrong)  # type: ignore[arg-type]
