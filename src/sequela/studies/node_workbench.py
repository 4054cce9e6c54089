"""The workbench of a worker on another machine, which first checks that it sees the store of the run."""

from __future__ import annotations

import socket

from sequela.core.errors import BadInputError, SequelaError, TransientError
from sequela.core.precision import Precision
from sequela.store import Sign, Store, StoreError
from sequela.studies.claims import ClaimingWorkbench
from sequela.studies.study import Study
from sequela.studies.workbench import StudyWorkbench


class NodeWorkbench:
    """Builds the workbench of a worker on another machine.

    What only that machine can't do is said with its name, and is an error of the input: it would come back,
    and any task that the worker got would fail.

    Args:
        study: The study.
        store: The store of the outputs.
        precision: The data type of the weights.
        sign: A sign that the main process has left in the store.
    """

    def __init__(self, study: Study, store: Store, precision: Precision, sign: Sign) -> None:
        self._study = study
        self._location = store.location
        self._open, self._arguments = store.__reduce__()  # unpickling the store itself would open it
        self._precision = precision
        self._sign = sign

    def __call__(self) -> ClaimingWorkbench:
        """Returns the workbench.

        Raises:
            BadInputError: This machine doesn't see the store of the run, or not what the study names.
        """
        store = self._opened()
        try:
            return StudyWorkbench.of_study(self._study, store, self._precision)
        except TransientError:
            raise
        except SequelaError as error:
            raise BadInputError(f"On the node {_name()}: {error.message}", hint=error.hint) from error

    def _opened(self) -> Store:
        try:
            store = self._open(*self._arguments)
            sees = store.sees(self._sign)
        except (StoreError, BadInputError) as error:
            raise BadInputError(
                f"The node {_name()} can't use the store of the run: {error.message}", hint=error.hint
            ) from error
        if not sees:
            raise BadInputError(
                f"The node {_name()} doesn't see the store of the run, {self._location}: what it has under "
                "this name is another one.",
                hint="Set SEQUELA_STORE to a folder that all nodes share under the same path, or to a URL "
                "such as s3://bucket/store, gs:// or sftp://.",
            )
        return store


def _name() -> str:
    return socket.gethostname()
