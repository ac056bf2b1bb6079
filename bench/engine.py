# SPDX-License-Identifier: Apache-2.0
"""engine.py - what the benchmarks share: a Docker Engine API client of a few lines, an arcad of their own, medians.

Every benchmark prints one JSON object. --host names the server to measure (default: an arcad started out of the build
folder in a temporary root); --peer a second one, on which the same work is done in the same run, turn by turn.
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(600)
        self.sock.connect(self.path)


class Engine:
    """One Docker server behind unix://PATH."""

    def __init__(self, url):
        self.url = url
        self.path = url.removeprefix("unix://")

    def call(self, method, path, body=None, headers=None, parse=True):
        c = UnixConnection(self.path)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        if r.status >= 400:
            raise RuntimeError(f"{method} {path}: {r.status} {data.decode(errors='replace')}")
        return json.loads(data) if parse and data[:1] in (b"{", b"[") else data

    def hijack(self, path):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(600)
        s.connect(self.path)
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            got = s.recv(1)
            if not got:
                raise RuntimeError(f"attach: {head!r}")
            head += got
        return s

    def create(self, image, cmd, **host_config):
        body = {"Image": image, "Cmd": cmd, "HostConfig": {"NetworkMode": "none", **host_config}}
        return self.call("POST", "/containers/create", body)["Id"]

    def remove(self, cid):
        self.call("DELETE", f"/containers/{cid}?force=1&v=1")

    def load(self, archive):
        with open(archive, "rb") as f:
            return self.call("POST", "/images/load?quiet=1", f, {"Content-Type": "application/x-tar"}, parse=False)

    def has_image(self, name):
        try:
            self.call("GET", f"/images/{name}/json")
            return True
        except RuntimeError:
            return False


class Arcad:
    """An arcad in a temporary root; use as a context."""

    def __init__(self, build, *options):
        self.build = build
        self.options = options

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="arca-bench.")
        with open(f"{self.root}/daemon.json", "w") as f:
            f.write("{}")
        self.log = open(f"{self.root}/log", "w")
        self.process = subprocess.Popen(
            [f"{self.build}/arcad", "-H", f"unix://{self.root}/sock", "--data-root", f"{self.root}/data", "--exec-root",
             f"{self.root}/exec", "--config-file", f"{self.root}/daemon.json", *self.options], stderr=self.log, stdin=subprocess.DEVNULL)
        self.engine = Engine(f"unix://{self.root}/sock")
        self.engine.pid = self.process.pid
        for _ in range(400):
            try:
                self.engine.call("GET", "/_ping")
                return self.engine
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"arcad does not come up: {open(self.root + '/log').read()}")

    def __exit__(self, *_):
        for c in self.engine.call("GET", "/containers/json?all=1"):
            self.engine.remove(c["Id"])
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.root)


def image(name):
    """Path of a test image's archive, made if need be."""
    return subprocess.run([f"{HERE}/../tests/images/make.sh", name], check=True, capture_output=True, text=True).stdout.strip()


POOL_FILLS_S = 1.5  # between two starts: arcad makes VMs ahead


def cli(e, *args):
    """Milliseconds of a docker command."""
    t = time.perf_counter()
    subprocess.run(["docker", "-H", e.url, *args], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - t) * 1000


def summary(values):
    v = sorted(values)
    return {"p50": round(statistics.median(v), 4), "min": round(v[0], 4), "max": round(v[-1], 4), "n": len(v)}


def arguments(rounds):
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=f"{HERE}/../build")
    p.add_argument("--host")
    p.add_argument("--peer", help="unix:// of another Docker server to do the same work in the same run")
    p.add_argument("--peer-enter", default="", help="command before a command that runs it where the peer reaches its loopback")
    p.add_argument("--rounds", type=int, default=rounds)
    return p.parse_args()


def main(name, rounds, measure):
    """measure(engines: {label: Engine}, args) -> dict; prints it as JSON."""
    args = arguments(rounds)
    server = Arcad(os.path.abspath(args.build)) if not args.host else None
    engine = server.__enter__() if server else Engine(args.host)
    try:
        engines = {"arca": engine}
        if args.peer:
            engines["peer"] = Engine(args.peer)
        for e in engines.values():
            e.version = e.call("GET", "/version")["Version"]
        result = {"bench": name, "unit": "ms", **measure(engines, args)}
        if args.peer and "arca" in result and "peer" in result:
            result["ratio"] = {k: round(v["p50"] / result["peer"][k]["p50"], 3) for k, v in result["arca"].items()
                               if isinstance(v, dict) and k in result["peer"] and result["peer"][k]["p50"]}
        print(json.dumps(result))
        sys.stdout.flush()
    finally:
        if server:
            server.__exit__()
