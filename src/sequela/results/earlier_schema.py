"""Records of earlier schema versions, read as today's.

Schema 4 had the losses and norms of an edit in tables by name, each with one or two entries, and it kept the
variant of a method with the costs of editing only, not with those of other steps.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sequela.results.cost_record import CostRecord
from sequela.results.names import UNEDITED
from sequela.results.section import Section, SuiteInfo, Suites, TaskInfo

OLDEST_READ = 4
"""The oldest schema version whose results can be read."""


def edit_record_of_4(content: dict[str, Any]) -> dict[str, Any]:
    """The content of an edit's record of schema 4 in today's form."""
    kept = {k: v for k, v in content.items() if k not in ("losses", "relative_delta_norms")}
    losses: dict[str, float] = content["losses"]
    norms: dict[str, float] = content["relative_delta_norms"]
    return {
        **kept,
        "optimization_steps": content.get("optimization_steps") or 0,
        "first_loss": losses.get("first", math.nan),
        "final_loss": losses.get("final", math.nan),
        "relative_norm": max(norms.values(), default=math.nan),
    }


def costs_of_4(costs: Iterable[CostRecord], variants: Iterable[tuple[str, str, str]]) -> list[CostRecord]:
    """Costs of schema 4 with the variants that they lack.

    Args:
        costs: The costs.
        variants: Of every trajectory its key, its method and the method's variant.
    """
    by_trajectory: dict[str, str] = {}
    by_editor: dict[str, set[str]] = defaultdict(set)
    for trajectory, editor, variant in variants:
        by_trajectory[trajectory] = variant
        by_editor[editor].add(variant)
    return [_with_variant(cost, by_trajectory, by_editor) for cost in costs]


def _with_variant(
    cost: CostRecord, by_trajectory: dict[str, str], by_editor: dict[str, set[str]]
) -> CostRecord:
    if cost.variant or cost.editor in ("", UNEDITED):
        return cost
    # What was prepared before any trajectory began can be told where the method has one variant only.
    of_method: Sequence[str] = sorted(by_editor.get(cost.editor, ()))
    alone = of_method[0] if len(of_method) == 1 else ""
    return cost.model_copy(update={"variant": by_trajectory.get(cost.trajectory, alone)})


def suites_of_4() -> Suites:
    """The suites that runs could have whose manifests say nothing of them."""
    titles = {
        "bbh": "BBH",
        "commonsenseqa": "CommonsenseQA",
        "gsm8k": "GSM8K",
        "mmlu": "MMLU",
        "triviaqa": "TriviaQA",
    }
    safety = Section.SAFETY
    truth = {f"truthfulqa_mc{i}": TaskInfo(title=f"TruthfulQA MC{i}", section=safety) for i in (1, 2)}
    of_builtin = {name: TaskInfo(section=safety) for name in ("truthfulness", "harm_recognition")}
    return Suites(
        {
            **{name: SuiteInfo(title=title) for name, title in titles.items()},
            "builtin": SuiteInfo(tasks=of_builtin),
            "perplexity": SuiteInfo(section=Section.HEALTH),
            "refusal": SuiteInfo(section=safety),
            "toxigen": SuiteInfo(title="ToxiGen", section=safety),
            "truthfulqa": SuiteInfo(title="TruthfulQA", section=safety, tasks=truth),
        }
    )
