#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""forward.py ARCA-FORWARD - what a published port does, claim by claim; TAP."""
import errno
import hashlib
import os
import resource
import select
import socket
import struct
import sys
import threading
import time
import traceback

from forward_rig import ADD, DEL, HELLO, LIST, UDP, Forwarder, Net, mapping, message

BULK = 100 * 1024 * 1024


def eq(a, b):
    assert a == b, f"{a!r} is not {b!r}"


def read_all(s):
    data = b""
    while got := s.recv(65536):
        data += got
    return data


def until_true(fn, seconds=10):
    end = time.time() + seconds
    while not fn():
        assert time.time() < end, "never came true"
        time.sleep(0.02)


def ended(s):
    """Whether the connection was closed or reset."""
    try:
        return s.recv(1) == b""
    except ConnectionError:
        return True


class Rig:
    def __init__(self, program):
        self.host, self.vm = Net(), Net()
        self.f = Forwarder(program, self.host, self.vm, "400")

    def published(self, owner, server, **options):
        return self.f.add(owner, mapping(0, server.getsockname()[1], **options))[0]

    def pair(self, owner):
        """A client and the server's end of its connection."""
        server = self.vm.listen()
        client = self.host.connect("127.0.0.1", self.published(owner, server))
        return client, server.accept()[0]


def t_echo(r):
    client, server = r.pair("a")
    for n in (1, 1000, 200000):
        data = os.urandom(n)
        t = threading.Thread(target=client.sendall, args=(data,))
        t.start()
        got = b""
        while len(got) < n:
            got += server.recv(65536)
        t.join()
        eq(got, data)
        server.sendall(data[:100])
        eq(client.recv(1000), data[:100])


def t_half_close(r):
    client, server = r.pair("a")
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    eq(read_all(server), b"question")
    server.sendall(b"answer after the end of the question")
    server.close()
    eq(read_all(client), b"answer after the end of the question")


