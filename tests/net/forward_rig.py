# SPDX-License-Identifier: Apache-2.0
"""forward_rig.py - an arca-forward between two network namespaces of its own, and its protocol in a few lines.

`host` stands for the host, where clients connect; `vm` for the underlay, where servers are VMs. Needs root.
"""
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

CLONE_NEWNET = 0x40000000
TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
HELLO, ADD, DEL, LIST = 1, 2, 3, 4
libc = ctypes.CDLL(None, use_errno=True)


def in_thread(fn):
    """Runs fn on a thread of its own, so that what it does to its namespace stays there."""
    result = {}

    def run():
        try:
            result["value"] = fn()
        except BaseException as e:  # handed on below
            result["error"] = e

    t = threading.Thread(target=run)
    t.start()
    t.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


class Net:
    """A network namespace with loopback up."""

    def __init__(self):
        def make():
            if libc.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        self.fd = in_thread(make)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *argv):
        subprocess.run(["nsenter", f"--net=/proc/self/fd/{self.fd}", *argv], check=True, pass_fds=[self.fd])

    def make(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        def make():
            if libc.setns(self.fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            s = socket.socket(family, kind)
            s.settimeout(20)
            return s

        return in_thread(make)

    def connect(self, address, port, family=socket.AF_INET):
        s = self.make(family)
        s.connect((address, port))
        return s

    def listen(self, address="127.0.0.1", port=0, family=socket.AF_INET, backlog=128):
        s = self.make(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((address, port))
        s.listen(backlog)
        return s

    def udp(self, address="127.0.0.1", port=0, family=socket.AF_INET):
        s = self.make(family, socket.SOCK_DGRAM)
        s.bind((address, port))
        return s


def ip(text):
    family = 6 if ":" in text else 4
    return family, socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, text).ljust(16, b"\0")


def mapping(host_port, target_port, proto=TCP, host="127.0.0.1", target="127.0.0.1", count=1, last=0, same=False):
    hf, h = ip(host)
    tf, t = ip(target)
    return struct.pack("=BBBBHHHH16s16s", proto, same, hf, tf, host_port, last, target_port, count, h, t)


def message(op, owner="", mappings=(), port=0, error=0, value=0):
    body = struct.pack("=BBHiII", op, len(owner), port, error, value, len(mappings)) + owner.encode() + b"".join(mappings)
    return struct.pack("=I", len(body)) + body


class Answer:
    def __init__(self, body):
        self.op, n_owner, self.port, self.error, self.value, self.n = struct.unpack_from("=BBHiII", body)
        self.owner = body[16:16 + n_owner].decode()
        at = 16 + n_owner
        self.ports = [struct.unpack_from("=H", body, at + i * 44 + 4)[0] for i in range(self.n)]


class Forwarder:
    def __init__(self, program, host, vm, *options):
        self.folder = tempfile.mkdtemp(prefix="arca-forward.")
        # The descriptor must be 3 in the forwarder.
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec nsenter --net=/proc/self/fd/{vm.fd} "$@" 3</proc/self/fd/{host.fd}', "sh", program, self.folder, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=[vm.fd, host.fd])
        if self.process.stdout.read(1) != b"\n":
            raise RuntimeError("arca-forward does not start")
        self.pid = self.process.pid
        self.control = self.connect()

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(f"{self.folder}/forward.sock")
        return s

    def read(self, control=None):
        f = (control or self.control)
        data = b""
        want = 4
        while len(data) < want:
            got = f.recv(want - len(data))
            if not got:
                raise EOFError
            data += got
            if want == 4 and len(data) == 4:
                want = 4 + struct.unpack("=I", data)[0]
        return Answer(data[4:])

    def ask(self, *args, **kwargs):
        self.control.sendall(message(*args, **kwargs))
        return self.read()

    def add(self, owner, *mappings):
        """Ports that were bound; an Answer if one was not."""
        a = self.ask(ADD, owner, mappings)
        return a if a.error else a.ports

    def delete(self, owner):
        return self.ask(DEL, owner).error

    def owners(self):
        self.control.sendall(message(LIST))
        found = {}
        while (a := self.read()).owner:
            found[a.owner] = a.ports
        return found

    def status(self, task, key):
        with open(f"/proc/{self.pid}/task/{task}/status") as f:
            return next(line.split(":")[1].strip() for line in f if line.startswith(key + ":"))

    def rss_kb(self):
        return int(self.status(self.pid, "VmRSS").split()[0])

    def n_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def tasks(self):
        return sorted(int(t) for t in os.listdir(f"/proc/{self.pid}/task"))

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)
