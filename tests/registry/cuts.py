#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cuts.py - pull a small image again and again, the connection to the registry cut at each byte of its answers in turn.

    cuts.py MODE SOCKET ADDR:PORT LOG PID DATA    MODE: cut or cutonce, see liar.py, whose ADDR:PORT and LOG these are;
                                                  PID and DATA: the daemon's, with --vm-pool 0

Raw API calls, each image another. Of every offset, heads and bodies of all answers, one after the other:
    cut       the daemon has one attempt: an error that names the request which was cut, and a store as it was before
    cutonce   it has more: the image is there, whole (what `save` gives has its digests), and can be removed; at the end
              the store is as it was before
In both no descriptor is left open and the daemon's memory stands still. The liar's log says afterwards that every offset
was cut once and what was cut there. What is not so is printed and makes the exit status 1.
"""
import concurrent.futures
import hashlib
import http.client
import io
import json
import os
import re
import socket
import sqlite3
import sys
import tarfile
import threading
import time

MODE, SOCKET, LIAR, LOG, PID, DATA = sys.argv[1:]
AT_ONCE = {"cut": 1, "cutonce": 40}[MODE]  # after a break the daemon pauses: those may pass side by side
BATCH = 150
# KiB in the second half of the pulls: they are about 600, so a lost buffer or document shows
GROWTH_MAX = {"cut": 1024, "cutonce": 3072}[MODE]  # more with 40 threads, whose heaps differ
TABLES = ("images", "image_tags", "image_digests", "layers", "image_layers", "pulled_layers")
UNCUT = f"layers-1/no-{MODE}/each"
problems, local = [], threading.local()


def wrong(text):
    problems.append(text)


def call(method, path):
    """On this thread's connection, which is kept: status and body."""
    if not hasattr(local, "http"):
        local.http = http.client.HTTPConnection("localhost", timeout=60)
        local.http.sock = socket.socket(socket.AF_UNIX)
        local.http.sock.settimeout(60)
        local.http.sock.connect(SOCKET)
    local.http.request(method, path)
    r = local.http.getresponse()
    return r.status, r.read()


def image(n):
    return f"{LIAR}/layers-1/{MODE}-{n}/each" if n is not None else f"{LIAR}/{UNCUT}"


def pull(n):
    """The error's text, or None if there was none."""
    status, body = call("POST", f"/images/create?fromImage={image(n)}&tag=latest")
    lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    last = lines[-1] if lines else {}
    if status >= 400:
        return last.get("message") or wrong(f"{n}: {status} without a message")
    if "error" not in last:
        return None if "Downloaded newer image" in last.get("status", "") else f"no end: {last}"
    if last["errorDetail"]["message"] != last["error"]:
        wrong(f"{n}: {last}")
    return last["error"]


def whole(n):
    """What save gives is what its names say, and all of it."""
    with tarfile.open(fileobj=io.BytesIO(call("GET", f"/images/{image(n)}:latest/get")[1])) as t:
        blobs = {m.name.rsplit("/", 1)[1]: t.extractfile(m).read() for m in t if m.name.startswith("blobs/sha256/") and m.isfile()}
    return len(blobs) >= 3 and all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())


def store():
    """Everything that a pull may leave: files, rows, open descriptors."""
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(f"{DATA}/images") for f in names if f != "pad")
    with sqlite3.connect(f"file:{DATA}/arca.db?mode=ro", uri=True) as db:
        rows = [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES]
    return files, rows


def descriptors():
    return len(os.listdir(f"/proc/{PID}/fd"))


def memory():
    with open(f"/proc/{PID}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def remove(n):
    status, body = call("DELETE", f"/images/{image(n)}:latest")
    if status != 200:
        wrong(f"{n}: cannot be removed: {body}")


def answers():
    """By offset, what the liar wrote down: [what, whose, cut, whole] of each answer."""
    by_offset = {}
    with open(LOG) as f:
        for line in f:
            e = json.loads(line)
            m = re.fullmatch(rf"layers-1/{MODE}-(\d+)/each", e["repo"])
            if m and e.get("event") is None:
                by_offset.setdefault(int(m[1]), []).append(e)
    return by_offset


def expected(n, entries):
    """The error that offset n must lead to, by what was cut there; None for a success."""
    broken = next((e for e in entries if not e["whole"]), None)
    if not broken:
        return None
    # whom nobody has heard of yet is not there at all
    path = "/v2/" if broken["what"] == "manifests" else f"/v2/{broken['repo']}/blobs/{broken['ref']}"
    return f'Get "http://{LIAR}{path}": unexpected EOF'


def settle(what, is_so):
    """The daemon ends a connection's thread a moment after its answer."""
    for _ in range(100):
        if is_so():
            return
        time.sleep(0.05)
    wrong(f"{what} {store()} {descriptors()}")


def step(n, before):
    """One offset."""
    error = pull(n)
    if MODE == "cut" and error and store() != before:
        wrong(f"{n}: the store is another: {[x for x in store()[0] if x not in before[0]]} {store()[1]}")
    if not error:
        if not whole(n):
            wrong(f"{n}: the image is not whole")
        remove(n)
    return error


def run(total):
    """All offsets, until there is nothing left to cut: the errors by offset."""
    before, errors, used, most = store(), {}, [], 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for begin in range(0, total + 8, BATCH):
            offsets = range(begin, min(begin + BATCH, total + 8))
            errors.update(zip(offsets, pool.map(lambda n: step(n, before), offsets)))
            used.append(memory())
            most = most or descriptors()
        settle("the store", lambda: store() == before)
        settle(f"descriptors: {most} and then", lambda: descriptors() <= most)
    used = used[len(used) // 2 - 1:-1]  # the last ones were not cut
    if used[-1] - used[0] > GROWTH_MAX:
        wrong(f"the daemon grows: {used} KiB")
    print(f"# {len(errors)} pulls; {used[-1] - used[0]} KiB more memory after {(len(used) - 1) * BATCH} of them")
    return errors


def judge(errors, total):
    by_offset, cuts = answers(), 0
    for n, error in errors.items():
        entries = by_offset.get(n, [])
        size = sum(e["sent"] for e in entries)
        here = [e for e in entries if e.get("cut")]
        cuts += bool(here)
        if n < total - 8 and (not here or (MODE == "cut" and size != n)):
            wrong(f"{n}: was not cut there: {entries}")
        if MODE == "cutonce" and len(here) > 1:
            wrong(f"{n}: was cut {len(here)} times")
        want = expected(n, entries) if MODE == "cut" else None
        if error != want:
            wrong(f"{n}: {error}\n    wanted: {want}")
    print(f"# {cuts} offsets cut, {sum(e is not None for e in errors.values())} errors")
    if cuts < total - 8 or errors[total + 7] is not None:
        wrong(f"only {cuts} offsets of {total}")


pull(None)  # libcurl is loaded, and how much there is to cut is known
remove(None)
time.sleep(0.5)
with open(LOG) as f:
    total = sum(e["sent"] for e in map(json.loads, f) if e["repo"] == UNCUT)
start = time.monotonic()
judge(run(total), total)
print(f"# {total} bytes of answers, {time.monotonic() - start:.1f} s")
print("\n".join(problems[:10]))
sys.exit(bool(problems))
