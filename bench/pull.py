#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pull.py - `docker pull` of a 235 MB Debian root, of 50,000 small files and of 20 layers of 20 MB, from a registry on
loopback; `docker load` and `docker save` of the Debian root; `docker run` right after its pull and once more later; memory
while eight layers are pulled.

The registry is Debian's docker-registry, one process for each server over one store. The peer's is started with
--peer-enter where that server has a network namespace of its own. Images are removed before each pull; the first round
warms the page cache and is not counted. The floor of a pull is what no client can do without: HTTP, inflating and the
SHA-256 of what comes in and of what comes out, by curl, igzip (gzip where there is none) and openssl, as many layers
at once as there are CPUs.
"""
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import engine

RUN_ROUNDS = 7
IMAGES = ("debian", "files50k", "layers20")
RIG = f"{engine.HERE}/../tests/registry"
BARE = """set -o pipefail; one() { curl -sS "$1" | tee >(openssl dgst -sha256 >/dev/null) | %s | openssl dgst -sha256 >/dev/null; }
export -f one; xargs -P "$(nproc)" -I{} bash -c 'set -o pipefail; one {}'"""


class Registry:
    def __init__(self, root, name, enter):
        with open(f"{root}/{name}.yml", "w") as f:
            f.write(f"version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {root}/store}}}}\n"
                    "http: {addr: '127.0.0.1:0', secret: bench}\n")
        cache = os.environ.get("ARCA_TEST_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "arca-tests")
        program = subprocess.run([f"{RIG}/get.sh", f"{cache}/docker-registry"], check=True, capture_output=True, text=True).stdout.strip()
        self.log = f"{root}/{name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*shlex.split(enter), program, "serve", f"{root}/{name}.yml"], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        for _ in range(200):
            if found := re.search(r"listening on (127\.0\.0\.1:\d+)", open(self.log).read()):
                self.address = found[1]
                return
            time.sleep(0.05)
        raise RuntimeError(f"the registry does not come up: {open(self.log).read()}")

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)  # --peer-enter may have put a shell before the registry
        self.process.wait()


def push(registry, name, image, *options):
    subprocess.run([f"{RIG}/push.py", "image", *options, f"{registry.address}/bench/{name}:1", engine.image(image)], check=True, stdout=subprocess.DEVNULL)


def remove(e, name):
    if e.has_image(name):
        e.call("DELETE", f"/images/{name}?force=1")


def pull(e, registry, name):
    """Milliseconds; the image is new."""
    full = f"{registry.address}/bench/{name}:1"
    remove(e, full)
    t = time.perf_counter()
    said = e.call("POST", f"/images/create?fromImage={registry.address}/bench/{name}&tag=1", parse=False).decode()
    t = time.perf_counter() - t
    if "Status: Downloaded newer image" not in said or '"Already exists"' in said:
        raise RuntimeError(f"pull of {full}: {said[-500:]}")
    return t * 1000


def layers(registry, name):
    c = http.client.HTTPConnection(registry.address)
    c.request("GET", f"/v2/bench/{name}/manifests/1", headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"})
    return [f"http://{registry.address}/v2/bench/{name}/blobs/{x['digest']}" for x in json.load(c.getresponse())["layers"]]


def bare(urls):
    inflate = "igzip -dc" if shutil.which("igzip") else "gzip -dc"
    t = time.perf_counter()
    subprocess.run(["bash", "-c", BARE % inflate], input="\n".join(urls), text=True, check=True)
    return (time.perf_counter() - t) * 1000


def load(e, archive):
    remove(e, "debian:test")
    t = time.perf_counter()
    e.load(archive)
    return (time.perf_counter() - t) * 1000


def save(e):
    c = engine.UnixConnection(e.path)
    t = time.perf_counter()
    c.request("GET", "/images/debian:test/get")
    r = c.getresponse()
    size = 0
    while got := r.read(1 << 20):
        size += len(got)
    t = time.perf_counter() - t
    if r.status != 200 or size < 200_000_000:
        raise RuntimeError(f"save: {r.status}, {size} bytes")
    return t * 1000


def runs(engines, registries, n):
    """`docker run` of an image whose pull has just ended, and of the same image when all has settled."""
    times = {k: {"run_after_pull": [], "run_later": []} for k in engines}
    for _ in range(n + 1):
        for k, e in engines.items():
            for when, ms in times[k].items():
                time.sleep(engine.POOL_FILLS_S)
                if when == "run_after_pull":
                    pull(e, registries[k], "debian")
                ms.append(engine.cli(e, "run", "--rm", "--network", "none", f"{registries[k].address}/bench/debian:1", "true"))
            remove(e, f"{registries[k].address}/bench/debian:1")
    out = {k: {when: engine.summary(ms[1:]) for when, ms in v.items()} for k, v in times.items()}
    for v in out.values():
        v["run_after_pull_over_later"] = round(v["run_after_pull"]["p50"] / v["run_later"]["p50"], 3)
    return out


def high_water(pid):
    with open(f"/proc/{pid}/status") as f:
        lines = dict(line.split(":", 1) for line in f)
    return int(lines["VmHWM"].split()[0]), int(lines["VmRSS"].split()[0])


def memory(e, registry):
    """KiB above idle at the highest point of a pull of eight layers."""
    idle = high_water(e.pid)[1]
    with open(f"/proc/{e.pid}/clear_refs", "w") as f:
        f.write("5")  # the high-water mark starts afresh
    pull(e, registry, "layers8")
    return high_water(e.pid)[0] - idle


def rounds(engines, registries, n):
    out, floor = {k: {} for k in engines}, {}
    for name in IMAGES:
        times, bares, urls = {k: [] for k in engines}, [], layers(registries["arca"], name)
        for _ in range(n + 1):
            bares.append(bare(urls))
            for k, e in engines.items():
                times[k].append(pull(e, registries[k], name))
        for k, e in engines.items():
            out[k][f"pull_{name}"] = engine.summary(times[k][1:])
            remove(e, f"{registries[k].address}/bench/{name}:1")
        floor[f"pull_{name}"] = engine.summary(bares[1:])
    archive = engine.image("debian")
    for what, work in (("load_debian", lambda e: load(e, archive)), ("save_debian", save)):
        times = {k: [] for k in engines}
        for _ in range(n + 1):
            for k, e in engines.items():
                times[k].append(work(e))
        for k in engines:
            out[k][what] = engine.summary(times[k][1:])
    for e in engines.values():
        remove(e, "debian:test")
    over = {k: round(v["p50"] / floor[k]["p50"], 2) for k, v in out["arca"].items() if k in floor}
    return {**out, "floor": floor, "arca_over_floor": over}


def measure(engines, args):
    root = tempfile.mkdtemp(prefix="arca-bench-registry.")
    started = []
    try:
        registries = {}
        for k in engines:
            registries[k] = Registry(root, k, args.peer_enter if k == "peer" else "")
            started.append(registries[k])
        for name in IMAGES:
            push(registries["arca"], name, name, "--docker")
        push(registries["arca"], "layers8", "layers20", "--docker", "--first", "8", "--note", "eight")
        result = rounds(engines, registries, args.rounds)
        for k, v in runs(engines, registries, max(args.rounds, RUN_ROUNDS)).items():
            result[k].update(v)
        if hasattr(engines["arca"], "pid"):
            result["arcad_kib_while_pulling_eight_layers"] = memory(engines["arca"], registries["arca"])
        return result
    finally:
        for r in started:
            r.end()
        shutil.rmtree(root)


engine.main("pull", 3, measure)
