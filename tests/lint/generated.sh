#!/bin/sh
# The reference pages are what the tables give: generated.sh BUILD.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$1/gen-docs" "$fresh" && diff -r "$fresh" docs/reference || { echo 'run: make docs'; exit 1; }
