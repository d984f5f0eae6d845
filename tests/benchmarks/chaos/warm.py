"""Imports all that a worker imports when it comes to it, so that the next worker starts in a moment."""

from __future__ import annotations

import ctypes
import signal

import optuna.importance
import pandas
import plotly.graph_objects
import psycopg
import scipy.stats
import sklearn.ensemble
import timm
from PIL import Image

import search.api
import search.lifecycle.export
import search.report.page
from search.data.formats import formats
from search.tasks import tasks
from spaces.plugins import load

# The process that all workers come from dies with the fault run, and they die with it.
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
Image.init()
formats()
tasks()
for package, attribute in (
    ("spaces.decisions", "decision"),
    ("spaces.families", "family"),
    ("spaces.backbones", "source"),
):
    load(package, attribute)
__all__ = ["optuna", "pandas", "plotly", "psycopg", "scipy", "search", "sklearn", "timm"]
