#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - every benchmark, a JSON object a line:   bench/run.sh BUILD [--peer unix://... [--peer-enter CMD]] [--rounds N]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) build=$(realpath "$1"); shift
"$here/api.py" --build "$build" "$@"
for b in start load pull memory network; do "$here/$b.py" --build "$build" "$@"; done
"$here/forward.py" --build "$build"
