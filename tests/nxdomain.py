# SPDX-License-Identifier: Apache-2.0
"""nxdomain.py ADDRESS - a resolver that knows no name: NXDOMAIN to every question by UDP, until its parent ends"""
import os
import select
import socket
import struct
import sys

parent = os.getppid()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
while os.getppid() == parent:
    if not select.select([s], [], [], 1)[0]:
        continue
    question, sender = s.recvfrom(4096)
    if len(question) < 12:
        continue
    ident, flags, count = struct.unpack(">HHH", question[:6])
    end = 12  # of the first name, its type and class
    while end < len(question) and question[end]:
        end += 1 + question[end]
    # RFC 1035, 4.1.1: an answer, recursion as wished and available, name error
    head = struct.pack(">HHHHHH", ident, 0x8083 | (flags & 0x0100), min(count, 1), 0, 0, 0)
    s.sendto(head + question[12:end + 5], sender)
