"""vLLM in a separate environment, as a program to compare with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from sequela.core.errors import SequelaError
from sequela.models.aliases import ALIASES
from sequela.models.pypi_models import packaged_folder
from support.workloads import GenerationWorkload

SERVER = Path(__file__).with_name("vllm_server.py")
CACHE_GIGABYTES = 2


class VllmPeer:
    """A process that runs vLLM, with its model loaded and warm; stopped between requests.

    vLLM's workers poll for work, so an idle server would take time from the other programs.

    Args:
        process: The process, which communicates over pipes and leads its own process group.
        job: The workload.

    Attributes:
        about: The version of vLLM, and the libraries that were preloaded.
    """

    def __init__(self, process: subprocess.Popen[str], job: dict[str, Any]) -> None:
        self._process = process
        self._send(job)
        self.about = self._answer()
        self._signal(signal.SIGSTOP)

    def generate(self) -> list[str]:
        """Continues all prompts of the job."""
        self._signal(signal.SIGCONT)
        self._send({"go": True})
        texts: list[str] = self._answer()["texts"]
        self._signal(signal.SIGSTOP)
        return texts

    def close(self) -> None:
        """Ends the process and its workers."""
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        self._process.stdin.close()  # it exits at the end of its input
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended; reading its answer raises the error
            os.killpg(self._process.pid, number)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SequelaError(
                f"vLLM ended without an answer (exit code {self._process.wait()}); see its output above."
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def vllm_peer(
    python: Path, model: str, dtype: str, work: GenerationWorkload, prompts: Sequence[Sequence[int]]
) -> Iterator[VllmPeer]:
    """Starts vLLM on a workload and ends it afterwards.

    Args:
        python: The Python of an environment with vLLM.
        model: An alias or a folder.
        dtype: `float32` or `bfloat16`.
        work: The workload, for its stop strings and maximum length.
        prompts: The prompts as token ids, the same for all programs.

    Raises:
        SequelaError: There is no such Python, or vLLM doesn't start.
    """
    if not python.is_file():
        raise SequelaError(f"There is no Python at {python}.", hint="Name an environment that has vLLM.")
    cores = torch.get_num_threads()
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GIGABYTES),
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{cores - 1}" if cores > 1 else "0",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONSAFEPATH": "1",  # its environment must not import the modules next to the server
    }
    job = {
        "model": str(packaged_folder(ALIASES[model]) if model in ALIASES else Path(model).resolve()),
        "dtype": dtype,
        "prompts": [list(ids) for ids in prompts],
        "stop": list(work.stop),
        "max_new_tokens": work.max_new_tokens,
    }
    # Intel's OpenMP, if the environment has it: vLLM recommends preloading it for best performance.
    openmp = python.parent.parent / "lib" / "libiomp5.so"
    if openmp.is_file():
        settings["LD_PRELOAD"] = ":".join(filter(None, [str(openmp.resolve()), os.environ.get("LD_PRELOAD")]))
    with subprocess.Popen(
        [str(python), str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **settings},
        text=True,
        start_new_session=True,
    ) as process:
        try:
            peer = VllmPeer(process, job)
            try:
                yield peer
            finally:
                peer.close()
        finally:
            process.kill()  # in case it did not start properly
