#!/bin/sh
# Lines of at most 100 columns (tables apart), tabs, no blanks at the end, "common/defs.h" first, a first
# comment that says what the file is for; no time of its own for a test.
bad=0
for file in $(git ls-files '*.c' '*.h'); do
	awk -v file="$file" '
		{ line = $0; gsub(/\t/, "        ", line); gsub(/[\200-\277]/, "", line) }
		length(line) > 100 && line !~ /^#define|\\$/ { print file ":" NR ": over 100 columns"; bad = 1 }
		/[ \t]$/ { print file ":" NR ": blank at the end"; bad = 1 }
		/^  / && before ~ /[{;]$/ { print file ":" NR ": indented with spaces"; bad = 1 }
		{ before = $0 }
		FNR == 1 && !/^\/\*/ { print file ": no opening comment"; bad = 1 }
		END { exit bad }' "$file" || bad=1
	case $file in
	*.c)
		first=$(sed -n 's/^#include //p' "$file" | head -n 1)
		[ "$first" = '"common/defs.h"' ] || { echo "$file: first include is $first"; bad=1; } ;;
	esac
done
typedefs=$(git grep -nE '^typedef struct' -- 'common' 'api' 'tenant' 'policy' 'control' 'worker')
[ -z "$typedefs" ] || { echo "$typedefs"; bad=1; }
# Every test has the same time: tests/support/patience.c.
timed=$(git grep -nE '(^Test.*|^ +)\.timeout = [0-9]+\)$' -- 'tests')
[ -z "$timed" ] || { echo "$timed: no test names a time"; bad=1; }
exit $bad
