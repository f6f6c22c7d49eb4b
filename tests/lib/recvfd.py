#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# recvfd.py SOCKET OUT [TEXT]: the other side of --console-socket and --pidfd-socket.  Takes one connection and one
# message, and writes to OUT.msg: the message, the number of descriptors in it, what the first one is.  The data of a
# terminal goes to OUT until the terminal is closed; TEXT is typed into it first.
import os
import socket
import struct
import sys
import fcntl
import termios


def main():
    path, out = sys.argv[1], sys.argv[2]
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.settimeout(20)
    server.bind(path)
    server.listen(1)
    open(out + ".ready", "w").close()
    connection, _ = server.accept()
    connection.settimeout(20)
    message, fds, flags, _ = socket.recv_fds(connection, 4096, 16)
    rest = connection.recv(4096)
    with open(out + ".tmp", "w") as f:
        f.write("message %s\nfds %d\ntruncated %d\nrest %d\n" % (message.decode(), len(fds), flags & socket.MSG_CTRUNC, len(rest)))
        for line in open("/proc/self/fdinfo/%d" % fds[0]):
            if line.startswith("Pid:"):
                f.write("pid %s\n" % line.split()[1])
        f.write("tty %d\n" % os.isatty(fds[0]))
        if os.isatty(fds[0]):
            size = fcntl.ioctl(fds[0], termios.TIOCGWINSZ, b"\0" * 8)
            f.write("size %d %d\n" % struct.unpack("HHHH", size)[:2])
            f.write("onlcr %d\n" % bool(termios.tcgetattr(fds[0])[1] & termios.ONLCR))
    os.rename(out + ".tmp", out + ".msg")
    if not os.isatty(fds[0]):
        return
    if len(sys.argv) > 3:
        os.write(fds[0], sys.argv[3].encode())
    with open(out, "wb", 0) as f:
        while True:
            try:
                data = os.read(fds[0], 4096)
            except OSError:
                break
            if not data:
                break
            f.write(data)
    open(out + ".done", "w").close()


main()
