#!/usr/bin/env bash
# tests/gpu/check.sh [--device cuda|cpu] [--wheels FOLDER] [--out FOLDER] [--limit SECONDS] [--data FOLDER]
# All there is to know about a GPU, in one run of 8 minutes at most: installs what is missing from FOLDER (tests/gpu/wheels.sh
# fills it), then runs tests/benchmarks/gpu_check.py, which prints a summary and leaves gpu.json and check.log in the folder of --out.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} wheels="" passed=()
while (($#)); do
  case $1 in
    --wheels) wheels=$2; shift 2 ;;
    *) passed+=("$1"); shift ;;
  esac
done
if [[ -n $wheels ]]; then
  "$python" -m pip install -q --no-index --no-deps --no-warn-script-location --break-system-packages "$wheels"/*.whl
fi
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
exec "$python" tests/benchmarks/gpu_check.py "${passed[@]}"
