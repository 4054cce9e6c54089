"""Makes the folder `statistics` beside this file: key statistics as commit ad80e74 wrote them to the cache.

It runs on that commit only, with the model of today's `tests/support/exact.py`, which is the same bits:

    git worktree add /tmp/old ad80e74
    cd $(mktemp -d)
    PYTHONPATH=/tmp/old/src:REPOSITORY/tests python REPOSITORY/tests/old_formats/make_statistics.py
    cp -r statistics REPOSITORY/tests/old_formats/
"""

from __future__ import annotations

from pathlib import Path

from sequela.models import load_model
from sequela.statistics import CorpusSpec, Statistics
from support.exact import save_exact_models

if __name__ == "__main__":
    save_exact_models(Path())
    spec = CorpusSpec(n_tokens=256, window=32)
    Statistics(load_model("model", device="cpu"), spec, Path("statistics")).prepare([1])
