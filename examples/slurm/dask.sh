#!/bin/bash
# A scheduler here, WORKERS workers as an array job, and one bench command on them; all of it ends with the command.
#   WORKERS=16 bash examples/slurm/dask.sh compare uniform popularity --dataset ml-1m --seeds 10
# From the project's folder, on a machine that the workers reach; HOST=NAME where that has several. What your queue asks
# for goes into workers.sbatch, or into variables that sbatch reads, as SBATCH_PARTITION and SBATCH_ACCOUNT.
set -euo pipefail
python=${PYTHON:-.venv/bin/python}
folder=$(mktemp -d)
job=
scheduler=
finish() {
  if [ -n "$job" ]; then scancel "$job" || true; fi
  if [ -n "$scheduler" ]; then kill "$scheduler" 2> /dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT
"$python" -m dask scheduler ${HOST:+--host "$HOST"} --port "${PORT:-0}" --no-dashboard \
  --scheduler-file "$folder/scheduler.json" > "$folder/scheduler.log" 2>&1 &
scheduler=$!
until [ -s "$folder/scheduler.json" ]; do
  if ! kill -0 "$scheduler" 2> /dev/null; then cat "$folder/scheduler.log" >&2; exit 1; fi
  sleep 0.2
done
address=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$folder/scheduler.json")
job=$(sbatch --parsable --array="1-${WORKERS:-4}" examples/slurm/workers.sbatch "$address")
echo "Job $job waits for its first worker; scancel $job gives it up." >&2
"$python" -c 'import sys; from distributed import Client; Client(sys.argv[1]).wait_for_workers(1)' "$address"
"$python" -m bench "$@" --cluster "$address"
