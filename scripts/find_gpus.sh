#!/usr/bin/env bash
# Tells Spark which GPUs an executor has (spark.executor.resource.gpu.discoveryScript):
#   {"name": "gpu", "addresses": ["0", "1"]}
# The addresses are torch's: with CUDA_VISIBLE_DEVICES they count from 0 among the visible ones.
set -euo pipefail

if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    # As CUDA reads it: the list ends at the first entry that can be no GPU, as -1 or NoDevFiles.
    count="$(tr -cd '[:alnum:],-' <<<"$CUDA_VISIBLE_DEVICES" | tr ',' '\n' |
        awk '!/^([0-9]+|GPU-.+|MIG-.+)$/ { exit } { count++ } END { print count + 0 }')"
else
    count="$(nvidia-smi --query-gpu=index --format=csv,noheader | grep -c .)" || {
        echo "find_gpus.sh: nvidia-smi lists no GPU on $(hostname)" >&2
        exit 1
    }
fi
addresses=""
for ((number = 0; number < count; number++)); do
    addresses+="${addresses:+, }\"$number\""
done
printf '{"name": "gpu", "addresses": [%s]}\n' "$addresses"
