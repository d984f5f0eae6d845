"""Operations on a whole study: run and join, confirm, refit, export, delete."""
