"""Values of several objectives, and constraints that a trial keeps or breaks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ft_trial", schema=None) as batch_op:
        batch_op.add_column(sa.Column("objectives", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("constraints", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("feasible", sa.Boolean(), nullable=True))
