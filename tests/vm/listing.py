# SPDX-License-Identifier: Apache-2.0
"""listing.py - the root as this process sees it, in the form of `arca-layer-tool list`; mounts and what is below them left out."""
import hashlib
import os
import stat
import sys


def escape(b):
    return "".join(chr(c) if 32 <= c < 127 and c != 92 else "\\x%02x" % c for c in b)


mounts = set()
with open("/proc/self/mountinfo", "rb") as f:
    for line in f:
        mounts.add(line.split()[4].decode("unicode_escape").encode("latin-1"))
mounts.discard(b"/")


def show(path):
    st = os.lstat(path)
    kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}[stat.S_IFMT(st.st_mode)]
    xattrs = []
    for name in os.listxattr(path, follow_symlinks=False):
        if not name.startswith("trusted.overlay."):
            xattrs.append((name.encode(), os.getxattr(path, name, follow_symlinks=False)))
    content = "-"
    if kind == "f":
        h = hashlib.sha256()
        with open(path, "rb") as f:
            while data := f.read(1 << 20):
                h.update(data)
        content = h.hexdigest()
    elif kind == "l":
        content = "->" + escape(os.readlink(path))
    dev = (os.major(st.st_rdev), os.minor(st.st_rdev)) if kind in "cb" else (0, 0)
    sec, nsec = divmod(st.st_mtime_ns, 10**9)
    x = ",".join(escape(n) + "=" + v.hex() for n, v in sorted(xattrs)) or "-"
    size = 0 if kind == "d" else st.st_size
    sys.stdout.write(f"{escape(path)}\t{kind}\t{stat.S_IMODE(st.st_mode):04o}\t{st.st_uid}\t{st.st_gid}\t{size}\t{sec}.{nsec:09d}\t"
                     f"{st.st_nlink}\t{dev[0]}:{dev[1]}\t{x}\t{content}\n")
    if kind == "d":
        for name in sorted(os.listdir(path)):
            child = os.path.join(path, name)
            if child not in mounts:
                show(child)


sys.setrecursionlimit(10000)
show(b"/")
