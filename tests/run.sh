#!/bin/sh
# One suite: run.sh BUILD SUITE. A leak or race report fails it even where Criterion says all passed.
set -u
build=$1 suite=$2
reports=$(mktemp -d)
known=$(mktemp)
trap 'rm -rf "$reports" "$known"' EXIT
cat tests/lsan.supp > "$known"
[ "$suite" != journey ] || cat tests/lsan-journey.supp >> "$known"
export ASAN_OPTIONS="log_path=$reports/asan:detect_leaks=1:halt_on_error=0:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1"
export TSAN_OPTIONS="log_path=$reports/tsan:atexit_sleep_ms=0:suppressions=$PWD/tests/tsan.supp:${TSAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$known:print_suppressions=0"
export FREEHOLD_BUILD="$PWD/$build"
# These wait for etcd and for processes most of the time.
case $suite in conformance | fault | system) jobs=4 ;; *) jobs=2 ;; esac
# A test that hangs is ended by tests/support/patience.c; this is for a runner that does.
most=1500
if [ "$suite" = chaos ]; then
	export PATIENCE_S=$((240 + ${CHAOS_SECONDS:-0}))
	most=$((most + ${CHAOS_SECONDS:-0}))
fi
echo "== $build/test-$suite"
timeout --foreground -k 10 $most "$build/test-$suite" -j$jobs \
	${VERBOSE:+--verbose} ${FILTER:+--filter "$FILTER"}
code=$?
# Criterion's own runner loses a few bytes when it runs tests in parallel: in a leak of its own there is
# nothing but the allocator and Criterion on the stack. (With halt_on_error=0 a leak is in a report, and
# the exit code is Criterion's own; other errors end the process all the same, as it is built.)
for report in "$reports"/asan*; do
	if grep -qs 'LeakSanitizer: detected' "$report" &&
		! grep -E '^ *#[1-9]' "$report" | grep -qv libcriterion; then
		rm "$report"
	fi
done
if [ -n "$(ls -A "$reports")" ]; then
	cat "$reports"/*
	echo "sanitizer reports: $(ls "$reports" | wc -l)"
	exit 1
fi
exit $code
