"""Workers that are seen, where checkpoints are, what fitted into memory, the story of a trial's attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ft_study", schema=None) as batch_op:
        batch_op.add_column(sa.Column("artifacts", sa.JSON(), nullable=True))
    with op.batch_alter_table("ft_trial", schema=None) as batch_op:
        batch_op.add_column(sa.Column("story", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("resume", sa.JSON(), nullable=True))
        batch_op.create_index("ix_ft_trial_study_id_value", ["study_id", "value"], unique=False)

    op.create_table(
        "ft_worker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.Float(precision=53), nullable=False),
        sa.Column("left", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["ft_study.id"], name=op.f("fk_ft_worker_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ft_worker")),
        sa.UniqueConstraint("study_id", "name", name="uq_ft_worker_study_id_name"),
    )
    op.create_table(
        "ft_fitted",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("structure", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["ft_study.id"], name=op.f("fk_ft_fitted_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "structure", "device", name=op.f("pk_ft_fitted")),
    )
