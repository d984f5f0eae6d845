"""Results as plain data, shared by training, store and report: no torch, SQL or Optuna."""
