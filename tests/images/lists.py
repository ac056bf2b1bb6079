#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lists.py DIR - OCI archives with manifest lists as nobody should write them, and as some do

two.tar      two:1 and two:2 are one image that came as two lists; two:3 is it without a list. Prints both lists.
foreign.tar  a list with an image for Windows
part.tar     a list of which one image lacks its layer
bomb.tar     lists of lists of lists, each 1024 times the same one
"""
import hashlib
import io
import json
import sys
import tarfile

OCI = "application/vnd.oci.image."


class Archive:
    def __init__(self):
        self.blobs = {}

    def add(self, doc, kind, **more):
        data = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"mediaType": OCI + kind, "digest": digest, "size": len(data), **more}

    def image(self, name, arch, os="linux", whole=True, kind="layer.v1.tar"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
            t.addfile(tarfile.TarInfo(name))
        layer = self.add(out.getvalue(), kind)
        if not whole:
            del self.blobs[layer["digest"]]
        config = self.add({"architecture": arch, "os": os, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}},
                          "config.v1+json")
        doc = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config, "layers": [layer]}
        return self.add(doc, "manifest.v1+json", platform={"os": os, "architecture": arch})

    def list(self, entries):
        return self.add({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}, "index.v1+json")

    def write(self, name, **tags):
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
                 **{"blobs/sha256/" + d[7:]: data for d, data in self.blobs.items()},
                 "index.json": json.dumps({"schemaVersion": 2, "manifests": [
                     {**desc, "annotations": {"io.containerd.image.name": f"docker.io/library/{name}:{tag[1:]}"}}
                     for tag, desc in tags.items()]}).encode()}
        with tarfile.open(f"{sys.argv[1]}/{name}.tar", "w", format=tarfile.USTAR_FORMAT) as t:
            for path, data in files.items():
                i = tarfile.TarInfo(path)
                i.size = len(data)
                t.addfile(i, io.BytesIO(data))


a = Archive()
image = a.image("two", "amd64")
lists = [a.list([image, a.image("two", arch)]) for arch in ("arm64", "s390x")]
a.write("two", _1=lists[0], _2=lists[1], _3=image)
print(*[x["digest"] for x in lists])

a = Archive()
a.write("foreign", _1=a.list([a.image("x", "amd64", "windows", kind="layer.v1.tar+unheard-of"), a.image("y", "amd64")]))
a = Archive()
a.write("part", _1=a.list([a.image("z", "arm64", whole=False), a.image("y", "amd64")]))
a = Archive()
bomb = a.image("y", "amd64")
for _ in range(4):
    bomb = a.list([bomb] * 1024)
a.write("bomb", _1=bomb)
