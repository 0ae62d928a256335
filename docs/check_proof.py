"""Checks a proof that the audit has an event: python3 check_proof.py proof.json key.pem

The proof comes from `jhe audit prove EVENT`. The key must come from somewhere else: from whom you trust to say which key signs.
Needs Python and its package `cryptography`. docs/audit.md says what is checked.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

proof = json.load(open(sys.argv[1]))
key = serialization.load_pem_public_key(open(sys.argv[2], "rb").read())
signed = proof["seal"]["head"].encode()
# Raises InvalidSignature when another key signed the seal, or another seal.
key.verify(base64.b64decode(proof["seal"]["signature"]), signed, ec.ECDSA(hashes.SHA384()))
head = json.loads(signed)
if head["form"] != "jhe-audit-seal/1":
    sys.exit("The seal is of another form, which this program does not know.")

# From the event up to the root: RFC 9162, section 2.1.3.2.
index, last = proof["index"], head["events"] - 1
if not 0 <= index <= last:
    sys.exit("The event is not under this seal.")
node = hashlib.sha256(b"\0" + proof["leaf"].encode()).digest()
for beside in map(bytes.fromhex, proof["path"]):
    if index & 1 or index == last:
        node = hashlib.sha256(b"\1" + beside + node).digest()
        while index and not index & 1:
            index, last = index >> 1, last >> 1
    else:
        node = hashlib.sha256(b"\1" + node + beside).digest()
    index, last = index >> 1, last >> 1
if last != 0 or node.hex() != head["root"]:
    sys.exit("The event is not under this seal.")
print(f"Seal {head['sequence']}, made at {head['made_at']}, has this event:\n{proof['leaf']}")
