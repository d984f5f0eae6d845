"""Programs are run as files, with this folder in front of the path; their tests import them in the same way."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
