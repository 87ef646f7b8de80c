#!/bin/sh
# Secrets are compared in constant time (bytes_equal), never by a function that ends at the first
# difference; no setting or option takes one as its value; nothing logs one.
bad=0
words='secret|token|mac$|mac[^a-z]|signature|sig[^a-z]|hash|digest|password|passphrase|credential|nonce|[^a-z]pin[^a-z]'

# Calls are put together from their lines; what stands in quotes is the program's own.
found=$(git ls-files common api tenant policy control worker | grep '\.c$' | xargs awk -v words="$words" '
	FNR == 1 { held = "" }
	{
		line = $0
		gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
		line = held line
		held = ""
		if (line !~ /(mem|str|strn|strcase|strncase)cmp[(]/)
			next
		opened = gsub(/[(]/, "(", line)
		closed = gsub(/[)]/, ")", line)
		if (opened > closed && length(line) < 800 && line !~ /[;{]$/) {
			held = line " "
			next
		}
		while (match(line, /(mem|str|strn|strcase|strncase)cmp[(]/)) {
			rest = substr(line, RSTART)
			depth = 0
			end = length(rest)
			for (i = RLENGTH; i <= length(rest); i++) {
				c = substr(rest, i, 1)
				if (c == "(")
					depth++
				if (c == ")" && --depth == 0) {
					end = i
					break
				}
			}
			call = substr(rest, 1, end)
			if (tolower(call) ~ words)
				print FILENAME ":" FNR ": " call
			line = substr(rest, end + 1)
		}
	}')
[ -z "$found" ] || { echo "$found"; echo "compare with bytes_equal"; bad=1; }

# A value on a command line is seen by every process of the machine: settings name a file. What is
# read from the environment alone has no flag.
found=$(grep -hnE '^SETTING\(TEXT' control/conf.def worker/conf.def |
	awk -F'"' '$2 != "" && $2 ~ /(key|secret|password|passphrase|token)$/ { print $2 ": a setting that is a secret; take a file" }')
[ -z "$found" ] || { echo "$found"; bad=1; }
found=$(git grep -nE '^[[:space:]]*\{"(key|secret|password|passphrase|token)", *"[A-Z]' -- 'api/cli/*.c')
[ -z "$found" ] || { echo "$found"; echo "an option that is a secret; take a file"; bad=1; }

found=$(git grep -nE '\blog_(debug|info|warn|error)\(' -- control worker |
	grep -E '\b(secret|credential|password|token_text|key_text|root_key|bearer|authorization)\b')
[ -z "$found" ] || { echo "$found"; echo "it may be logged"; bad=1; }
exit $bad
