#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# cut.py ACTION DIRECTION TYPE COMMAND...: runs the command with its standard streams between ours, and looks at the frames of
# runtime/migrate/wire.h that pass.  At the first one of TYPE going "there" or "back" (a number; "25+33": of 25, behind one of 33 in
# either direction; "13+20+10=final": of 13, behind one of 20, behind one of 10 that says "final"):
#   lose      it and everything after it, both ways: the connection is cut
#   cut       behind it
#   garble    one byte of it is another
#   stall     nothing of it and after it, either way; the connection stays, until our input ends
#   kill-there   the command dies when it has it       kill-here   our parent does, before it has it
#   criu-there   the command's CRIU dies before that   criu-here   our parent's does
#   run          the shell command $CUT_RUN is run before that
# With ACTION "list" it only prints "DIRECTION TYPE" of each frame into the file $CUT_LIST.
import os
import select
import signal
import struct
import subprocess
import sys
import threading


def read_exactly(fd, n):
    data = b''
    while len(data) < n:
        more = os.read(fd, n - len(data))
        if not more:
            return None
        data += more
    return data


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def main():
    action, direction = sys.argv[1], sys.argv[2]
    wanted, *before = sys.argv[3].split('+')
    parent = os.getppid()
    child = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lock = threading.Lock()

    def die():
        os._exit(0)

    def is_one(what, kind, body):
        number, _, text = what.partition('=')
        return str(kind) == number and body.startswith(text.encode())

    def kill_criu(parent):
        for entry in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{entry}/stat') as f:
                    ppid = int(f.read().rpartition(')')[2].split()[1])
                with open(f'/proc/{entry}/cmdline') as f:
                    is_criu = '--rpc' in f.read()  # the name that it gives itself, and no restored process has
            except OSError:
                continue
            if is_criu and ppid == parent:
                os.kill(int(entry), signal.SIGKILL)

    def stall():
        poll = select.poll()
        poll.register(0, select.POLLHUP)
        while not any(event & select.POLLHUP for _, event in poll.poll()):
            pass
        die()

    def relay(name, source, target):
        while True:
            header = read_exactly(source, 16)
            body = read_exactly(source, struct.unpack('<I', header[8:12])[0]) if header else None
            if header is None or body is None:
                break
            kind = struct.unpack('<H', header[4:6])[0]
            with lock:
                if action == 'list':
                    with open(os.environ['CUT_LIST'], 'a') as f:
                        f.write(f'{name} {kind}\n')
                due = name == direction and is_one(wanted, kind, body) and not before
                if before and is_one(before[-1], kind, body):
                    before.pop()
                if due and action == 'stall':
                    stall()
                if due and action == 'lose':
                    die()
                if due and action == 'kill-here' and name == 'back':  # who has not had it
                    os.kill(parent, signal.SIGKILL)
                    die()
                if due and action == 'criu-there':
                    kill_criu(child.pid)
                if due and action == 'criu-here':
                    kill_criu(parent)
                if due and action == 'run':
                    subprocess.run(['sh', '-c', os.environ['CUT_RUN']], check=False)
                if due and action == 'garble':
                    header = header[:12] + bytes([header[12] ^ 1]) + header[13:]
                try:
                    write_all(target, header + body)
                except BrokenPipeError:
                    break
                if due and action == 'cut':
                    die()
                if due and action == 'kill-there':
                    child.send_signal(signal.SIGKILL)
                if due and action == 'kill-here':
                    os.kill(parent, signal.SIGKILL)
                    die()
        os.close(target)

    there = threading.Thread(target=relay, args=('there', 0, child.stdin.fileno()), daemon=True)
    back = threading.Thread(target=relay, args=('back', child.stdout.fileno(), 1), daemon=True)
    there.start()
    back.start()
    back.join()
    child.wait()
    die()


main()
