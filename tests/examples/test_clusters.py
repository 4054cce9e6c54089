"""The examples for clusters, as far as they can be checked without one: syntax, fields, commands, options."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sequela.cli.main import app

EXAMPLES = Path(__file__).parents[2] / "examples"

SCRIPTS = ("slurm-ray.sh", "slurm-array.sh")

RAY_JOB = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"},
    "spec.rayClusterSpec": {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"},
    "spec.rayClusterSpec.headGroupSpec": {"rayStartParams", "template"},
    "spec.rayClusterSpec.workerGroupSpecs": {
        "groupName",
        "replicas",
        "minReplicas",
        "maxReplicas",
        "rayStartParams",
        "template",
    },
}
"""Fields of the API ray.io/v1 as KubeRay documents them, by the path of their object."""


def options_of_run() -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", CliRunner().invoke(app, ["run", "--help"]).stdout))


def commands_in(text: str) -> list[list[str]]:
    """Returns the words of every `sequela` command."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line for line in joined.splitlines() if not line.lstrip().startswith("#")]
    found = [line[line.index("sequela run") :] for line in lines if "sequela run" in line]
    return [shlex.split(re.sub(r"\$\(\(.*?\)\)", "1", one)) for one in found]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_one(name: str) -> None:
    script = EXAMPLES / name
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "Untried" in script.read_text(encoding="utf-8")
    if shutil.which("shellcheck"):
        checked = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
        assert checked.stdout == ""


@pytest.mark.parametrize("name", [*SCRIPTS, "kuberay.yaml"])
def test_the_options_of_a_command_exist(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    commands = [yaml.safe_load(text)["spec"]["entrypoint"]] if name.endswith("yaml") else [text]
    (command,) = [found for one in commands for found in commands_in(one)]
    assert command[:2] == ["sequela", "run"]
    used = {word for word in command if word.startswith("--")}
    assert used
    assert used <= options_of_run()
    assert "--executor" not in used or command[command.index("--executor") + 1] == "ray"


def test_a_ray_job_has_the_fields_of_its_api() -> None:
    text = (EXAMPLES / "kuberay.yaml").read_text(encoding="utf-8")
    job: dict[str, Any] = yaml.safe_load(text)
    assert "Untried" in text
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    for path, fields in RAY_JOB.items():
        found: Any = job
        for part in filter(None, path.split(".")):
            found = found[part]
        for one in found if isinstance(found, list) else [found]:
            assert set(one) == fields, path
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"].endswith(f":{cluster['rayVersion']}")
        mounted = {one["name"] for one in container["volumeMounts"]}
        assert mounted == {one["name"] for one in pod["volumes"]}
        variables = {one["name"]: one["value"] for one in container["env"]}
        assert variables["SEQUELA_STORE"].startswith("/shared/")  # what every pod mounts
