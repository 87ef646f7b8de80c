#!/bin/sh
# Every module with a header has a test that names its header, in some suite.
bad=0
for header in $(git ls-files 'common/*.h' 'api/*.h' 'tenant/*.h' 'policy/*.h' 'control/*.h' 'worker/*.h'); do
	git grep -q "\"$header\"" -- tests || { echo "$header: no test includes it"; bad=1; }
done
exit $bad
