from __future__ import annotations

from collections.abc import Callable

from sequela.reports.retention_by_age import age_table
from sequela.results import EditRecord, ItemRecord


def record(position: int) -> EditRecord:
    return EditRecord(
        trajectory="t",
        model="m",
        editor="rome",
        variant="r-rome",
        edit_source="builtin",
        order_seed=0,
        edit_id=f"e{position}",
        position=position,
        batch=position,
        prompt="p",
        target_new="n",
        seconds=1.0,
        optimization_steps=1,
        first_loss=1.0,
        final_loss=0.5,
        relative_norm=0.1,
    )


def answers(n_edits: int, value: Callable[[int], float]) -> list[ItemRecord]:
    return [
        ItemRecord(
            suite="edit_quality",
            task="retention@n",
            metric=metric,
            protocol="free_decoding",
            item=f"e{position}",
            value=value(position) if metric == "efficacy" else 0.5,
        )
        for position in range(1, n_edits + 1)
        for metric in ("efficacy", "paraphrase")
    ]


def test_the_newest_edits_come_first() -> None:
    kept = answers(30, lambda position: float(position > 15))
    table = age_table([record(i) for i in range(1, 31)], [("t", 30, kept)])
    assert table.columns == ("1 to 10", "11 to 25", "26 to 50")
    (row,) = table.rows
    assert (row.label, row.n_edits) == ("rome (r-rome)", 30)
    # edits 21 to 30, 6 to 20 (of which 16 to 20 are left) and 1 to 5
    assert [cell.partition(" ")[0] for cell in row.cells] == ["100.0", "33.3", "0.0"]
    assert [cell.rpartition("(")[2] for cell in row.cells] == ["10)", "15)", "5)"]


def test_a_run_without_edits_has_no_age_groups() -> None:
    assert age_table([], []).rows == ()
    assert age_table([], [("t", 3, answers(3, float))]).rows == ()
