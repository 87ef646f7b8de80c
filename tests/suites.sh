#!/bin/sh
# Every suite once, by two hands: suites.sh BUILD MAKE SUITE... -- SANITIZED...
# One hand takes suites in order; the other builds what the sanitizers and the fuzzer need, then takes
# from the end, until they meet: what waits for processes runs beside a build, and the last suites run
# in twos (one alone starts its tests one after another and keeps little more than a core busy).
# SANITIZED is asan/NAME or tsan/NAME. What a suite prints comes at its end, all at once.
set -u
build=$1 make=$2
shift 2
desk=$(mktemp -d)
second=''
trap 'rm -rf "$desk"' EXIT
trap '[ -z "$second" ] || kill $second 2>/dev/null; exit 1' INT TERM

# ours SUITE: true for one hand only, and for none once a suite has failed.
ours() {
	[ ! -e "$desk/failed" ] && mkdir "$desk/$(echo "$1" | tr / -)" 2>/dev/null
}

run() {
	out=$desk/$(echo "$1" | tr / -)/out
	began=$(date +%s)
	sh tests/run.sh "$(dirname "$build/$1")" "$(basename "$1")" >"$out" 2>&1 ||
		echo "$1" >>"$desk/failed"
	cat "$out"
	echo "   $1: $(($(date +%s) - began)) s"
}

# Nobody can take a sanitizer's suite before it is built.
ready() {
	case $1 in */*)
		until [ -e "$desk/built" ] || [ -e "$desk/failed" ]; do sleep 1; done
		;;
	esac
}

first_hand() {
	for suite in "$@"; do
		[ "$suite" != -- ] || continue
		ready "$suite"
		if ours "$suite"; then run "$suite"; fi
	done
}

san_build() {
	began=$(date +%s)
	nice -n 19 "$make" --no-print-directory BUILD="$build" san-build >"$build/san-build.log" 2>&1 &
	making=$!
	trap 'kill $making 2>/dev/null; exit 1' TERM
	if wait $making; then
		echo "   san-build: $(($(date +%s) - began)) s"
		touch "$desk/built"
		trap - TERM
	else
		tail -n 40 "$build/san-build.log"
		echo san-build >>"$desk/failed"
	fi
}

second_hand() {
	backwards=''
	for suite in "$@"; do
		if [ "$suite" = -- ]; then backwards=''; else backwards="$suite $backwards"; fi
	done
	san_build
	for suite in $backwards; do
		if ours "$suite"; then run "$suite"; fi
	done
}

second_hand "$@" &
second=$!
first_hand "$@"
if [ -e "$desk/failed" ] && [ ! -e "$desk/built" ]; then
	kill $second 2>/dev/null
fi
wait $second
[ ! -e "$desk/failed" ] || { echo "failed:" $(cat "$desk/failed"); exit 1; }
