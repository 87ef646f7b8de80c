#!/bin/sh
# Basenames are unique (main.c apart), and a header's guard is its name.
bad=0
twice=$(git ls-files 'common/*.[ch]' 'api/*.[ch]' 'tenant/*.[ch]' 'policy/*.[ch]' 'control/*.[ch]' 'worker/*.[ch]' |
	sed 's|.*/||' | grep -v '^main\.c$\|^conf\.[ch]$' | sort | uniq -d)
[ -z "$twice" ] || { echo "more than one: $twice"; bad=1; }
for file in $(git ls-files '*.h'); do
	guard=$(basename "$file" .h | tr 'a-z-' 'A-Z_')_H
	grep -q "^#ifndef [A-Z_]*$guard\$" "$file" || { echo "$file: guard is not $guard"; bad=1; }
done
exit $bad
