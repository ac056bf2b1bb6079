#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""odd-layers.py A.tar B.tar - two layers with everything a tar can say, the second correcting the first."""
import io
import sys
import tarfile

T = 1600000000


def add(tar, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, uid=0, gid=0, mtime=T, link="", dev=(0, 0), xattrs=None):
    i = tarfile.TarInfo(name)
    i.type, i.mode, i.uid, i.gid, i.mtime, i.linkname = kind, mode, uid, gid, mtime, link
    i.devmajor, i.devminor = dev
    i.size = len(data) if kind == tarfile.REGTYPE else 0
    if isinstance(mtime, float):
        i.pax_headers["mtime"] = repr(mtime)
    for k, v in (xattrs or {}).items():
        i.pax_headers["SCHILY.xattr." + k] = v
    tar.addfile(i, io.BytesIO(data))


def layer(path):
    return tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")


with layer(sys.argv[1]) as t:
    D = tarfile.DIRTYPE
    add(t, "odd", D, mode=0o751, uid=3, gid=4)
    add(t, "odd/empty")
    add(t, "odd/modes", mode=0o6755, uid=70000, gid=80000, mtime=T + 0.123456789)
    add(t, "odd/sticky", D, mode=0o1777)
    add(t, "odd/block", data=b"b" * 4096)
    add(t, "odd/block1", data=b"c" * 4097)
    add(t, "odd/large", data=bytes(range(256)) * 40000)
    add(t, "odd/old", mtime=0)
    add(t, "odd/before-epoch", mtime=-1.5)
    add(t, "odd/far-future", mtime=1 << 33)
    add(t, "odd/link-a", data=b"linked")
    for n in range(5):
        add(t, f"odd/link-{n}", tarfile.LNKTYPE, link="odd/link-a")
    add(t, "odd/sym", tarfile.SYMTYPE, link="../etc/passwd", mode=0o777)
    add(t, "odd/sym-long", tarfile.SYMTYPE, link="x/" * 600, mode=0o777)
    add(t, "odd/sym-abs", tarfile.SYMTYPE, link="/nowhere", mode=0o777)
    add(t, "odd/char", tarfile.CHRTYPE, dev=(5, 300), mode=0o620)
    add(t, "odd/blk", tarfile.BLKTYPE, dev=(259, 70000), mode=0o660)
    add(t, "odd/fifo", tarfile.FIFOTYPE, mode=0o600)
    add(t, "odd/xattr", xattrs={"user.one": "1", "user.two": "x" * 200, "trusted.three": "t"})
    add(t, "odd/xattr-dir", D, mode=0o755, xattrs={"user.d": "dir"})
    add(t, "odd/" + "n" * 255, data=b"long")
    deep = "odd"
    for n in range(30):
        deep += "/" + "d" * 100
        add(t, deep, D, mode=0o755)
    add(t, deep + "/bottom", data=b"deep")
    add(t, "odd/latin-\udce9\udcff", data=b"not UTF-8")
    add(t, "odd/new\nline\ttab", data=b"odd name")
    add(t, "odd/many", D, mode=0o755)
    for n in range(3000):
        add(t, f"odd/many/file-{n:05d}", data=b"%d" % n)
    for n in ("gone", "replaced-by-dir", "changed"):
        add(t, "odd/" + n, data=n.encode())
    add(t, "odd/dir-gone", D, mode=0o755)
    add(t, "odd/dir-gone/x", data=b"x")
    add(t, "odd/dir-to-file", D, mode=0o755)
    add(t, "odd/dir-to-file/x", data=b"x")
    add(t, "odd/opaque", D, mode=0o755)
    add(t, "odd/opaque/old", data=b"old")
    add(t, "implied/parent/file", data=b"x")
    add(t, "odd/meta", D, mode=0o700)
    add(t, "odd/meta/kept", data=b"kept")

with layer(sys.argv[2]) as t:
    add(t, "odd/.wh.gone")
    add(t, "odd/.wh.dir-gone")
    add(t, "odd/.wh.never-there")
    add(t, "odd/replaced-by-dir", D, mode=0o755)
    add(t, "odd/replaced-by-dir/in", data=b"in")
    add(t, "odd/dir-to-file", data=b"file now")
    add(t, "odd/opaque", D, mode=0o711)
    add(t, "odd/opaque/.wh..wh..opq")
    add(t, "odd/opaque/new", data=b"new")
    add(t, "odd/meta", D, mode=0o555, uid=9, gid=9, mtime=T + 9)
    add(t, "odd/changed", data=b"changed", mode=0o600)
    add(t, "odd/link-2", data=b"no longer linked")
    add(t, "odd/link-new", tarfile.LNKTYPE, link="odd/link-a")
    add(t, "odd/twice", data=b"first")
    add(t, "odd/twice", data=b"second")
