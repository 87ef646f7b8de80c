#!/bin/sh
# Links between pages of the documentation lead to files that exist.
bad=0
for page in README.md CONTRIBUTING.md CHANGELOG.md $(git ls-files 'docs/*.md'); do
	for link in $(grep -oE '\]\([^)#: ]+[)#]' "$page" | sed 's/^](//; s/[)#]$//'); do
		[ -e "$(dirname "$page")/$link" ] || { echo "$page: $link is not there"; bad=1; }
	done
done
exit $bad
