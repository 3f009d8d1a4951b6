#!/usr/bin/env bash
# Usage: bash tools/dist_test.sh CONFIG CKPT PROCESSES [arguments of tools/test.py]
# PYTHON names the interpreter (default: python). Several nodes: set NNODES, NODE_RANK, MASTER_ADDR, PORT on each.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $0 CONFIG CKPT PROCESSES [arguments]" >&2; exit 2; }
"${PYTHON:-python}" -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$3" "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
