#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""load.py - `docker load` of 50,000 small files and of a 235 MB Debian root.

The floor is what no loader can do without: reading the archive and its SHA-256, by sha256sum.
"""
import subprocess
import time

import engine

IMAGES = {"files50k": "files50k:latest", "debian": "debian:test"}


def load(e, archive, name):
    if e.has_image(name):
        e.call("DELETE", f"/images/{name}?force=1")
    t = time.perf_counter()
    e.load(archive)
    return (time.perf_counter() - t) * 1000


def measure(engines, args):
    out = {k: {} for k in engines}
    floor = {}
    for label, name in IMAGES.items():
        archive = engine.image(label)
        times = {k: [] for k in engines}
        floors = []
        for i in range(args.rounds + 1):
            t = time.perf_counter()
            subprocess.run(["sha256sum", archive], check=True, stdout=subprocess.DEVNULL)
            floors.append((time.perf_counter() - t) * 1000)
            for k, e in engines.items():
                times[k].append(load(e, archive, name))
        for k in engines:
            out[k][label] = engine.summary(times[k][1:])
        floor[label] = engine.summary(floors[1:])
    return {**out, "floor": floor}


engine.main("load", 5, measure)
