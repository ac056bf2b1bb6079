#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fake-qemu.py - behaves like QEMU from outside, up to the point where the test wants it to fail

The first line of the file behind -blockdev upper names the behaviour. 3 and 4 are the listening QMP and agent sockets.
"""
import json
import os
import socket
import sys
import time

if "--version" in sys.argv:
    print("QEMU emulator version 0.0.1 (fake)")
    sys.exit(0)

if os.environ.get("FAKE_BOOT") == "hang":
    time.sleep(60)

if os.environ.get("FAKE_BOOT") == "die":
    print("fake: KVM? Never heard of it", file=sys.stderr)
    sys.exit(1)

blockdev = [a for a in sys.argv if '"node-name":"upper"' in a][0]
mode = os.environ.get("FAKE_BOOT") or open(json.loads(blockdev)["file"]["filename"]).readline().strip()
if mode == "die":
    print("fake: I shall not run", file=sys.stderr)
    sys.exit(1)

listener = socket.socket(fileno=3)
agent_listener = socket.socket(fileno=4)
qmp, _ = listener.accept()
say = lambda o: qmp.sendall(json.dumps(o).encode() + b"\r\n")
say({"QMP": {"version": {}, "capabilities": []}})
if mode == "vanish":
    sys.exit(0)
if mode == "nonsense":
    qmp.sendall(b"hello?\n")
def lines():
    """What the client says; one that is "patient" outlives its clients, as the real one does."""
    global qmp
    yield from qmp.makefile()
    while mode == "patient":
        qmp, _ = listener.accept()
        say({"QMP": {"version": {}, "capabilities": []}})
        yield from qmp.makefile()


for line in lines():
    command = json.loads(line)
    name = command["execute"]
    if mode == "refuse" and name == "migrate-incoming":
        say({"id": command["id"], "error": {"class": "GenericError", "desc": "this state is from another machine"}})
        continue
    if name == "query-status":
        say({"id": command["id"], "return": {"status": "paused" if mode == "paused" else "running"}})
        continue
    say({"id": command["id"], "return": {}})
    if name == "quit":
        sys.exit(0)
    if name == "cont":
        if mode == "corrupt":
            print("fake: load of migration failed: Invalid argument", file=sys.stderr)
            sys.exit(1)
        if mode == "chatty":
            for _ in range(128):
                try:
                    os.write(2, b"virtio: the guest did something odd\n" * 2000)
                except OSError:
                    pass
        say({"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 1}})
        if mode == "babble":
            agent, _ = agent_listener.accept()
            try:
                while True:
                    agent.sendall(os.urandom(65536))
            except OSError:
                pass
