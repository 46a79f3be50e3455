#!/usr/bin/env bash
# Train on a machine with a GPU and no network, perhaps lent for minutes at a time (docs/training.md):
#
#   tools/gpu_train.sh RECIPE.toml PARCEL... [KEY=VALUE ...]
#
# Unpacks the parcels (tools/gpu_parcel.py) and trains the recipe, beginning with the voiceprint encoder of the package's
# `small`, or compresses it, beginning with `small`; run again, it goes on. KEY=VALUE changes the recipe. Weights in
# float16 (of a compression, a model file) and curves are copied to $OUT every half minute: whoever is lent a machine
# loses it without warning. Settings:
#   OUT=runs/gpu      results
#   LIMIT_S=570       stop in good order after so many seconds
#   RUNS=runs         bank, states
#   START=FILE        begin with these weights instead
set -euo pipefail
recipe=$1
shift
out=${OUT:-runs/gpu} limit_s=${LIMIT_S:-570} runs=${RUNS:-runs}
tools=$(dirname "$0")
export PYTHONPATH=$tools/../src:$runs/site${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python3} name=$(basename "$recipe" .toml)
work=$runs/$name compression=$(grep '^strategy' "$recipe" || true) small=$tools/../src/tinywase/assets/models/small.twase
parcels=() changes=()
for argument in "$@"; do
  if [ -d "$argument" ]; then parcels+=("$argument"); else changes+=(--set "$argument"); fi
done

keep() { # what leaves this machine: a few small files
  local file kept=(best.safetensors last.safetensors curves.jsonl)
  if [ "$compression" ]; then
    kept=(curves.jsonl)
    [ ! -e "$work/last.safetensors" ] || "$python" -m tinywase export "$work/last.safetensors" -o "$out/$name-last.twase" \
      --float-kind float16 --compact --force > /dev/null
  fi
  for file in "${kept[@]}"; do
    [ ! -e "$work/$file" ] || cp "$work/$file" "$out/$name-$file"
  done
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
settings=(--set "data.bank=$runs/bank" --set "data.sources=[]" --set "data.noise=$noise" --set "data.dev=[$lists]"
  --set "data.dev_root=$first" "${changes[@]}")
if [ "$compression" ]; then
  run=(compress "${START:-$small}" --recipe "$recipe" --work "$work" -o "$out/$name.twase" --force)
else
  if [ -z "${START:-}" ]; then
    START=$runs/voiceprint.safetensors
    "$python" "$tools/voiceprint_of.py" "$small" "$START"
  fi
  run=(train "$recipe" --set "out=$work" --set "init=[\"$START\"]")
fi
(while sleep 30; do keep || true; done) > /dev/null &
trap "kill $!; keep" EXIT
timeout --preserve-status --kill-after=25 $((limit_s - SECONDS)) "$python" -m tinywase "${run[@]}" "${settings[@]}"
