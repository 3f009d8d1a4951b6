#!/usr/bin/env bash
# Usage: bash tools/dist_test.sh CONFIG CKPT PROCESSES [arguments of tools/test.py]; see dist_run.sh.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $0 CONFIG CKPT PROCESSES [arguments]" >&2; exit 2; }
exec bash "$(dirname "$0")/dist_run.sh" test "$3" "$1" "$2" "${@:4}"
