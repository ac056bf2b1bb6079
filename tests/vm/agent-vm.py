#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""agent-vm.py - boot a VM around an agent, or clone one from a template, for tests by hand

usage: agent-vm.py boot DIR GUEST ROOT UPPER      boot; the agent's socket is DIR/agent.sock
       agent-vm.py template DIR GUEST [MASTER]    boot on empty disks (or the master of upper disks),
                                                  save as a template in DIR
       agent-vm.py clone DIR GUEST ROOT UPPER     a clone of that template, resumed; in DIR/$CLONE ("clone")

$TAP_FD, an open tap with IFF_VNET_HDR, is the NIC: for a template and its clones, or for none of them.
GUEST is the folder that guest/build.sh made. The VM ends when this program is ended.
"""
import json, os, signal, socket, subprocess, sys, time

MEM = int(os.environ.get("MEM", "256"))


def qemu(d, guest, root, upper, memory, share, extra=()):
    for n in ("agent.sock", "qmp.sock"):
        if os.path.exists(f"{d}/{n}"):
            os.unlink(f"{d}/{n}")
    argv = [
        "qemu-system-x86_64", "-M", "q35,accel=tcg,sata=off,smbus=off,usb=off,memory-backend=m0",
        "-cpu", os.environ.get("CPU", "max,erms=off"), "-m", str(MEM), "-smp", "1", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot",
        "-object", f"memory-backend-file,id=m0,size={MEM}M,mem-path={memory},share={share}",
        "-device", "virtio-serial-pci,addr=0x1.0",
        "-kernel", f"{guest}/vmlinux", "-initrd", f"{guest}/initrd.img",
        "-append", "console=ttyS0 quiet reboot=t panic=-1 " + os.environ.get("APPEND", "init_on_alloc=0"),
        "-blockdev", json.dumps({"driver": "raw", "node-name": "n0", "read-only": True,
                                 "file": {"driver": "file", "filename": root, "read-only": True}}),
        "-blockdev", json.dumps({"driver": "raw", "node-name": "n1",
                                 "file": {"driver": "file", "filename": upper}}),
        "-device", "virtio-blk-pci,drive=n0,id=d0,serial=rootfs,addr=0x8",
        "-device", "virtio-blk-pci,drive=n1,id=d1,serial=upper,addr=0x9",
        "-chardev", f"socket,id=vs,path={d}/agent.sock,server=on,wait=off",
        "-device", "virtserialport,id=port,chardev=vs,name=arca.agent,nr=1",
        "-serial", f"file:{d}/console.log",
        "-qmp", f"unix:{d}/qmp.sock,server=on,wait=off", *extra]
    tap = os.environ.get("TAP_FD")
    if tap:
        argv += ["-netdev", f"tap,id=n0,fd={tap}", "-device",
                 "virtio-net-pci,netdev=n0,mac=02:61:00:00:00:00,host_mtu=9000,romfile=,addr=0x4"]
    return subprocess.Popen(argv, pass_fds=[int(tap)] if tap else [])


class Qmp:
    def __init__(self, path):
        while True:
            try:
                self.s = socket.socket(socket.AF_UNIX)
                self.s.connect(path)
                break
            except OSError:
                time.sleep(0.002)
        self.seen = set()
        self.f = self.s.makefile("rw")
        self.f.readline()
        self.cmd("qmp_capabilities")

    def wait_event(self, name):
        while name not in self.seen:
            self.seen.add(json.loads(self.f.readline()).get("event"))

    def cmd(self, name, **arguments):
        self.f.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.f.flush()
        while True:
            r = json.loads(self.f.readline())
            self.seen.add(r.get("event"))
            if "error" in r:
                sys.exit(f"{name}: {r['error']['desc']}")
            if "return" in r:
                return r["return"]


def wait(p):
    signal.signal(signal.SIGTERM, lambda *_: p.terminate())
    try:
        p.wait()
    except KeyboardInterrupt:
        p.terminate()
        p.wait()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    verb, d, guest = sys.argv[1:4]
    os.makedirs(d, exist_ok=True)
    if verb == "boot":
        wait(qemu(d, guest, sys.argv[4], sys.argv[5], f"{d}/memory", "on"))
    elif verb == "template":
        for n, size in (("root", 256 << 30), ("upper", 64 << 30)):
            with open(f"{d}/empty.{n}", "wb") as f:
                f.truncate(size)
        upper = sys.argv[4] if len(sys.argv) > 4 else f"{d}/empty.upper"
        p = qemu(d, guest, f"{d}/empty.root", upper, f"{d}/memory", "on")
        q = Qmp(f"{d}/qmp.sock")
        q.wait_event("VSERPORT_CHANGE")  # the agent opened its port: the last thing it does
        time.sleep(0.2)
        q.cmd("stop")
        q.cmd("migrate-set-capabilities",
              capabilities=[{"capability": "x-ignore-shared", "state": True}])
        q.cmd("migrate", uri=f"exec:cat > {d}/state")
        while q.cmd("query-migrate").get("status") not in ("completed", "failed"):
            time.sleep(0.01)
        q.cmd("quit")
        p.wait()
    elif verb == "clone":
        c = f"{d}/{os.environ.get('CLONE', 'clone')}"
        os.makedirs(c, exist_ok=True)
        p = qemu(c, guest, sys.argv[4], sys.argv[5], f"{d}/memory", "off",
                 ("-incoming", "defer"))
        q = Qmp(f"{c}/qmp.sock")
        q.cmd("migrate-set-capabilities",
              capabilities=[{"capability": "x-ignore-shared", "state": True}])
        q.cmd("migrate-incoming", uri=f"exec:cat {d}/state")
        while q.cmd("query-status")["status"] == "inmigrate":
            time.sleep(0.001)
        q.cmd("cont")
        open(f"{c}/ready", "w").close()
        wait(p)


main()
