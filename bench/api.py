#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api.py - `_ping`, inspect and containers/json (50 and 200 containers) over the kept-alive socket; microseconds.

The client is bench/http-latency.c; the floor is a bare libmicrohttpd that answers two bytes.
"""
import json
import os
import subprocess

import engine


def measure(engines, args):
    tool = f"{os.path.abspath(args.build)}/bench/http-latency"
    run = lambda *a: json.loads(subprocess.run([tool, *map(str, a)], check=True, capture_output=True, text=True).stdout)
    result = {"unit": "us", "floor": {"ping": {"p50": run("--floor", 5000)["p50_us"]}}}
    made = {}
    for k, e in engines.items():
        e.load(engine.image("busybox"))
        made[k] = [e.create("busybox", ["true"]) for _ in range(50)]
        result[k] = {
            "ping": run(e.path, "/_ping", 5000),
            "inspect": run(e.path, f"/containers/{made[k][0]}/json", 2000),
            "list_50": run(e.path, "/containers/json?all=1", 300),
        }
        made[k] += [e.create("busybox", ["true"]) for _ in range(150)]
        result[k]["list_200"] = run(e.path, "/containers/json?all=1", 200)
        for m in result[k].values():
            m["p50"] = m.pop("p50_us")
    for k, e in engines.items():
        for i in made[k]:
            e.remove(i)
    return result


engine.main("api", 1, measure)
