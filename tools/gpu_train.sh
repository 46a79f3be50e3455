#!/usr/bin/env bash
# Train `paper` on a machine with a GPU and no network, perhaps lent for minutes at a time (docs/training.md):
#
#   tools/gpu_train.sh PARCEL [KEY=VALUE ...]
#
# Unpacks the speech of the parcel (tools/gpu_parcel.py), trains the voiceprint encoder, then extraction; run again, it
# goes on. KEY=VALUE changes both recipes. Weights in float16 and curves are copied to $OUT once a minute. Settings:
#   OUT=runs/gpu      results
#   LIMIT_S=570       stop in good order after so many seconds
#   MINUTES=22        of extraction, over all runs; its learning rate decays towards their end
#   RUNS=runs         bank, states
#   START=FILE        float16 weights of an earlier training: begin extraction with them, without training voiceprints
set -euo pipefail
parcel=$1
shift
out=${OUT:-runs/gpu} limit_s=${LIMIT_S:-570} runs=${RUNS:-runs}
recipes=$(dirname "$0")/../recipes
export PYTHONPATH=$(dirname "$0")/../src:$runs/site${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python3}

keep() { # what leaves this machine: a few small files
  local file
  for file in "$runs"/paper{,-voiceprint}/{best.safetensors,last.safetensors,curves.jsonl}; do
    [ -e "$file" ] && cp "$file" "$out/$(basename "$(dirname "$file")")-$(basename "$file")"
  done
  return 0
}

train() { # NAME [KEY=VALUE ...]: train recipes/NAME.toml until it is done or the time is up; 1 if it is not done
  local name=$1 changes=() change
  shift
  grep -qs '"done": 1.0' "$runs/$name.json" && return
  for change in "out=$runs/$name" "data.bank=$runs/bank" "data.dev=[$lists]" "data.dev_root=$parcel" "$@"; do
    changes+=(--set "$change")
  done
  timeout --preserve-status --kill-after=25 $((limit_s - SECONDS)) \
    "$python" -m tinywase train "$recipes/$name.toml" --json "${changes[@]}" >"$runs/$name.json" || exit 1
  cat "$runs/$name.json"
  grep -q '"done": 1.0' "$runs/$name.json"
}

mkdir -p "$out" "$runs"
if [ -d "$parcel/wheels" ] && [ ! -d "$runs/site" ]; then
  "$python" -m pip install -q --no-index --no-deps --target "$runs/site" "$parcel"/wheels/*.whl
fi
[ -e "$runs/bank/utterances.csv" ] || "$python" -m tinywase data pack "$parcel/speech.zip" -o "$runs/bank"
lists=""
for list in "$parcel"/*.csv; do
  [ ! -e "$list" ] || lists+="\"$list\","
done
(while sleep 60; do keep; done) &
trap "kill $!; keep" EXIT
start=${START:-$runs/paper-voiceprint/state.pt}
[ -n "${START:-}" ] || train paper-voiceprint "$@" || exit 0
train paper "init=[\"$start\"]" "minutes=${MINUTES:-22}" "$@" || exit 0
