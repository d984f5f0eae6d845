"""Alembic's entry: runs on the connection that ``search.store.migrate`` hands over, under its lock."""

from alembic import context

from search.store.migrate import VERSION_TABLE
from search.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
