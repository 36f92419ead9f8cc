"""Ends the process groups, and removes the folders, of a parent that is gone.

The parent holds the other end of standard input. However it ends, even by SIGKILL, the kernel closes that end, and
this process, which has a session of its own and so is not reached by the terminal's Ctrl-C, does what is left to do.
Lines read: `add PGID`, `remove PGID`, `folder PATH`, `keep PATH`.
"""

import os
import shutil
import signal
import sys
import time


def signal_group(group, number):
    """Whether the group still exists."""
    try:
        os.killpg(group, number)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS says so of a group in which only zombies are left.
        return False


def wait_for_end(groups, seconds):
    """The groups that outlive the deadline."""
    deadline = time.monotonic() + seconds
    while groups and time.monotonic() < deadline:
        groups = [group for group in groups if signal_group(group, 0)]
        time.sleep(0.02)
    return groups


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    groups, folders = [], []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "add":
            groups.append(int(rest))
        elif word == "remove" and int(rest) in groups:
            groups.remove(int(rest))
        elif word == "folder":
            folders.append(rest)
        elif word == "keep" and rest in folders:
            folders.remove(rest)
    left = [group for group in groups if signal_group(group, signal.SIGTERM)]
    for group in wait_for_end(left, 3):
        signal_group(group, signal.SIGKILL)
    wait_for_end(left, 1)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


main()
