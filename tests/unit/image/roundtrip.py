#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""roundtrip.py TOOL - a tree of everything -> tar(1) -> layer -> EROFS -> the kernel's driver, and back to the same listing

Needs root (devices, owners), tar, qemu-img and fsck.erofs; without the right to mount a loop device the last step is skipped.
"""
import hashlib
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile

DISK = 64 << 30
tool = sys.argv[1]
work = tempfile.mkdtemp(prefix="arca-roundtrip-")
count = 0


def say(ok, claim, skip=""):
    global count
    count += 1
    print(f"{'' if ok else 'not '}ok {count} - {claim}{' # SKIP ' + skip if skip else ''}", flush=True)


def run(*argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, **kw).stdout


def make_tree(root, rnd):
    for i in range(3000):
        d = root + b"/d%d/e%d" % (i % 97, i % 13)
        os.makedirs(d, exist_ok=True)
        path = d + b"/file-%d-" % i + b"x" * (i % 60)
        with open(path, "wb") as f:
            f.write(rnd.randbytes(rnd.choice([0, 1, 100, 4095, 4096, 4097, 10000])))
        os.chown(path, rnd.randrange(1 << 31), rnd.randrange(1 << 31))
        os.chmod(path, rnd.choice([0o644, 0o755, 0o4755, 0o2711, 0o600, 0]))
        os.utime(path, ns=(0, rnd.randrange(4 * 10**18)))
    deep = root + b"".join(b"/dir%02d-" % i + b"y" * 40 for i in range(60))
    os.makedirs(deep)
    open(deep + b"/bottom", "wb").write(b"deep")
    odd = root + b"/odd"
    os.makedirs(odd)
    for name in [b"\xff\xfe\x80", b"a b", b"-dash", b"!bang", b".hidden", b"..x", b"...", b"nl\nx", b"e\xcc\x81", b"\xc3\xa9", b"\\", b"n" * 255]:
        open(odd + b"/" + name, "wb").write(name)
    for i, target in enumerate([b"t" * 4000, b"/etc/passwd", b"\xff/../..", b"x", b"u" * 60]):
        os.symlink(target, odd + b"/link%d" % i)
    links = root + b"/links"
    os.makedirs(links)
    open(links + b"/a", "wb").write(b"linked" * 1000)
    os.link(links + b"/a", links + b"/b")
    os.link(links + b"/a", odd + b"/c")
    os.symlink(b"a", links + b"/s")
    os.link(links + b"/s", links + b"/s2", follow_symlinks=False)
    os.mknod(links + b"/null", 0o20666, os.makedev(1, 3))
    os.mknod(links + b"/blk", 0o60660, os.makedev(259, 70000))
    os.mkfifo(links + b"/fifo")
    with open(links + b"/sparse", "wb") as f:
        f.write(b"start")
        f.seek(5_000_000)
        f.write(b"mid")
        f.truncate(20_000_000)
    for path, name, value in [(b"/a", "user.foo", b"bar\0baz"), (b"/a", "trusted.x", b"t" * 3000), (b"", "user.dir", b""),
                              (b"/null", "trusted.dev", b"d"), (b"/s", "trusted.sym", b"s"),
                              (b"/b", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))]:
        os.setxattr(links + path, name, value, follow_symlinks=False)
    big = root + b"/bigdir"
    os.makedirs(big)
    for i in range(700):
        open(big + b"/entry-%04d-" % i + b"z" * (i % 37), "wb").close()


def escape(b):
    return "".join(chr(c) if 32 <= c < 127 and c != 92 else "\\x%02x" % c for c in b)


def listing(path, shown, ns, xattrs, out):
    st = os.lstat(path)
    kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}[stat.S_IFMT(st.st_mode)]
    x = sorted((n.encode(), os.getxattr(path, n, follow_symlinks=False)) for n in os.listxattr(path, follow_symlinks=False)) if xattrs else []
    content = "-"
    if kind == "f":
        content = hashlib.sha256(open(path, "rb").read()).hexdigest()
    elif kind == "l":
        content = "->" + escape(os.readlink(path))
    dev = (os.major(st.st_rdev), os.minor(st.st_rdev)) if kind in "cb" else (0, 0)
    sec, nsec = divmod(st.st_mtime_ns, 10**9)
    out.append("\t".join([escape(shown) or "/", kind, "%04o" % stat.S_IMODE(st.st_mode), str(st.st_uid), str(st.st_gid),
                          str(st.st_size if kind in "fl" else 0), "%d.%09d" % (sec, nsec if ns else 0), str(st.st_nlink), "%d:%d" % dev,
                          ",".join(escape(n) + "=" + v.hex() for n, v in x) or "-", content]))
    if kind == "d":
        for name in sorted(os.listdir(path)):
            listing(path + b"/" + name, shown + b"/" + name, ns, xattrs, out)
    return out


def differs(a, b):
    a, b = sorted(a), sorted(b)
    for line in sorted(set(a) ^ set(b))[:10]:
        print("#", "tree:" if line in a else "disk:", line[:200])
    return a != b


def layer(tree, flags, store, compress):
    tar = run("tar", "--sort=name", "-C", tree, *flags, "-cf", "-", ".")
    if compress:
        tar = run(*compress, input=tar)
    diff_id = run(tool, "import", store, input=tar).decode().strip()
    vmdk = run(tool, "assemble", store, str(DISK), diff_id).decode().strip()
    return diff_id, vmdk


def mounted(raw):
    mnt = os.path.join(work, "mnt")
    os.makedirs(mnt, exist_ok=True)
    if subprocess.run(["mount", "-t", "erofs", "-o", "loop,ro", raw, mnt], capture_output=True).returncode:
        return None
    try:
        return listing(os.fsencode(mnt), b"", True, True, [])
    finally:
        subprocess.run(["umount", mnt], check=True)


def check(tree, name, flags, ns, xattrs, compress):
    store = os.path.join(work, "store-" + name)
    raw = os.path.join(work, name + ".raw")
    diff_id, vmdk = layer(tree, flags, store, compress)
    shown = run(tool, "list", store, diff_id).decode().splitlines()
    say(not differs(listing(os.fsencode(tree), b"", ns, xattrs, []), shown), f"{name}: the layer is the tree")
    run("qemu-img", "convert", "-f", "vmdk", "-O", "raw", "-S", "4k", vmdk, raw)
    r = subprocess.run(["fsck.erofs", raw], capture_output=True)
    say(r.returncode == 0 and os.path.getsize(raw) == DISK, f"{name}: fsck.erofs is clean, the capacity right")
    seen = mounted(raw)
    if seen is None:
        say(True, f"{name}: the kernel sees the layer", "cannot mount")
    else:
        say(not differs(seen, shown), f"{name}: the kernel sees the layer")
    os.unlink(raw)


if os.geteuid() or not all(map(shutil.which, ["tar", "qemu-img", "fsck.erofs"])):
    print("ok 1 - round trip # SKIP needs root, tar, qemu-img and fsck.erofs\n1..1")
    sys.exit(0)
try:
    source = os.path.join(work, "tree")
    os.makedirs(source)
    sys.setrecursionlimit(10000)
    make_tree(os.fsencode(source), random.Random(1))
    every = ["--xattrs", "--xattrs-include=*"]
    check(source, "pax", ["--format=posix", *every], True, True, None)
    check(source, "pax-sparse", ["--format=posix", "--sparse", *every], True, True, ["gzip", "-1"])
    check(source, "pax-sparse-0.1", ["--format=posix", "--sparse", "--sparse-version=0.1", *every], True, True, None)
    check(source, "gnu-sparse", ["--format=gnu", "--sparse"], False, False, ["zstd", "-q"] if shutil.which("zstd") else None)
finally:
    shutil.rmtree(work)
print(f"1..{count}")
