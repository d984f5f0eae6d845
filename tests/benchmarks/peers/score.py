"""What a finished model says of a folder's images: ``python -m peers.score MODEL FOLDER`` prints classes as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from peers._images import decode, files_of
from peers._networks import outputs, restore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    network, design = restore(given.model)
    files = files_of(given.folder)
    found = outputs(network, [decode(path, design.size) for path in files], design.size).argmax(1)
    print(json.dumps({str(path): int(label) for path, label in zip(files, found, strict=True)}))


if __name__ == "__main__":
    main()
