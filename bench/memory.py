#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""memory.py - resident memory of the daemon, idle and per container, and of an idle VM (PSS); KiB."""
import statistics
import time

import engine

CONTAINERS = 20


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def measure(engines, args):
    e = engines["arca"]
    if not hasattr(e, "pid"):
        raise SystemExit("memory.py measures an arcad that it starts itself: no --host")
    time.sleep(5)  # until the template is made
    idle_fresh = rss(e.pid)
    e.load(engine.image("busybox"))
    e.remove(e.create("busybox", ["true"]))
    idle = rss(e.pid)
    ids = [e.create("busybox", ["sleep", "600"]) for _ in range(CONTAINERS)]
    vms = []
    for i in ids:
        e.call("POST", f"/containers/{i}/start")
        vms.append(e.call("GET", f"/containers/{i}/json")["State"]["Pid"])
    time.sleep(2)
    full = rss(e.pid)
    each = [pss(p) for p in vms]
    for i in ids[1:]:
        e.remove(i)
    alone = pss(vms[0])
    return {"unit": "KiB", "arcad_idle_fresh": idle_fresh, "arcad_idle": idle, "arcad_per_container": round((full - idle) / CONTAINERS, 1),
            "vm_pss_alone": alone, "vm_pss_of_twenty": statistics.median(each)}


engine.main("memory", 1, measure)
