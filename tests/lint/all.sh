#!/bin/sh
# make check: every rule of the house that a script can hold. all.sh BUILD
set -u
build=$1
dir=tests/lint
passed=0
failed=0
run() {
	title=$1
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		printf '  ok    %s\n' "$title"
	else
		failed=$((failed + 1))
		printf '  FAIL  %s\n%s\n' "$title" "$out" | sed '2,$s/^/          /'
	fi
}
run 'layers: includes point down only'         sh $dir/layers.sh
run 'doors: one file a library'                sh $dir/libs.sh
run 'sizes: files, functions, complexity'      sh $dir/sizes.sh
run 'globals: no mutable state'                sh $dir/globals.sh "$build"
run 'names: unique basenames, guards'          sh $dir/names.sh
run 'style: lines, blanks, first include'      sh $dir/style.sh
run 'secrets: constant-time compares'          sh $dir/secrets.sh
run 'tests: a unit test for every module'      sh $dir/modules.sh
run 'docs: the journey names real functions'   sh $dir/journey.sh
run 'docs: the threat model names real tests'    sh $dir/threats.sh
run 'docs: links lead somewhere'               sh $dir/links.sh
run 'docs: generated pages are up to date'     sh $dir/generated.sh "$build"
run 'words: nothing unfinished, no addresses'  sh $dir/words.sh
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
