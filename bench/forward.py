#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""forward.py - a published port beside going to the server directly: 1,000 short HTTP requests, each on a connection of its
own, and a stream of bytes. Prints JSON.

Needs root, no VM: the server is a process in a network namespace that stands for the underlay, the client in one that
stands for the host. Direct means that the client is in the server's namespace. Both turn by turn in one run. The bytes
go over loopback, once directly and twice through the forwarder, so the ratio is the worst there is: with a VM behind the
port its own network is most of the time.
"""
import argparse
import json
import os
import socket
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../tests/net")
from forward_rig import Forwarder, Net, mapping  # noqa: E402

REQUESTS = 1000
BULK = 1 << 30
REPLY = b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100


def serve_http(listener):
    while True:
        s = listener.accept()[0]
        s.recv(4096)
        s.sendall(REPLY)
        s.close()


def serve_bulk(listener):
    buffer = bytearray(1 << 20)
    while True:
        s = listener.accept()[0]
        while s.recv_into(buffer):
            pass
        s.sendall(b"!")
        s.close()


def child(fn, listener):
    if pid := os.fork():
        return pid
    listener.settimeout(None)
    fn(listener)
    os._exit(0)


def requests(net, port):
    start = time.perf_counter()
    for _ in range(REQUESTS):
        s = net.connect_here("127.0.0.1", port)
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        got = b""
        while data := s.recv(4096):
            got += data
        assert len(got) == len(REPLY)
        s.close()
    return (time.perf_counter() - start) * 1000 / REQUESTS


def bulk(net, port):
    block = memoryview(bytearray(1 << 20))
    s = net.connect_here("127.0.0.1", port)
    start = time.perf_counter()
    for _ in range(BULK >> 20):
        s.sendall(block)
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
    return BULK / (time.perf_counter() - start) / 1e9


class Here:
    """A client process inside a namespace: entering it for each socket would be measured as well."""

    def __init__(self, net):
        self.net = net

    @staticmethod
    def connect_here(address, port):
        s = socket.socket()
        s.connect((address, port))
        return s

    def run(self, fn, port):
        read, write = os.pipe()
        if not os.fork():
            import ctypes
            assert ctypes.CDLL(None).setns(self.net.fd, 0x40000000) == 0
            os.write(write, json.dumps(fn(self, port)).encode())
            os._exit(0)
        os.close(write)
        value = json.loads(os.read(read, 100))
        os.close(read)
        os.wait()
        return value


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=f"{HERE}/../build")
    p.add_argument("--rounds", type=int, default=5)
    args = p.parse_args()
    host, vm = Net(), Net()
    f = Forwarder(os.path.abspath(f"{args.build}/arca-forward"), host, vm)
    result = {"bench": "forward", "requests": REQUESTS, "bulk_bytes": BULK, "rounds": args.rounds}
    for name, serve, measure, unit in (("http", serve_http, requests, "ms"), ("bulk", serve_bulk, bulk, "GB/s")):
        listener = vm.listen(backlog=1024)
        direct = listener.getsockname()[1]
        server = child(serve, listener)
        forwarded = f.add(name, mapping(0, direct))[0]
        values = {"direct": [], "forwarded": []}
        for _ in range(args.rounds + 1):  # the first is not counted
            values["direct"].append(Here(vm).run(measure, direct))
            values["forwarded"].append(Here(host).run(measure, forwarded))
        os.kill(server, 9)
        os.wait()
        medians = {k: round(statistics.median(v[1:]), 4) for k, v in values.items()}
        ratio = medians["forwarded"] / medians["direct"]
        result[name] = {"unit": unit, **medians, "ratio": round(ratio if unit == "ms" else 1 / ratio, 2)}
    start = time.perf_counter()
    f.add("range", mapping(20000, 80, count=1000))
    result["range_of_1000_ms"] = round((time.perf_counter() - start) * 1000, 2)
    result["rss_kib"] = f.rss_kb()
    f.end()
    print(json.dumps(result))


main()
