#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""start.py - `POST start` -> first byte of output, a whole `docker run`, and twenty starts at once.

Two daemons of ours are measured: "arca" as it is, with its pool of VMs, which is given time to fill between two starts,
and "clone" without one (--vm-pool 0), in which every start makes its VM.
The floor of a start is the bare operation, QEMU restore + mount + exec with nothing else: 275 ms on the 2-core
development machine under TCG (DESIGN). The floor of `docker run` is the CLI alone: `docker version` on the same socket.
"""
import threading
import time

import engine


def first_byte(e):
    cid = e.create("busybox", ["echo", "x"])
    s = e.hijack(f"/containers/{cid}/attach?stream=1&stdout=1&stderr=1")
    t = time.perf_counter()
    threading.Thread(target=e.call, args=("POST", f"/containers/{cid}/start")).start()
    if not s.recv(1):
        raise RuntimeError("no output")
    ms = (time.perf_counter() - t) * 1000
    while s.recv(4096):
        pass
    s.close()
    e.call("POST", f"/containers/{cid}/wait")
    e.remove(cid)
    return ms


def together(e, n):
    ids = [e.create("busybox", ["sleep", "60"]) for _ in range(n)]
    threads = [threading.Thread(target=e.call, args=("POST", f"/containers/{i}/start")) for i in ids]
    t = time.perf_counter()
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    wall = (time.perf_counter() - t) * 1000
    running = sum(e.call("GET", f"/containers/{i}/json")["State"]["Running"] for i in ids)
    for i in ids:
        e.remove(i)
    if running != n:
        raise RuntimeError(f"only {running} of {n} came up")
    return wall


def measure(engines, args):
    with engine.Arcad(args.build, "--vm-pool", "0") as clone:
        return measure_all({**engines, "clone": clone}, args)


def measure_all(engines, args):
    archive = engine.image("busybox")
    out = {k: {"first_byte": [], "run": [], "cli_floor": []} for k in engines}
    for e in engines.values():
        e.load(archive)
        first_byte(e)
        engine.cli(e, "run", "--rm", "--network", "none", "busybox", "true")
    for _ in range(args.rounds):
        for k, e in engines.items():
            time.sleep(engine.POOL_FILLS_S)
            out[k]["first_byte"].append(first_byte(e))
            time.sleep(engine.POOL_FILLS_S)
            out[k]["run"].append(engine.cli(e, "run", "--rm", "--network", "none", "busybox", "true"))
            out[k]["cli_floor"].append(engine.cli(e, "version"))
    result = {k: {m: engine.summary(v) for m, v in ms.items()} for k, ms in out.items()}
    for k, e in engines.items():
        walls = [together(e, 20) for _ in range(3)]
        result[k]["twenty_at_once"] = engine.summary(walls)
        result[k]["twenty_at_once_per_start"] = round(result[k]["twenty_at_once"]["p50"] / result[k]["first_byte"]["p50"], 2)
    result["floor_first_byte_ms"] = 275
    return result


engine.main("start", 15, measure)
