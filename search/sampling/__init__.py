"""All that speaks Optuna: study, samplers, pruners, storage, importance, cost model."""
