#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh FUZZER SECONDS - one bounded fuzzing run over the corpus in the tree; finds go to stdout
name=$(basename "$1"); corpus=$(dirname "$0")/corpus/${name#fuzz-}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/new"
args=("$work/new"); [ ! -d "$corpus" ] || args+=("$corpus")
if "$1" -max_total_time="$2" -rss_limit_mb=2048 -timeout=20 -artifact_prefix="$work/" "${args[@]}" >"$work/log" 2>&1; then
	echo "ok 1 - $name: $(grep -oE '^#[0-9]+' "$work/log" | tail -1 | tr -d '#') inputs"
else
	tail -40 "$work/log" | sed 's/^/# /'
	for f in "$work"/{crash,leak,timeout,oom}-*; do [ ! -e "$f" ] || { echo "# input $(basename "$f"):"; base64 "$f" | head -20 | sed 's/^/# /'; }; done
	echo "not ok 1 - $name"
fi
echo 1..1
