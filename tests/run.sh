#!/bin/sh
# One suite: run.sh BUILD SUITE. A leak or race report fails it even where Criterion says all passed.
set -u
build=$1 suite=$2
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
export ASAN_OPTIONS="log_path=$reports/asan:detect_leaks=1:fast_unwind_on_malloc=0:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1"
export TSAN_OPTIONS="log_path=$reports/tsan:atexit_sleep_ms=0:suppressions=$PWD/tests/tsan.supp:${TSAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"
export FREEHOLD_BUILD="$PWD/$build"
# These wait for etcd and for processes most of the time.
case $suite in conformance | fault | system) jobs=4 ;; *) jobs=2 ;; esac
echo "== $build/test-$suite"
"$build/test-$suite" -j$jobs --timeout 240 ${VERBOSE:+--verbose} ${FILTER:+--filter "$FILTER"}
code=$?
if [ -n "$(ls -A "$reports")" ]; then
	cat "$reports"/*
	echo "sanitizer reports: $(ls "$reports" | wc -l)"
	exit 1
fi
exit $code
