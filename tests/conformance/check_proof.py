#!/usr/bin/env python3
# Checks an event's proof (docs/audit.md) with nothing of Freehold's: check_proof.py PROOF KEYFILE
import base64, hashlib, sys
text, key = open(sys.argv[1], "rb").read().decode(), open(sys.argv[2]).readline().strip()
head, origin_size_root, signatures = text.split("\n\n", 2)
first, extra, index, *path = head.split("\n")
origin, size, root = origin_size_root.split("\n")
assert first == "c2sp.org/tlog-proof@v1" and key.split("+")[0] == origin
event, at, last = base64.b64decode(extra[6:]), int(index[6:]), int(size) - 1
assert at <= last
node = hashlib.sha256(b"\0" + event).digest()
for line in path:                                   # RFC 9162, 2.1.3.2
    assert last > 0
    other = base64.b64decode(line)
    if at % 2 or at == last:
        node = hashlib.sha256(b"\1" + other + node).digest()
        while not at % 2 and at:
            at, last = at >> 1, last >> 1
    else:
        node = hashlib.sha256(b"\1" + node + other).digest()
    at, last = at >> 1, last >> 1
assert last == 0 and base64.b64encode(node).decode() == root, "the event is not in the log"
public = base64.b64decode(key.split("+", 2)[2])[1:]
signature = base64.b64decode(signatures.split(" ")[2])[4:]
try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    print("hashes verified; without python3-cryptography the signature was not")
    sys.exit(0)
Ed25519PublicKey.from_public_bytes(public).verify(signature, (origin_size_root + "\n").encode())
print("verified:", event.decode())
