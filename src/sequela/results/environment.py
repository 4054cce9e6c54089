"""The software versions and the hardware of a run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sequela.core.processor import processor_name, usable_cores

PACKAGES = ("torch", "transformers", "lm-eval", "datasets", "numpy")
"""The packages whose versions can affect results."""


class Environment(BaseModel):
    """The software and hardware of a run.

    Args:
        sequela: The version of Sequela.
        git_commit: The commit if Sequela runs from a checkout, followed by `+changes` if the checkout was
            modified.
        python: The version of Python.
        packages: The versions of the packages that can affect results.
        system: The operating system.
        cpu: The name of the processor.
        cores: The number of cores that the process may use.
        memory_bytes: The main memory in bytes; None if unknown.
        device: The device of the model, such as `cpu` or `cuda:0 (NVIDIA A100)`.
        precision: The dtype of the weights, with the reason if it was chosen automatically.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequela: str
    git_commit: str | None
    python: str
    packages: dict[str, str]
    system: str
    cpu: str
    cores: int
    memory_bytes: int | None
    device: str
    precision: str = ""


def collect_environment(device: str = "cpu", precision: str = "") -> Environment:
    """Returns the environment of this process.

    Args:
        device: The device of the model, as it is written to the manifest.
        precision: The dtype of the weights, as it is written to the manifest.
    """
    return Environment(
        sequela=distribution_version("sequela") or "not installed",
        git_commit=_git_commit(Path(__file__).parents[1]),
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := distribution_version(name)) is not None},
        system=platform.platform(),
        cpu=processor_name(),
        cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        device=device,
        precision=precision,
    )


def distribution_version(package: str) -> str | None:
    """Returns the version of an installed package; None if it isn't installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit(package: Path) -> str | None:
    """Returns the commit of the checkout; None if no checkout tracks the package (an installed package)."""
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(package, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # git is not installed, or this is no checkout
    return finished.stdout.strip()


def _memory_bytes() -> int | None:
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_PAGE_SIZE" not in names or "SC_PHYS_PAGES" not in names:
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
