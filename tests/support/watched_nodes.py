"""A workbench of nodes that notes how often a model is loaded; workers on the nodes import this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sequela.studies import model_workspace
from sequela.studies.node_workbench import NodeWorkbench
from sequela.studies.workbench import StudyWorkbench


class WatchedWorkbench(NodeWorkbench):
    """A workbench whose process writes a line to a file when it loads a model.

    Args:
        file: The file.
        arguments: Those of `NodeWorkbench`.
    """

    def __init__(self, file: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._file = file

    def __call__(self) -> StudyWorkbench:
        load = model_workspace.load_model

        def noted(name: str, **options: Any) -> Any:
            with self._file.open("a") as file:
                file.write(f"{name}\n")
            return load(name, **options)

        model_workspace.load_model = noted
        return super().__call__()
