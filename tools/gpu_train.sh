#!/usr/bin/env bash
# Train on a machine with a GPU and no network, perhaps lent for minutes at a time (docs/training.md):
#
#   tools/gpu_train.sh RECIPE.toml PARCEL... [KEY=VALUE ...]
#
# Unpacks the parcels (tools/gpu_parcel.py), takes the voiceprint encoder of `small` from the package, and trains the
# recipe; run again, it goes on. KEY=VALUE changes the recipe. Weights in float16 and curves are copied to $OUT every
# half minute: whoever is lent a machine loses it without warning. Settings:
#   OUT=runs/gpu      results
#   LIMIT_S=570       stop in good order after so many seconds
#   RUNS=runs         bank, states
#   START=FILE        begin with the weights of an earlier training instead
set -euo pipefail
recipe=$1
shift
out=${OUT:-runs/gpu} limit_s=${LIMIT_S:-570} runs=${RUNS:-runs}
tools=$(dirname "$0")
export PYTHONPATH=$tools/../src:$runs/site${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python3} name=$(basename "$recipe" .toml)
parcels=() changes=()
for argument in "$@"; do
  if [ -d "$argument" ]; then parcels+=("$argument"); else changes+=(--set "$argument"); fi
done

keep() { # what leaves this machine: a few small files
  local file
  for file in "$runs/$name"/{best.safetensors,last.safetensors,curves.jsonl}; do
    [ -e "$file" ] && cp "$file" "$out/$name-$(basename "$file")"
  done
  return 0
}

mkdir -p "$out" "$runs"
first=${parcels[0]}
if [ -d "$first/wheels" ] && [ ! -d "$runs/site" ]; then
  "$python" -m pip install -q --no-index --no-deps --target "$runs/site" "$first"/wheels/*.whl
fi
archives=() lists="" noise=""
for parcel in "${parcels[@]}"; do archives+=("$parcel"/speech-*.zip); done
[ -e "$runs/bank/utterances.csv" ] || "$python" -m tinywase data pack "${archives[@]}" -o "$runs/bank"
if [ -e "$first/noise.zip" ]; then
  noise=$runs/noise
  [ -e "$noise/utterances.csv" ] || "$python" -m tinywase data pack "$first/noise.zip" -o "$noise"
fi
for list in "$first"/*.csv; do
  [ ! -e "$list" ] || lists+="\"$list\","
done
if [ -z "${START:-}" ]; then
  START=$runs/voiceprint.safetensors
  "$python" "$tools/voiceprint_of.py" "$tools/../src/tinywase/assets/models/small.twase" "$START"
fi
(while sleep 30; do keep; done) &
trap "kill $!; keep" EXIT
timeout --preserve-status --kill-after=25 $((limit_s - SECONDS)) \
  "$python" -m tinywase train "$recipe" --set "out=$runs/$name" --set "init=[\"$START\"]" --set "data.bank=$runs/bank" \
  --set "data.sources=[]" --set "data.noise=$noise" --set "data.dev=[$lists]" --set "data.dev_root=$first" "${changes[@]}"
