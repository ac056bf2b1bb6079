#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cuts.py - pull a small image with the connection cut at each of many bytes, over the raw socket, many at once.

    cuts.py SOCKET ADDR:PORT WORD FIRST LAST STEP WANT     WORD: cut | cutonce, see liar.py; WANT: ok | error

Every pull must end with a Status line or with an error that says something; those that do not, or that end otherwise
than WANT, are printed and make the exit status 1. The last line counts.
"""
import concurrent.futures
import http.client
import json
import socket
import sys

SOCKET, LIAR, WORD, FIRST, LAST, STEP, WANT = sys.argv[1:]


def pull(n):
    c = http.client.HTTPConnection("localhost", timeout=120)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.settimeout(120)
    c.sock.connect(SOCKET)
    try:
        c.request("POST", f"/images/create?fromImage={LIAR}/{WORD}-{n}/each&tag=latest")
        r = c.getresponse()
        lines = [json.loads(line) for line in r.read().splitlines() if line.strip()]
    except (OSError, ValueError, http.client.HTTPException) as e:
        return n, "broken", repr(e)
    finally:
        c.close()
    last = lines[-1] if lines else {}
    if r.status >= 400:
        return n, "error" if last.get("message") else "silent", f"{r.status} {last}"
    if "error" in last:
        return n, "error" if last["error"] and last["errorDetail"]["message"] == last["error"] else "silent", last["error"]
    return n, "ok" if "Status: Downloaded newer image" in last.get("status", "") else "silent", str(last)


with concurrent.futures.ThreadPoolExecutor(48) as pool:
    results = list(pool.map(pull, range(int(FIRST), int(LAST), int(STEP))))
bad = [r for r in results if r[1] != WANT]
for n, how, text in bad[:20]:
    print(f"{WORD} after {n} bytes: {how}: {text}")
print(f"{len(results)} pulls, {len(bad)} not {WANT}")
sys.exit(bool(bad) or not results)
