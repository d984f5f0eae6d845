"""The command line's functions for Python and notebooks.

from search.api import run_study, load_study

result = run_study("studies/quickstart.yaml", trials=16)
print(result.best.words, result.best.value)
"""

from __future__ import annotations

from search.lifecycle.artifact_places import open_artifacts
from search.lifecycle.confirm import confirm_study
from search.lifecycle.delete import delete_study
from search.lifecycle.export import export_study
from search.lifecycle.open import load_study, open_study
from search.lifecycle.refit import refit_study
from search.lifecycle.run import StudyResult, join_study, run_study
from search.model.predict import load_model
from search.new_study.suggest import suggest
from search.ranking.options import RankOptions
from search.ranking.rank import rank_backbones
from search.report.page import write as write_report

__all__ = [
    "RankOptions",
    "StudyResult",
    "confirm_study",
    "delete_study",
    "export_study",
    "join_study",
    "load_model",
    "load_study",
    "open_artifacts",
    "open_study",
    "rank_backbones",
    "refit_study",
    "run_study",
    "suggest",
    "write_report",
]
