#!/bin/sh
# Every suite in turn, and beside them, when nothing else wants a core, the programs of the
# sanitizers and the fuzzer: suites.sh BUILD MAKE SUITE...
set -u
build=$1 make=$2
shift 2
log=$build/san-build.log
nice -n 19 "$make" --no-print-directory BUILD="$build" san-build >"$log" 2>&1 &
built=$!
for suite in "$@"; do
	sh tests/run.sh "$build" "$suite" || { kill $built 2>/dev/null; exit 1; }
done
wait $built || { tail -n 40 "$log"; exit 1; }
