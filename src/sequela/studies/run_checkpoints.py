"""The checkpoints in the folder of a run, which commands and people read; the store has the same files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sequela.core.paths import committing_folder
from sequela.studies.checkpoints import checkpoint_folder, is_whole


def keep_checkpoint(run_folder: Path, stored: Path, trajectory: str, n_edits: int) -> None:
    """Puts a checkpoint of the store into the folder of a run, unless it is there.

    The files are linked where the file system allows it, so that they take no more space; removing the object
    from the store doesn't remove them.

    Args:
        run_folder: The folder of the run.
        stored: The folder of the object.
        trajectory: The trajectory's hash.
        n_edits: The number of edits.
    """
    folder = checkpoint_folder(run_folder, trajectory, n_edits)
    if n_edits == 0 or is_whole(folder):
        return
    if folder.exists():
        shutil.rmtree(folder)
    with committing_folder(folder) as draft:
        for file in stored.iterdir():
            try:
                os.link(file, draft / file.name)
            except OSError:  # another file system, or one without links
                shutil.copyfile(file, draft / file.name)
