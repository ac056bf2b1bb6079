#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-format 14 decides the shape (other versions differ and are not asked); no file is longer than 800 lines.
cd "$(dirname "$0")/../.." || exit 1
clang-format --version | grep -q 'version 14' || { echo "ok 1 - formatting # SKIP clang-format is not version 14"; echo 1..1; exit 0; }
mapfile -t files < <(git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]')
out=$(clang-format --dry-run --Werror "${files[@]}" 2>&1 | grep 'error:' | cut -d: -f1 | sort | uniq -c)
if [ -z "$out" ]; then echo "ok 1 - clang-format agrees"; else sed 's/^/# /' <<<"$out"; echo "not ok 1 - clang-format agrees"; fi
long=$(for f in "${files[@]}"; do n=$(wc -l <"$f"); [ "$n" -le 800 ] || echo "# $f: $n lines"; done)
if [ -z "$long" ]; then echo "ok 2 - no file is longer than 800 lines"; else echo "$long"; echo "not ok 2 - no file is longer than 800 lines"; fi
echo 1..2
