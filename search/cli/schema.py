"""Print the JSON schema of study files, for editors that complete and check YAML."""

from __future__ import annotations

SECTION, ORDER = "Look", 5


def command() -> None:
    from search.cli._console import print_json
    from search.spec.document import json_schema

    print_json(json_schema())
