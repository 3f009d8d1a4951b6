#!/usr/bin/env bash
# Usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]; see dist_run.sh.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CONFIG PROCESSES [arguments]" >&2; exit 2; }
exec bash "$(dirname "$0")/dist_run.sh" train "$2" "$1" "${@:3}"
