#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""network.py - what networks cost: starts, joining one with 40 members, container to container, published ports.

Starts: `docker run --rm busybox true` without a network and on the default bridge, with the pool of VMs, without it
("clone"), and on the peer. Join: `POST start` -> first byte on an empty network and on one with --members others.
Container to container: ping and iperf3 between two containers on a network. Their floor, in the same program, is bare
WireGuard between two VMs without a container's network: two privileged containers in network mode host, which is the VM's
own, that set up the tunnel by hand. The same between two containers on a vmnet network; their floor is the bare NIC: two
containers that have moved it into their VM's own namespace. Published ports: iperf3 and short HTTP requests from the host to a published port;
the floor goes to the VM directly, from inside the underlay's namespace.
"""
import json
import statistics
import subprocess
import time

import engine

REQUESTS = 1000


def docker(e, *args, timeout=120):
    return subprocess.run(["docker", "-H", e.url, *args], check=True, capture_output=True, text=True, timeout=timeout).stdout.strip()


def ms(words):
    """Median round trip of a ping, milliseconds, from its lines."""
    v = [float(w.split("time=")[1].split()[0]) for w in words.splitlines() if "time=" in w]
    return statistics.median(v)


def iperf(run, address, port=5201, seconds=4):
    for _ in range(5):
        end = json.loads(run("iperf3", "-J", "-c", address, "-p", str(port), "-t", str(seconds)))["end"]
        if "sum_received" in end:
            return end["sum_received"]["bits_per_second"] / 1e6
        time.sleep(0.5)  # the server still has the last client
    raise SystemExit(f"iperf3 to {address} brings no result")


def starts(engines, rounds):
    out = {f"{k}_{n}": [] for k in engines for n in ("none", "bridge")}
    for _ in range(rounds):
        for k, e in engines.items():
            for n in ("none", "bridge"):
                time.sleep(engine.POOL_FILLS_S)
                out[f"{k}_{n}"].append(engine.cli(e, "run", "--rm", "--network", n, "busybox", "true"))
    return {k: engine.summary(v) for k, v in out.items()}


def first_byte(e, network):
    cid = e.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["echo", "x"], "HostConfig": {"NetworkMode": network}})["Id"]
    s = e.hijack(f"/containers/{cid}/attach?stream=1&stdout=1&stderr=1")
    t = time.perf_counter()
    e.call("POST", f"/containers/{cid}/start")
    s.recv(1)
    took = (time.perf_counter() - t) * 1000
    e.call("POST", f"/containers/{cid}/wait")
    s.close()
    e.remove(cid)
    return took


def join(e, members, rounds):
    for n in ("empty", "full"):
        docker(e, "network", "create", n)
    ids = []
    for _ in range(members):
        ids.append(docker(e, "run", "-d", "--memory", "160m", "--network", "full", "busybox", "sleep", "100000"))
    time.sleep(10)
    out = {"empty": [], "full": []}
    for _ in range(rounds):
        for n in out:
            time.sleep(engine.POOL_FILLS_S)
            out[n].append(first_byte(e, n))
    for i in ids:
        e.remove(i)
    for n in ("empty", "full"):
        docker(e, "network", "rm", n)
    result = {n: engine.summary(v) for n, v in out.items()}
    result["members"] = members
    result["full_over_empty"] = round(result["full"]["p50"] / result["empty"]["p50"], 3)
    return result


def pair(e, network, *options):
    ids = [docker(e, "run", "-d", "--network", network, *options, "net:test", "sleep", "100000") for _ in range(2)]
    return ids, [lambda *a, i=i: docker(e, "exec", i, *a) for i in ids]


def listens(port):
    """Shell: wait until something listens on a TCP port."""
    return f"until grep -q ':{port:04X} 0*:0000 0A' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done"


def compare(run, other, address):
    run("ping", "-c", "3", "-i", "0.2", address)
    rtt = ms(run("ping", "-c", "40", "-i", "0.05", address))
    other("sh", "-c", f"iperf3 -s -D; {listens(5201)}")
    return {"rtt_ms": round(rtt, 3), "mbit_s": round(statistics.median([iperf(run, address) for _ in range(3)]), 1)}


def bare(e):
    """WireGuard between two VMs, by hand, in their own namespaces."""
    ids, (a, b) = pair(e, "host", "--privileged")
    address = [r("sh", "-c", "ip -4 -o addr show eth0 | awk '{print $4}' | cut -d/ -f1") for r in (a, b)]
    keys = []
    for r in (a, b):
        r("sh", "-c", "ip link add wgb type wireguard; umask 077; wg genkey >/k; wg set wgb private-key /k listen-port 51999")
        keys.append(r("wg", "show", "wgb", "public-key"))
    for i, r in enumerate((a, b)):
        r("wg", "set", "wgb", "peer", keys[1 - i], "allowed-ips", f"10.99.0.{2 - i}/32", "endpoint", f"{address[1 - i]}:51999")
        r("sh", "-c", f"ip addr add 10.99.0.{1 + i}/24 dev wgb; ip link set wgb mtu 8920 up")
    out = compare(a, b, "10.99.0.2")
    for i in ids:
        e.remove(i)
    return out


def bare_nic(e):
    """The NIC of a vmnet network, in the VM's own namespace."""
    docker(e, "network", "create", "-d", "vmnet", "--subnet", "10.98.0.0/24", "barenic")
    ids, runs = pair(e, "barenic", "--privileged", "--pid", "host")
    for i, r in enumerate(runs):
        r("sh", "-c", "ip link set eth0 down; ip link set eth0 name bare0 netns 1")
        r("nsenter", "-t", "1", "-n", "sh", "-c", f"ip addr add 10.98.0.{2 + i}/24 dev bare0; ip link set bare0 up")
    inside = [lambda *a, r=r: r("nsenter", "-t", "1", "-n", *a) for r in runs]
    inside[0]("ping", "-c", "1", "-w", "10", "10.98.0.3")
    out = compare(inside[0], inside[1], "10.98.0.3")
    for i in ids:
        e.remove(i)
    docker(e, "network", "rm", "barenic")
    return out


