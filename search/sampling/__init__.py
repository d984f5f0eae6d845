"""Everything that uses Optuna: study, samplers, pruners, storage, importance, cost model."""
