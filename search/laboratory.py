"""What all trials of a study share in one process: data, backbone, chain, space."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

import torch

from search import spec as specs
from search.data import cache
from search.data.batches import Batches
from search.data.sample import Dataset, Split
from search.errors import DataError
from search.records import DatasetRecord, Json, StudyRecord, UnitRecord
from search.spec import StudySpec
from search.tasks._base import Task
from search.training.precision import Precision, choose
from spaces import backbones, probe
from spaces.backbones._base import Backbone
from spaces.candidate import Candidate
from spaces.chain import Chain
from spaces.space import Space

logger = logging.getLogger(__name__)
PACKAGES = ("ftsearch", "torch", "torchvision", "optuna", "sqlalchemy", "numpy", "pillow")
