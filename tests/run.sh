#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - run the tests; every part speaks TAP, and the last line counts what it said
#
#   tests/run.sh BUILD [lint|unit|fuzz|integration]...     all of them by default
# FUZZ_SECONDS (default 10) bounds each fuzzer.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd); cd "$here" || exit 1
mkdir -p "$1"; build=$(realpath "$1"); shift
parts=${*:-lint unit fuzz integration}
results=$(mktemp); trap 'rm -f "$results"' EXIT

# tap NAME CMD...: runs a TAP producer; a bad exit without a "not ok" counts as a failure of its own
tap() {
	local name=$1 log=$build/test-$1.log rc said start=$SECONDS; shift
	mkdir -p "$(dirname "$log")"
	timeout -k 10 "${TEST_TIMEOUT:-900}" "$@" >"$log" 2>&1 </dev/null; rc=$?
	grep -E '^(not )?ok ' "$log" >>"$results"
	if grep -q '^not ok ' "$log" || { [ $rc != 0 ] && echo "not ok - $name ended with $rc" >>"$results"; }; then
		said="FAIL $name ($((SECONDS - start)) s)
$(grep -B 25 '^not ok ' "$log" | grep -E '^(#|not ok)' | tail -60)
$(grep -q '^not ok ' "$log" || tail -25 "$log")"
	else
		said="ok   $name: $(grep -c '^ok ' "$log") tests ($((SECONDS - start)) s)"
	fi
	echo "$said" # in one piece: others speak as well
}
beside() { # N CMD...: in the background, as soon as fewer than N others are; then `wait`
	local n=$1; shift
	while [ "$(jobs -rp | wc -l)" -ge "$n" ]; do wait -n; done
	"$@" &
}
compile() { # DIR meson-options...: one TAP line for the build itself
	local dir=$1; shift
	{ [ -f "$dir/build.ninja" ] || CC=${CC_FOR:-cc} meson setup "$dir" "$@" >"$build/setup.log" 2>&1 || { cat "$build/setup.log"; false; }; } &&
		ninja -C "$dir" --quiet >"$build/compile.log" 2>&1 && echo "ok - $dir compiles" >>"$results" && return
	tail -30 "$build/compile.log"; echo "not ok - $dir compiles" | tee -a "$results"; return 1
}

part_lint() { for f in tests/lint/*.sh; do tap "lint/$(basename "$f" .sh)" "$f"; done; }
part_unit() {
	compile "$build-asan" -Db_sanitize=address,undefined -Db_lundef=false -Dtests=true -Dwerror=true || return
	meson introspect "$build-asan" --tests | jq -r '.[] | select(.suite | any(endswith("vm")) | not) | [.name, (.cmd | join(" "))] | @tsv' >"$build/units"
	while IFS=$'\t' read -r name cmd; do
		# shellcheck disable=SC2086 # words of a command line
		ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 beside "$(nproc)" tap "unit/$name" env -C "$build-asan" $cmd
	done <"$build/units"
	wait
}
part_fuzz() {
	CC_FOR=clang compile "$build-fuzz" -Dfuzz=true -Dtests=true || return
	for f in "$build"-fuzz/tests/fuzz/fuzz-*; do
		[ -x "$f" ] && [ -f "$f" ] || continue
		beside "$(nproc)" tap "fuzz/$(basename "$f")" tests/fuzz/run.sh "$f" "${FUZZ_SECONDS:-10}"
	done
	wait
}
part_integration() { # much of their time is waiting; the longest come first
	local f first="tests/api/registry_faults.sh tests/fault/network.sh tests/api/icc.sh"
	for f in $first $(ls tests/{net,api,vm,fault}/*.sh | grep -vxF "${first// /$'\n'}"); do
		BUILD=$build beside "$(nproc)" tap "$(basename "$(dirname "$f")")/$(basename "$f" .sh)" bash "$f"
	done
	wait
}
for part in $parts; do "part_$part"; done

passed=$(grep -v '# SKIP' "$results" | grep -c '^ok'); failed=$(grep -c '^not ok' "$results"); skipped=$(grep -c '^ok.*# SKIP' "$results")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