def between(e, driver):
    docker(e, "network", "create", "-d", driver, "between")
    ids, (a, b) = pair(e, "between")
    address = e.call("GET", f"/containers/{ids[1]}/json")["NetworkSettings"]["Networks"]["between"]["IPAddress"]
    out = compare(a, b, address)
    for i in ids:
        e.remove(i)
    docker(e, "network", "rm", "between")
    return out


def requests(run, url):
    """Seconds of REQUESTS short requests, each on a connection of its own, in one curl process."""
    took = run("sh", "-c", f"printf 'url=\"{url}\"\\noutput=/dev/null\\n%.0s' $(seq {REQUESTS}) >/tmp/arca-urls; t=$(date +%s%N); "
               "curl -s --no-keepalive -H 'Connection: close' -K /tmp/arca-urls; echo $(($(date +%s%N) - t))")
    return int(took.splitlines()[-1]) / 1e9


def published(e):
    cid = docker(e, "run", "-d", "-p", "127.0.0.1:15201:5201", "-p", "127.0.0.1:18080:80", "net:test", "sh", "-c",
                 "iperf3 -s -D; echo hello >/var/www/html/index.html; exec nginx -g 'daemon off;'")
    docker(e, "exec", cid, "sh", "-c", f"{listens(5201)}; {listens(80)}")
    info = e.call("GET", f"/containers/{cid}/json")
    ns = info["NetworkSettings"]["SandboxKey"]
    vm = json.load(open(ns.replace("/net/ns", f"/vm/{cid}/vm.json")))["nic"]
    direct = f"198.18.{vm >> 8}.{vm & 255}"

    def host(*a):
        return subprocess.run(a, check=True, capture_output=True, text=True, timeout=300).stdout

    def inside(*a):
        return host("nsenter", f"--net={ns}", *a)

    out = {"port": [], "direct": []}
    http = {"port": [], "direct": []}
    for _ in range(3):
        out["direct"].append(iperf(inside, direct))
        out["port"].append(iperf(host, "127.0.0.1", 15201))
        http["direct"].append(requests(inside, f"http://{direct}/"))
        http["port"].append(requests(host, "http://127.0.0.1:18080/"))
    e.remove(cid)
    m = {k: statistics.median(v) for k, v in out.items()}
    h = {k: statistics.median(v) for k, v in http.items()}
    return {"mbit_s": {k: round(v, 1) for k, v in m.items()}, "http_s": {k: round(v, 3) for k, v in h.items()},
            "throughput_of_direct": round(m["port"] / m["direct"], 3), "http_over_direct": round(h["port"] / h["direct"], 3)}


def measure(engines, args):
    result = {}
    for e in engines.values():
        e.load(engine.image("busybox"))
    arca = engines["arca"]
    with engine.Arcad(args.build, "--vm-pool", "0") as clone:
        clone.load(engine.image("busybox"))
        result["start"] = starts({**engines, "clone": clone}, args.rounds)
    s = {k: v["p50"] for k, v in result["start"].items()}
    result["network_adds_ms"] = {k: round(s[f"{k}_bridge"] - s[f"{k}_none"], 1) for k in ("arca", "clone")}
    if "peer" in engines:
        result["bridge_over_peer"] = {k: round(s[f"{k}_bridge"] / s["peer_bridge"], 3) for k in ("arca", "clone")}
    arca.load(engine.image("net"))
    for name, floor, driver in (("mesh", bare, "bridge"), ("vmnet", bare_nic, "vmnet")):
        f, c = floor(arca), between(arca, driver)
        result[name] = {"bare": f, "containers": c, "rtt_over_bare": round(c["rtt_ms"] / f["rtt_ms"], 3),
                        "throughput_of_bare": round(c["mbit_s"] / f["mbit_s"], 3)}
    result["published"] = published(arca)
    result["join"] = join(arca, 40, args.rounds)
    return result


engine.main("network", 15, measure)
