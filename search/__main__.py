"""``python -m search``: the same as the command ``ftsearch``."""

import sys

from search.cli import main

sys.exit(main())
