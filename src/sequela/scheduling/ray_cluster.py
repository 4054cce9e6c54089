"""The connection to a Ray cluster, or a cluster of this machine's own."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

from sequela.core.errors import SequelaError
from sequela.core.wording import size_in_words
from sequela.scheduling.ray_address import check_address, location_of, not_installed, unreachable
from sequela.scheduling.task import Resources

logger = logging.getLogger(__name__)

SECONDS_TO_CONNECT = 12.0
"""The time, in seconds, after which a cluster that doesn't answer counts as unreachable."""

OBJECT_STORE = 80 * 2**20
"""The size in bytes of the object store of a cluster that is started here; what goes through it is small."""

LOOPBACK = "127.0.0.2"
"""The address of a cluster that is started here: of the loopback range, so that no other machine is involved.
Ray replaces 127.0.0.1 by the machine's own address."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def import_ray() -> ModuleType:
    """Returns the package ray.

    Raises:
        SequelaError: It isn't installed.
    """
    try:
        with _environment(_QUIET):
            import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise not_installed() from error
    return cast("ModuleType", ray)


class RayCluster:
    """A connection to a Ray cluster, which stays open until `disconnect`.

    If this process is connected to Ray already, that connection is used, and stays open.

    Args:
        address: `host:port` of the head node, `ray://host:port` of a Ray client server, or `auto` for the
            cluster of this machine or of `RAY_ADDRESS`; None starts a cluster of this machine alone.

    Raises:
        SequelaError: The package ray isn't installed, or the cluster can't be reached.
    """

    def __init__(self, address: str | None) -> None:
        self.ray: Any = import_ray()
        self._is_owner = not self.ray.is_initialized()
        self._logger_level = logging.getLogger("ray").level
        self._printing: object = None
        if not self._is_owner:
            return
        # What Ray logs about workers that end, the executor reports in its own words.
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        try:
            if address is None:
                self._start()
            else:
                self._connect(address)
        except BaseException:
            self.disconnect()
            raise

    def _start(self) -> None:
        """Starts a cluster; its processes end with this one, however that ends."""
        # Ray's processes end with the thread that starts them, so it must be the one that runs the scheduler.
        options = {
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
            "_node_ip_address": LOOPBACK,
        }
        try:
            self._initialize(address="local", **options)
        except Exception as error:
            raise SequelaError(
                f"Ray can't be started on this machine: {_first_line(error)}",
                hint="`ray start --head` shows more; a cluster that runs is used with its address.",
            ) from error

    def _connect(self, address: str) -> None:
        check_address(address)
        error = self._error_of_connecting(address)
        if error is not None:
            raise error

    def _error_of_connecting(self, address: str) -> SequelaError | None:
        """Connects in a thread, since a look-up or Ray may take minutes; returns the error, if any."""
        errors: list[SequelaError | None] = []

        def connect() -> None:
            try:
                self._initialize(address=location_of(address))
                errors.append(None)
            except Exception as error:  # noqa: BLE001 - Ray raises anything
                errors.append(_mismatch(address, error) or unreachable(address, _first_line(error)))

        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(SECONDS_TO_CONNECT)
        limit = (
            f"no answer of Ray within {SECONDS_TO_CONNECT:g} seconds (nor does a cluster answer that wants a "
            "token which this process doesn't have)"
        )
        return errors[0] if errors else unreachable(address, limit)

    def _initialize(self, **options: object) -> None:
        with _environment(_QUIET), _signal_handlers():
            self.ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
        self._printing = _replaced_printing(_note)

    def disconnect(self) -> None:
        """Ends the connection, and the cluster if it was started here; may be called twice."""
        if self._is_owner:
            with _signal_handlers():
                self.ray.shutdown()
            if self._printing is not None:
                self._printing = _replaced_printing(self._printing)
            logging.getLogger("ray").setLevel(self._logger_level)
            self._is_owner = False

    def n_fitting(self, resources: Resources, cpus: float) -> int:
        """Returns how many workers the nodes that are there have room for, if nothing else runs on them."""
        needed = {**ray_resources(resources), "CPU": cpus}
        needed = {name: amount for name, amount in needed.items() if amount}
        found = 0
        for node in self.ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                found += min((int(has.get(name, 0) // amount) for name, amount in needed.items()), default=0)
        return found

    def nodes_in_words(self) -> str:
        """Returns the nodes that are there, with their CPUs, GPUs and memory."""
        words = []
        for node in self.ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                parts = [amount_in_words(has.get(name, 0), name) for name in ("CPU", "GPU")]
                parts.append(f"{size_in_words(has.get('memory', 0))} of memory")
                words.append(f"{node['NodeManagerAddress']} ({', '.join(part for part in parts if part)})")
        return ", ".join(words) or "none"


def ray_resources(resources: Resources) -> dict[str, float]:
    """Returns resources by Ray's names; memory without a limit isn't requested."""
    memory = 0.0 if resources.memory == float("inf") else resources.memory
    return {"memory": memory, "GPU": resources.gpus}


def _replaced_printing(function: object) -> object:
    """Replaces the function by which Ray prints about lost nodes; returns that of before; None without one.

    Ray has no option for it. `log_to_driver` is about what workers print.
    """
    module = sys.modules["ray._private.worker"]
    before = getattr(module, "print_to_stdstream", None)
    if before is not None:
        module.print_to_stdstream = function  # type: ignore[attr-defined]
    return before


def _note(data: Mapping[str, object], *_: object, **__: object) -> None:
    logger.debug("Ray: %s", data.get("lines"))


def amount_in_words(amount: float, name: str) -> str:
    """Returns `2 CPUs`, or nothing for none."""
    return f"{amount:g} {name}{'' if amount == 1 else 's'}" if amount else ""


def _mismatch(address: str, error: Exception) -> SequelaError | None:
    """Returns the error for a cluster of another version, if it is that."""
    versions = re.findall(r"^ +(?:Ray|Python): (\S+)$", str(error), re.MULTILINE)
    if "ersion mismatch" not in str(error) or len(versions) != _N_VERSIONS:
        return None
    ray, python, own_ray, own_python = versions
    return SequelaError(
        f"The Ray cluster at {location_of(address)} has Ray {ray} and Python {python}; this process has Ray "
        f"{own_ray} and Python {own_python}.",
        hint="Install the same versions here and on all nodes.",
    )


_N_VERSIONS = 4
"""The versions that Ray names: of Ray and of Python, there and here."""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables within a block, for the processes that it starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _signal_handlers() -> Iterator[None]:
    """Restores the handler of SIGTERM, which Ray replaces by one of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
