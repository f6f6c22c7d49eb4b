# SPDX-License-Identifier: LGPL-2.1-or-later
"""terminal.py COMMAND...: runs it on a terminal of 10 by 20, types a line, makes it 30 by 40; prints what it shows."""
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


def read(master):
    try:
        return os.read(master, 4096)
    except OSError:  # EIO: nobody has the other end any more
        return b''


def login():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


master, slave = os.openpty()
resize(master, 10, 20)
child = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=slave, stderr=slave, preexec_fn=login)
os.close(slave)
seen = b''
typed = False
while data := read(master):
    seen += data
    if not typed and b'10 20' in seen:
        typed = True
        resize(master, 30, 40)
        child.send_signal(signal.SIGWINCH)
        time.sleep(0.3)
        os.write(master, b'word\n')
sys.stdout.write(seen.decode())
sys.exit(child.wait())
