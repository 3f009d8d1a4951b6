#!/usr/bin/env bash
# Usage: bash tools/dist_run.sh TOOL PROCESSES [arguments of tools/TOOL.py]; what the other dist_*.sh call.
# PYTHON names the interpreter (default: python). Several nodes: set NNODES, NODE_RANK, MASTER_ADDR, PORT on each.
set -euo pipefail
fail() { echo "error: $1" >&2; exit 2; }
[ $# -ge 2 ] || fail "usage: $0 TOOL PROCESSES [arguments]"
[[ "$2" =~ ^([1-9][0-9]*|auto|gpu|cpu)$ ]] || fail "the number of processes must be a positive integer, got '$2'."
PORT="${PORT:-29500}"
[[ "$PORT" =~ ^[0-9]{1,5}$ ]] || fail "PORT must be a number, got '$PORT'."
[ "${NNODES:-1}" = 1 ] || [ -n "${MASTER_ADDR:-}" ] || fail "NNODES=$NNODES: set MASTER_ADDR to the address of the first node, on each."
if [ "${NNODES:-1}" = 1 ] && (exec 3<>"/dev/tcp/${MASTER_ADDR:-127.0.0.1}/$PORT") 2>/dev/null; then
    fail "port $PORT is in use, as by another training; set PORT to another number."
fi
"${PYTHON:-python}" -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$PORT" \
    --nproc_per_node="$2" "$(dirname "$0")/$1.py" --launcher pytorch "${@:3}"
