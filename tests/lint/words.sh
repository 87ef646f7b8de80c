#!/bin/sh
# Nothing unfinished and no package registry's address in what we ship.
bad=0
found=$(git grep -nwE 'TODO|FIXME|XXX|HACK' -- ':!tests/lint/words.sh')
[ -z "$found" ] || { echo "$found"; bad=1; }
found=$(git grep -nE 'https?://[^ )"]*(registry|mirror|pypi|npmjs)' -- ':!tests/lint/words.sh')
[ -z "$found" ] || { echo "$found"; bad=1; }
exit $bad
