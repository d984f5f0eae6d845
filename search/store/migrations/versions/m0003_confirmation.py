"""Trainings outside a search: a study may belong to another one, whose candidates it trains again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: a constraint would make SQLite copy the table, and its cascades would take all trials along.
    with op.batch_alter_table("ft_study", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parent", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("kind", sa.String(length=16), nullable=True))
