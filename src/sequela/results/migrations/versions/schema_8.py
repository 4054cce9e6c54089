"""Schema 8: samples of edits.

Results of earlier schemas belong to no sample. The digests of their rows hold, since a digest doesn't cover a
sample that is missing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8"
down_revision = "7"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the sample to the measurements; the records of edits and costs are JSON and need no change."""
    op.add_column("measurement", sa.Column("edit_sample", WHOLE))
    op.execute("UPDATE store SET schema_version = 8")
