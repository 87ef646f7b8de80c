#!/bin/sh
# Every `suite/test` in docs/security.md is a test that there is; `suite/*` has at least one.
bad=0
tests=$(git grep -hoE '^Test\([a-z_0-9]+, *[a-z_0-9]+' -- tests | sed 's/^Test(//; s/, */\//')
for name in $(grep -oE '`[a-z_0-9]+/[a-z_0-9*]+`' docs/security.md | tr -d '`' | sort -u); do
	case $name in
	*/\*) echo "$tests" | grep -q "^${name%\*}" ;;
	*) echo "$tests" | grep -qx "$name" ;;
	esac || { echo "docs/security.md: there is no test $name"; bad=1; }
done
exit $bad
