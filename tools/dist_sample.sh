#!/usr/bin/env bash
# Usage: bash tools/dist_sample.sh CONFIG CKPT PROCESSES --npz FILE [arguments of tools/sample.py]; see dist_run.sh.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $0 CONFIG CKPT PROCESSES --npz FILE [arguments]" >&2; exit 2; }
exec bash "$(dirname "$0")/dist_run.sh" sample "$3" "$1" "$2" "${@:4}"
