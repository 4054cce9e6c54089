"""The tables of the results database.

Fields that are used for look-ups are columns. The record itself is stored as JSON, so that the pydantic
models remain the only definition of its content.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = 6
"""The schema version, increased whenever a table or a record changes. Stores of a newer version, or of one
older than `earlier_schema.OLDEST_READ`, can't be opened."""


class Base(DeclarativeBase):
    """The declarative base class of the tables."""


class StoreRow(Base):
    """The single row with the schema version."""

    __tablename__ = "store"

    id: Mapped[int] = mapped_column(primary_key=True)
    schema_version: Mapped[int]


class EvaluationRow(Base):
    """One finished evaluation; its measurements are written in the same transaction."""

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
    """One measurement, with a column for each field so that results can be queried with SQL."""

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
    group: Mapped[str] = mapped_column("task_group")  # `group` is a reserved word in SQL
    subtask: Mapped[str]
    metric: Mapped[str]
    protocol: Mapped[str]
    value: Mapped[float | None]
    stderr: Mapped[float | None]
    n: Mapped[int]
    n_nonfinite: Mapped[int]
    n_too_long: Mapped[int]
    n_unfinished_thinking: Mapped[int]
    n_failed: Mapped[int]
    baseline: Mapped[float | None]
    shared: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    note: Mapped[str]
    form: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    edit_template: Mapped[str]
    edit_template_args: Mapped[dict[str, Any]] = mapped_column(JSON)
    template: Mapped[str]
    template_args: Mapped[dict[str, Any]] = mapped_column(JSON)
    think_end_token: Mapped[str]
    max_thinking_tokens: Mapped[int | None]


class EditRow(Base):
    """One edit of a trajectory; an edit reapplied after an interruption replaces its earlier record."""

    __tablename__ = "edit"

    trajectory: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[str]


class CostRow(Base):
    """The cost of one step."""

    __tablename__ = "cost"

    id: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[str]
