#!/bin/sh
# docs/journey.md and architecture.md name code as `file.c:function`; each function is in that file.
bad=0
for at in $(grep -ohE '`[a-z_/]+\.[ch]:[a-z_0-9]+`' docs/journey.md docs/architecture.md | tr -d '\140'); do
	file=${at%%:*}
	grep -qE "\b${at#*:}\b" "$file" 2>/dev/null || { echo "docs: $at is not there"; bad=1; }
done
[ "$(grep -cE '`[a-z_/]+\.[ch]:[a-z_0-9]+`' docs/journey.md)" -gt 10 ] || { echo 'docs/journey.md names no code'; bad=1; }
exit $bad
