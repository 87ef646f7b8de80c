#!/bin/sh
# make demo: from raw data to served features, with two tenants, a crash and a bill. demo.sh BUILD
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$build/demo
port=${DEMO_PORT:-7170}
data=$root/data
PATH=$build:$PATH
export FREEHOLD_CONFIG="$root/config.yaml"
export FREEHOLD_ERASE_AFTER_S=0 # a deletion waits for a week otherwise
started=$(date +%s)
dev=''

if [ -t 1 ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); else bold='' dim='' plain=''; fi
step=0
say() { step=$((step + 1)); printf '\n%s%d/11  %s%s\n' "$bold" "$step" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
# show WORDS...: the command as one would type it.
show() {
	printf '%s$' "$dim"
	for word; do
		case $word in *' '*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
	done
	printf '%s\n' "$plain"
}
run() { show "$@"; "$@"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }
# refused CODE WORDS...: the command must fail with that exit code.
refused() {
	want=$1
	shift
	show "$@"
	set +e
	"$@"
	code=$?
	set -e
	[ "$code" = "$want" ] || die "expected exit code $want, got $code"
	note "(exit code $code)"
}
start_dev() {
	freehold dev --data "$data" --files "$root/files" --port "$port" >"$root/dev.out" 2>&1 &
	dev=$!
	for _ in $(seq 600); do
		grep -q 'Freehold is up' "$root/dev.out" && break
		kill -0 "$dev" 2>/dev/null || { cat "$root/dev.out"; tail -n 5 "$data"/log/*.log; die 'freehold dev did not start'; }
		sleep 0.1
	done
	grep 'Freehold is up' "$root/dev.out" || { cat "$root/dev.out"; die 'freehold dev is not ready'; }
}
stop_dev() { kill -INT "$dev" && wait "$dev"; dev=''; }
trap '[ -z "$dev" ] || { kill -INT "$dev" 2>/dev/null; wait "$dev" 2>/dev/null; } ; exit' EXIT INT TERM

rm -rf "$root"
mkdir -p "$root/files/acme" "$root/files/globex"
cp third_party/vega/flights-3m.parquet third_party/vega/airports.csv "$root/files/acme/"

say 'freehold dev starts etcd, one control replica and one worker; all of it lies in one folder'
start_dev
note 'ended with Ctrl-C and started again, it finds everything as it was:'
stop_dev
start_dev
run freehold login --url "http://127.0.0.1:$port" --key-file "$data/operator.key" --profile operator

say 'The operator creates two tenants, with domains, principals, quotas and prices'
run freehold apply -f "$here/demo/platform"
for who in acme/ada acme/scorer acme/amy acme/nel globex/gus; do
	run freehold keys create "${who#*/}" --tenant "${who%/*}" --out "$root/${who#*/}.key" --profile operator
done
run freehold login --url "http://127.0.0.1:$port" --key-file "$root/ada.key" --profile ada
run freehold login --url "http://127.0.0.1:$port" --key-file "$root/gus.key" --profile gus
run freehold login --url "http://127.0.0.1:$port" --key-file "$root/scorer.key" --profile scorer

say "acme's team applies its manifests; doing so again changes nothing; a change is shown as a diff"
export FREEHOLD_PROFILE=ada
run freehold apply -f "$here/demo/acme" --dry-run
run freehold apply -f "$here/demo/acme"
run freehold apply -f "$here/demo/acme"
mkdir "$root/edited"
sed 's/ttl: 24h/ttl: 12h/' "$here/demo/acme/features.yaml" >"$root/edited/features.yaml"
run freehold apply -f "$root/edited"

say '3,000,000 flights and 3,376 airports become sealed datasets, then features per airport and hour'
run freehold run ingest flights
run freehold run ingest airports
run freehold run transform hourly_delays
run freehold run materialize airport_delays
run freehold run materialize airport_delays_today
run freehold get datasets

say 'Online features: several entities in one call; unknown ones and stale ones say so'
run freehold features get airport_delays --features departures,mean_delay,p95_delay \
	--entity airport=ATL,ORD,LAX,ZZZ --profile scorer
note 'a day is the most this other view allows, and the flights are of 2001:'
run freehold features get airport_delays_today --features mean_delay --entity airport=ATL --profile scorer

say 'globex learns nothing of acme, and is held to its quota'
refused 3 freehold get dataset flights --tenant acme --domain flights --profile gus
refused 3 freehold get dataset no_such_thing --tenant acme --domain flights --profile gus
run freehold run probe --profile gus
refused 6 freehold run probe --profile gus

say 'A worker is killed in the middle of an ingestion'
before=$(freehold usage -o json | sed -n 's/.*"bytesStored": *\([0-9]*\).*/\1/p' | tail -n 1)
interrupt() {
	show freehold run ingest flights --no-wait
	task=$(freehold run ingest flights --no-wait)
	echo "$task"
	for _ in $(seq 2000); do
		freehold tasks "$task" -o json | grep -q '"state": *"running"' && break
	done
	worker=''
	for child in $(cat "/proc/$dev/task/$dev/children"); do
		[ "$(cat "/proc/$child/comm")" != freehold-worker ] || worker=$child
	done
	[ -n "$worker" ] || die 'no worker is running'
	run kill -9 "$worker"
	run freehold tasks "$task" --watch
	freehold tasks "$task" -o json | grep -q '"attempt": *2'
}
interrupt || interrupt || interrupt || die 'each time the task was done before the worker was killed'
run freehold get datasets
after=$(freehold usage -o json | sed -n 's/.*"bytesStored": *\([0-9]*\).*/\1/p' | tail -n 1)
freehold get dataset flights -o json | grep -q '"rows": *3000000' || die 'its rows are not there once'
note "stored bytes before $before, after $after: its rows are there once"

say 'The bill, and who did what'
run freehold usage --all --profile operator
run freehold usage
run freehold audit --tenant acme --action task:outcome --profile operator
run freehold audit --tenant globex --limit 6 --profile operator

say 'Who may see what, and a log that nobody can rewrite'
run freehold login --url "http://127.0.0.1:$port" --key-file "$root/amy.key" --profile amy
run freehold login --url "http://127.0.0.1:$port" --key-file "$root/nel.key" --profile nel
note "amy administers acme. What she lets consumers see of the airports is a Cedar policy, with examples that must hold:"
policy=$here/demo/policy/airports.yaml
sed -n '/^  text:/,/^  examples:/p' "$policy" | sed '1d;$d'
run freehold policy lint "$policy"
sed 's/"column:read"/"colum:read"/' "$policy" >"$root/misspelt.yaml"
refused 1 freehold apply -f "$root/misspelt.yaml" --profile amy
run freehold apply -f "$policy" --profile amy
note 'the same query by ada, who owns the data, and by nel, a consumer:'
sql='SELECT * EXCLUDE country FROM airports ORDER BY iata LIMIT 4'
run freehold query "$sql"
run freehold query "$sql" --profile nel
refused 1 freehold query 'SELECT iata, latitude FROM airports' --profile nel
run freehold can-i dataset:read flights.airports --profile nel
run freehold access flights.airports --profile amy
note 'each query was in the audit log before its first row left; a copy of the log is checked with the public key alone:'
show freehold audit report touched --principal acme/nel --profile amy
freehold audit report touched --principal acme/nel --profile amy >"$root/touched.out"
head -n 5 "$root/touched.out"
show freehold audit key --profile amy '>' "$root/acme-audit.pub"
freehold audit key --profile amy >"$root/acme-audit.pub"
run freehold audit export --tiles "$root/acme-audit" --profile amy
run freehold audit verify "$root/acme-audit" --public-key "$root/acme-audit.pub"
entries=$(find "$root/acme-audit/tile/entries" -type f | head -n 1)
note "one byte of the copy is changed, in ${entries#"$root"/}:"
printf '#' | dd of="$entries" bs=1 seek=1000 conv=notrunc 2>/dev/null
refused 1 freehold audit verify "$root/acme-audit" --public-key "$root/acme-audit.pub"
note "one event is proven to somebody who has nothing but the key; nel's last query:"
event=$(freehold audit --actor acme/nel --action dataset:query --limit 1 -o json --profile amy |
	sed -n 's/.*"seq": *\([0-9]*\).*/\1/p' | head -n 1)
run freehold audit prove "$event" --out "$root/query.tlog-proof" --profile amy
show freehold verify "$root/query.tlog-proof" --public-key "$root/acme-audit.pub"
freehold verify "$root/query.tlog-proof" --public-key "$root/acme-audit.pub" >"$root/proven.out"
sed '$s/^\(.\{112\}\).*/\1 .../' "$root/proven.out"

say "A dataset's key is replaced; globex is suspended, then erased, and a certificate proves it to anybody"
run freehold apply -f "$here/demo/erasure" --profile operator
run freehold datakeys rotate flights --tenant acme --domain flights --profile amy
for _ in $(seq 300); do
	freehold datakeys status --tenant acme --profile amy >"$root/keys.out"
	grep -q '(and [0-9]*)' "$root/keys.out" || break
	sleep 0.2
done
! grep -q '(and [0-9]*)' "$root/keys.out" || die 'the old key is still in use after a minute'
run freehold datakeys status --tenant acme --profile amy
marker='Quartz Heron'
awk -v name="$marker" 'BEGIN { print "trip,traveller"; for (i = 1; i <= 2000; i++) print i "," name " " i }' \
	>"$root/files/globex/trips.csv"
run freehold apply -f "$here/demo/globex" --profile gus
run freehold run ingest trips --profile gus
run freehold tenants suspend globex --reason 'unpaid since May' --profile operator
refused 5 freehold run ingest trips --profile gus
note 'a deletion wants the name again and a reason; it can be cancelled for a week, which this demo leaves out:'
refused 1 freehold tenants delete globex --confirm globes --reason 'the contract ended' --profile operator
show freehold tenants delete globex --confirm globex --reason 'the contract ended' --wait --profile operator
timeout --foreground 300 freehold tenants delete globex --confirm globex --reason 'the contract ended' --wait --profile operator ||
	die 'globex is not erased after five minutes'
uid=$(freehold erasures --profile operator | awk '$2 == "globex" { print $1 }')
[ -n "$uid" ] || die 'no erasure of globex is listed'
freehold erasures "$uid" --profile operator >"$root/globex.erased"
freehold signers --profile operator >"$root/freehold.pub"
note 'whoever has the certificate and the public key verifies it, without asking anybody; one changed letter is refused:'
run freehold verify "$root/globex.erased" --public-key "$root/freehold.pub"
sed 's/the contract ended/the contract endet/' "$root/globex.erased" >"$root/changed.erased"
refused 1 freehold verify "$root/changed.erased" --public-key "$root/freehold.pub"
grep -qF "$marker" "$root/files/globex/trips.csv" || die 'the search itself does not work'
found=$(grep -rslaF "$marker" "$data" || true)
[ -z "$found" ] || die "plaintext found in: $found"
[ -z "$(find "$data/objects" "$data/online" -path '*globex*')" ] || die 'files of globex are left'
echo "globex has no file left, and none under the folder has its travellers' names in it"

say 'Every byte under the folder is searched for the names of the airports'
stop_dev
cut -d, -f2 third_party/vega/airports.csv | tr -d '"' | awk 'length($0) >= 10' | sort -u >"$root/names.txt"
files=$(find "$data" -type f | wc -l)
size=$(du -sh "$data" | cut -f1)
names=$(wc -l <"$root/names.txt")
[ "$names" -gt 1000 ] || die 'the list of names is too short to prove anything'
grep -qF -f "$root/names.txt" "$root/files/acme/airports.csv" || die 'the search itself does not work'
if found=$(grep -rlaF -f "$root/names.txt" "$data"); then
	die "plaintext found in: $found"
fi
echo "$names names, $files files, $size: nothing found"

printf '\n%sDone in %d s.%s Look around: freehold dev --data %s --files %s\n' "$bold" \
	"$(($(date +%s) - started))" "$plain" "$data" "$root/files"
