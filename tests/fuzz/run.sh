#!/bin/sh
# Runs fuzz targets, FUZZ_JOBS at a time: run.sh BUILD SECONDS TARGETS... One line a target; fails on a
# finding. A target runs its whole corpus first, then looks for SECONDS; with FUZZ_RUNS, for so many inputs
# at most, and from one seed: the same search each time, but for what addresses decide. The corpus is only
# read; what a run discovers is thrown away, what it breaks is kept.
set -u
if [ "$1" != --one ]; then
	build=$1 seconds=$2
	shift 2
	printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-1}" -I{} sh "$0" --one "$build" "$seconds" {}
	exit $?
fi
build=$2 seconds=$3 target=$4
here=$(dirname "$0")
seeds=$(printf '%s,' "$here/corpus/$target"/*)
search=${FUZZ_RUNS:+-seed=1 -runs=$FUZZ_RUNS}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
keep=$build/fuzz/findings/$target-
mkdir -p "$build/fuzz/findings"
if "$build/fuzz/$target" $search -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
	-max_len=16384 -print_final_stats=1 -verbosity=1 -artifact_prefix="$keep" \
	-seed_inputs="${seeds%,}" >"$log" 2>&1; then
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
	printf 'fuzz %-14s ok       %s inputs, %s edges\n' "$target" "${runs:-?}" "${cover:-?}"
else
	printf 'fuzz %-14s FINDING  see %s*\n' "$target" "$keep"
	tail -40 "$log"
	for input in "$keep"*; do
		echo "base64 of $input:" && base64 "$input"
	done
	exit 1
fi