def t_reset_is_passed_on(r):
    client, server = r.pair("a")
    client.sendall(b"x")
    server.recv(1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    try:
        client.recv(1)
        raise AssertionError("an orderly end")
    except ConnectionResetError:
        pass


def t_refused_closes_the_client(r):
    port = r.f.add("a", mapping(0, 1))[0]
    assert ended(r.host.connect("127.0.0.1", port))


def t_bulk_both_ways_with_a_slow_reader_in_bounded_memory(r):
    client, server = r.pair("a")
    before = r.f.rss_kb()
    digests = {}

    def send(s, name):
        h = hashlib.sha256()
        for i in range(BULK // (1 << 20)):
            block = hashlib.sha256(f"{name}{i}".encode()).digest() * (1 << 15)
            h.update(block)
            s.sendall(block)
        s.shutdown(socket.SHUT_WR)
        digests[name] = h.hexdigest()

    def receive(s, name, pause):
        h, n = hashlib.sha256(), 0
        time.sleep(1)  # the writer fills what there is to fill
        while got := s.recv(1 << 18):
            h.update(got)
            n += len(got)
            if pause:
                time.sleep(pause)
        digests[name] = h.hexdigest()
        eq(n, BULK)

    threads = [threading.Thread(target=send, args=(client, "up")), threading.Thread(target=send, args=(server, "down")),
               threading.Thread(target=receive, args=(server, "up-got", 0)), threading.Thread(target=receive, args=(client, "down-got", 0.002))]
    for t in threads:
        t.start()
    time.sleep(0.9)
    stuck = r.f.rss_kb()
    for t in threads:
        t.join()
    eq(digests["up"], digests["up-got"])
    eq(digests["down"], digests["down-got"])
    assert max(stuck, r.f.rss_kb()) < before + 4096, f"{before} -> {stuck} KiB"


def t_a_range_of_1000_ports_needs_no_process_or_thread_each(r):
    servers = {i: r.vm.listen(port=20000 + i) for i in (0, 500, 999)}
    rss, tasks = r.f.rss_kb(), r.f.tasks()
    eq(r.f.add("a", mapping(30000, 20000, count=1000)), [30000])
    eq(r.f.tasks(), tasks)
    assert r.f.rss_kb() < rss + 1024
    for i, server in servers.items():
        client = r.host.connect("127.0.0.1", 30000 + i)
        client.sendall(b"%d" % i)
        eq(server.accept()[0].recv(10), b"%d" % i)
    eq(r.f.delete("a"), 0)
    r.host.listen(port=30999).close()


def t_1000_single_ports(r):
    eq(r.f.add("a", *[mapping(31000 + i, 20000) for i in range(1000)]), list(range(31000, 32000)))


def t_udp_clients_are_apart(r):
    server = r.vm.udp()
    port = r.published("a", server, proto=UDP)
    a, b = r.host.udp(), r.host.udp()
    a.sendto(b"from a", ("127.0.0.1", port))
    got, at_a = server.recvfrom(100)
    eq(got, b"from a")
    b.sendto(b"from b", ("127.0.0.1", port))
    got, at_b = server.recvfrom(100)
    assert at_a != at_b
    server.sendto(b"to a", at_a)
    server.sendto(b"to b", at_b)
    eq(a.recv(100), b"to a")
    eq(b.recv(100), b"to b")
    a.sendto(b"x" * 60000, ("127.0.0.1", port))
    got, at = server.recvfrom(65536)
    eq((len(got), at), (60000, at_a))


def t_udp_answers_come_from_the_address_that_was_asked(r):
    server = r.vm.udp()
    port = r.f.add("a", mapping(0, server.getsockname()[1], proto=UDP, host="0.0.0.0"))[0]
    client = r.host.udp("0.0.0.0")
    client.sendto(b"hello", ("127.7.7.7", port))
    server.sendto(b"hi", server.recvfrom(10)[1])
    eq(client.recvfrom(10), (b"hi", ("127.7.7.7", port)))


def t_udp_sessions_end_when_idle(r):
    server = r.vm.udp()
    port = r.published("a", server, proto=UDP)
    client = r.host.udp()
    before = r.f.n_fds()
    client.sendto(b"1", ("127.0.0.1", port))
    first = server.recvfrom(10)[1]
    eq(r.f.n_fds(), before + 1)
    until_true(lambda: r.f.n_fds() == before)
    client.sendto(b"2", ("127.0.0.1", port))
    assert server.recvfrom(10)[1] != first


def t_udp_sessions_are_bounded(r):
    server = r.vm.udp()
    port = r.published("a", server, proto=UDP)
    before = r.f.n_fds()
    client = r.host.udp("0.0.0.0")
    for i in range(5000):  # one socket, many source addresses: IP_PKTINFO
        source = struct.pack("=i4s4s", 0, bytes([127, 2, i // 250, i % 250 + 1]), b"\0" * 4)
        client.sendmsg([b"x"], [(socket.IPPROTO_IP, 8, source)], 0, ("127.0.0.1", port))
        if i % 50 == 49:
            time.sleep(0.001)
    assert 4000 < r.f.n_fds() <= before + 4096


def t_udp_server_that_comes_late(r):
    server = r.vm.udp()
    target = server.getsockname()[1]
    port = r.f.add("a", mapping(0, target, proto=UDP))[0]
    server.close()
    client = r.host.udp()
    client.sendto(b"lost", ("127.0.0.1", port))
    time.sleep(0.1)
    server = r.vm.udp(port=target)
    client.sendto(b"there", ("127.0.0.1", port))
    eq(server.recv(10), b"there")


def t_ipv6(r):
    server6 = r.vm.listen("::1", family=socket.AF_INET6)
    server4 = r.vm.listen()
    ports = r.f.add("a", mapping(0, server6.getsockname()[1], host="::1", target="::1"),
                    mapping(0, server4.getsockname()[1], host="::"))
    for port, server in zip(ports, (server6, server4)):
        client = r.host.connect("::1", port, socket.AF_INET6)
        client.sendall(b"six")
        eq(server.accept()[0].recv(10), b"six")
    udp6 = r.vm.udp("::1", family=socket.AF_INET6)
    port = r.f.add("b", mapping(0, udp6.getsockname()[1], proto=UDP, host="::", target="::1"))[0]
    client = r.host.udp("::1", family=socket.AF_INET6)
    client.sendto(b"hello", ("::1", port))
    udp6.sendto(b"hi", udp6.recvfrom(10)[1])
    eq(client.recv(10), b"hi")


def t_a_taken_port_fails_all_and_says_whose_it_is(r):
    theirs = r.host.listen()
    taken = theirs.getsockname()[1]
    eq(r.f.add("a", mapping(40001, 80)), [40001])
    a = r.f.add("b", mapping(40002, 80), mapping(taken, 80), mapping(40003, 80))
    eq((a.error, a.value, a.port, a.owner), (-errno.EADDRINUSE, 1, taken, ""))
    a = r.f.add("b", mapping(40002, 80), mapping(39990, 80, count=20, host="0.0.0.0"))
    eq((a.error, a.value, a.port, a.owner), (-errno.EADDRINUSE, 1, 40001, "a"))
    a = r.f.add("b", mapping(40005, 80), mapping(40005, 81))
    eq((a.error, a.value, a.owner), (-errno.EADDRINUSE, 1, "b"))
    a = r.f.add("b", mapping(40002, 80, host="203.0.113.9"))
    eq((a.error, a.value, a.port), (-errno.EADDRNOTAVAIL, 0, 40002))
    eq(list(r.f.owners()), ["a"])
    eq(r.f.add("b", mapping(40002, 80), mapping(40003, 80)), [40002, 40003])
    eq(r.f.add("b", mapping(40004, 80)).error, -errno.EEXIST)


def t_ports_are_chosen(r):
    busy = r.host.listen("0.0.0.0", 41000)
    ports = r.f.add("a", mapping(0, 80, host="0.0.0.0"), mapping(0, 80, host="::", same=True),
                    mapping(41000, 80, host="0.0.0.0", last=41010), mapping(0, 80, host="::", same=True))
    eq(ports[0], ports[1])
    eq(ports[2:], [41001, 41001])
    assert ports[0] >= 1024
    eq(r.f.owners(), {"a": ports})
    six = r.host.listen("::", 41002, socket.AF_INET6)
    six_only = r.f.add("b", mapping(41000, 80, host="0.0.0.0", last=41002), mapping(0, 80, host="::", same=True))
    eq((six_only.error, six_only.value), (-errno.EADDRINUSE, 1))
    eq(r.f.add("b", mapping(41000, 80, host="0.0.0.0", last=41003), mapping(0, 80, host="::", same=True)), [41003, 41003])
    a = r.f.add("c", mapping(41000, 80, host="0.0.0.0", last=41001))
    eq((a.error, a.value, a.port), (-errno.EADDRINUSE, 0, 41001))
    busy.close()
    six.close()


def t_low_ports_and_tcp_beside_udp(r):
    eq(r.f.add("a", mapping(53, 5353), mapping(53, 5353, proto=UDP)), [53, 53])


def t_deleting_ends_connections_of_that_owner_only(r):
    a, a_server = r.pair("a")
    b, b_server = r.pair("b")
    for s in (a, b):
        s.sendall(b"x")
    a_server.recv(1), b_server.recv(1)
    port = a.getpeername()[1]
    eq(r.f.delete("a"), 0)
    assert ended(a) and ended(a_server)
    r.host.listen(port=port).close()
    b.sendall(b"still here")
    eq(b_server.recv(20), b"still here")
    eq(r.f.delete("a"), -errno.ENOENT)


def t_adding_while_connections_run(r):
    client, server = r.pair("a")
    stop = threading.Event()
    moved = [0]

    def talk():
        while not stop.is_set():
            client.sendall(b"x" * 1000)
            moved[0] += len(server.recv(65536))

    t = threading.Thread(target=talk)
    t.start()
    for i in range(50):
        assert isinstance(r.f.add(f"o{i}", mapping(0, 80), mapping(0, 80, proto=UDP)), list)
        eq(r.f.delete(f"o{i}"), 0)
    stop.set()
    t.join()
    assert moved[0] > 0


def t_many_connections_leave_nothing(r):
    server = r.vm.listen(backlog=1024)
    port = r.published("a", server)
    before = r.f.n_fds()
    for _ in range(10):
        pairs = []
        for _ in range(30):
            c = r.host.connect("127.0.0.1", port)
            pairs.append((c, server.accept()[0]))
        for c, s in pairs:
            c.sendall(b"ping")
            eq(s.recv(10), b"ping")
            s.sendall(b"pong")
            eq(c.recv(10), b"pong")
        for c, s in pairs:
            c.close()
            s.close()
    until_true(lambda: r.f.n_fds() <= before + 2 * 64 + 1)  # the pool of pipes, the spare descriptor


def t_without_descriptors_clients_are_turned_away(r):
    server = r.vm.listen()
    port = r.published("a", server)
    r.host.connect("127.0.0.1", port).close()
    server.accept()[0].close()
    until_true(lambda: r.f.n_fds() < 200)
    limits = resource.prlimit(r.f.pid, resource.RLIMIT_NOFILE)
    n = max(int(x) for x in os.listdir(f"/proc/{r.f.pid}/fd")) + 4
    resource.prlimit(r.f.pid, resource.RLIMIT_NOFILE, (n, limits[1]))
    clients = [r.host.connect("127.0.0.1", port) for _ in range(n)]
    resource.prlimit(r.f.pid, resource.RLIMIT_NOFILE, limits)
    gone = select.select(clients, [], [], 5)[0]
    assert gone and ended(gone[0])
    for c in clients:
        c.close()
    until_true(lambda: served(r, server, port))


def served(r, server, port):
    c = r.host.connect("127.0.0.1", port)
    c.sendall(b"after")
    while True:
        s = server.accept()[0]
        if got := s.recv(10):
            return got == b"after"


def t_few_privileges(r):
    main, listener = r.f.tasks()
    for task in (main, listener):
        eq(r.f.status(task, "NoNewPrivs"), "1")
        eq(r.f.status(task, "CapInh"), "0" * 16)
        if not os.environ.get("SANITIZED"):
            eq(r.f.status(task, "Seccomp"), "2")
    eq(int(r.f.status(main, "CapPrm"), 16), 0)
    eq(int(r.f.status(main, "CapBnd"), 16), 0)
    eq(int(r.f.status(listener, "CapPrm"), 16), 1 << 10)


def t_nonsense_is_refused(r):
    good = mapping(42000, 80)
    bad = [b"\xff" * 100, struct.pack("=I", 3) + b"abc", struct.pack("=I", 1 << 30), message(9), message(0), message(ADD, "a", [good[:-1]]),
           message(ADD, "a", [b"\x01" + good[1:]]), message(ADD, "a", [mapping(65000, 80, count=1000)]), message(ADD, "a", [mapping(0, 80, count=2)]),
           message(ADD, "a", [mapping(0, 80, same=True)]), message(ADD, "a", [mapping(42000, 0)]), message(ADD, "a", [mapping(42000, 80, count=0)]),
           message(ADD, "a", [mapping(42000, 80, last=41000)]), message(ADD, "a\0b", [good]), message(ADD, "x" * 65, [good])]
    for b in bad:
        s = r.f.connect()
        s.sendall(b)
        assert ended(s), b
    eq(r.f.ask(HELLO).value, 1)
    eq(r.f.ask(ADD, "", [good]).error, -errno.EINVAL)
    eq(r.f.ask(ADD, "a").error, -errno.EINVAL)
    s = r.f.connect()  # byte by byte
    for byte in message(ADD, "a", [good]):
        s.sendall(bytes([byte]))
    eq(r.f.read(s).ports, [42000])
    s.sendall(message(LIST) + message(DEL, "a") + message(LIST))  # several at once
    eq([r.f.read(s).owner, r.f.read(s).owner, r.f.read(s).op, r.f.read(s).owner], ["a", "", DEL, ""])


def main():
    rig = Rig(os.path.abspath(sys.argv[1]))
    tests = [(n, f) for n, f in globals().items() if n.startswith("t_")]
    bad = 0
    for i, (name, fn) in enumerate(tests, 1):
        if os.environ.get("ONLY", "") not in name:
            continue
        try:
            fn(rig)
            print(f"ok {i} - {name}", flush=True)
        except Exception:
            bad = 1
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            print(f"not ok {i} - {name}", flush=True)
        for owner in rig.f.owners():
            rig.f.delete(owner)
    rig.f.end()
    print(f"1..{len(tests)}")
    sys.exit(bad)


main()
