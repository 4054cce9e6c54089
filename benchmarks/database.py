"""Readers and writers on one results database at the same time: figures, and no error or lost row.

    python benchmarks/database.py                        # SQLite, 60 seconds
    SEQUELA_DATABASE=postgresql+psycopg://user@host/db python benchmarks/database.py
    python benchmarks/database.py --seconds 5 --writers 4 --readers 8

Every writer is a process that writes evaluations with items, edits and costs of its own, and one in ten times
an evaluation that another writer wrote, which has to be refused. Every reader is a process that reads
everything and checks that what it has seen before is still there. At the end each row is there exactly once.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sequela.results import DATABASE_VARIABLE, open_store
from support.database_work import Done, check_all, read_for, write_for


def main() -> None:
    """Runs writers and readers and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="an empty folder; a temporary one by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "run"
        open_store(folder, create=True, name="benchmark").close()
        work = [(write_for, number) for number in range(arguments.writers)]
        work += [(read_for, number) for number in range(arguments.readers)]
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(len(work) + 1)
        with context.Pool(len(work), _get_ready, (Path(temporary), barrier)) as pool:
            barrier.wait()
            started = time.perf_counter()
            pending = [pool.apply_async(act, (folder, number, arguments.seconds)) for act, number in work]
            done = [one.get(arguments.seconds * 4 + 300) for one in pending]
        seconds = time.perf_counter() - started
        written, read = done[: arguments.writers], done[arguments.writers :]
        check_all(folder, written)
        figures = {
            "database": "postgresql" if os.environ.get(DATABASE_VARIABLE) else "sqlite",
            "seconds": round(seconds, 1),
            "writers": arguments.writers,
            "readers": arguments.readers,
            "evaluations": sum(one.evaluations for one in written),
            "refused_duplicates": sum(one.refused for one in written),
            "writes_per_second": round(sum(len(one.seconds) for one in written) / arguments.seconds, 1),
            "write_ms": _milliseconds(written),
            "reads": sum(len(one.seconds) for one in read),
            "read_ms": _milliseconds(read),
        }
        print(json.dumps(figures))


def _get_ready(folder: Path, barrier: Barrier) -> None:
    """Imports everything by writing and reading once; all processes begin when all are ready."""
    address = os.environ.pop(DATABASE_VARIABLE, "")
    own = folder / str(os.getpid())
    open_store(own, create=True).close()
    write_for(own, 0, 0, rounds=1)
    read_for(own, 0, 0, rounds=1)
    os.environ[DATABASE_VARIABLE] = address
    barrier.wait()


def _milliseconds(done: list[Done]) -> dict[str, float]:
    """Returns the median, the 99th percentile and the maximum of times."""
    times = sorted(1000 * one for part in done for one in part.seconds)
    at_99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    return {
        "median": round(statistics.median(times), 1),
        "p99": round(at_99, 1),
        "max": round(times[-1], 1),
    }


if __name__ == "__main__":
    main()
