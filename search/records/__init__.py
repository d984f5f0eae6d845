"""The language of results: plain data without torch, SQL or Optuna."""
