"""The tables of the results database.

Each row's own fields are columns where something is looked up by them; the record itself is
kept as JSON, so that the pydantic models stay the one definition of what a record is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = 5
"""Counts up when a table or a record changes; a store of a newer version is refused, and so is one older than
`earlier_schema.OLDEST_READ`."""


class Base(DeclarativeBase):
    """The registry of the tables."""


class StoreRow(Base):
    """The one row that says what this file is."""

    __tablename__ = "store"

    id: Mapped[int] = mapped_column(primary_key=True)
    schema_version: Mapped[int]


class EvaluationRow(Base):
    """One finished evaluation; its measurements came in the same transaction."""

    __tablename__ = "evaluation"
    __table_args__ = (UniqueConstraint("trajectory", "n_edits", "suite", "suite_version", "model_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    trajectory: Mapped[str]
    n_edits: Mapped[int]
    suite: Mapped[str]
    suite_version: Mapped[str]
    model_hash: Mapped[str]
    n_items: Mapped[int]
    measurements: Mapped[list[MeasurementRow]] = relationship(order_by="MeasurementRow.id")


class MeasurementRow(Base):
    """One measurement, with every field in a column of its own for those who ask in SQL."""

    __tablename__ = "measurement"

    id: Mapped[int] = mapped_column(primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluation.id"), index=True)
    model: Mapped[str]
    editor: Mapped[str]
    variant: Mapped[str]
    edit_source: Mapped[str]
    order_seed: Mapped[int]
    n_edits: Mapped[int]
    suite: Mapped[str]
    task: Mapped[str]
    group: Mapped[str] = mapped_column("task_group")  # `group` is a word of SQL
    subtask: Mapped[str]
    metric: Mapped[str]
    protocol: Mapped[str]
    value: Mapped[float | None]
    stderr: Mapped[float | None]
    n: Mapped[int]
    n_nonfinite: Mapped[int]
    n_too_long: Mapped[int]
    n_failed: Mapped[int]
    baseline: Mapped[float | None]
    note: Mapped[str]
    form: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    edit_template: Mapped[str]
    template: Mapped[str]


class EditRow(Base):
    """One edit of a trajectory; an edit made again after a stop takes the place of its first record."""

    __tablename__ = "edit"

    trajectory: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[str]


class CostRow(Base):
    """What one step cost."""

    __tablename__ = "cost"

    id: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[str]
