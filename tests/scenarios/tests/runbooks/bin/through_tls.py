"""Runs a PostgreSQL client that was built without TLS, through a socket of its own that leads to PGHOST and PGPORT by TLS."""

import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def copy(client, server):
    """Passes on in both directions, in one thread: OpenSSL takes no two on one connection."""
    while True:
        ready = [server] if server.pending() else select.select([client, server], [], [])[0]
        for source, target in ((client, server), (server, client)):
            if source not in ready:
                continue
            source.setblocking(False)
            try:
                data = source.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue  # A record that is not whole yet, or none with data in it.
            finally:
                source.setblocking(True)
            if not data:
                return
            target.sendall(data)


def connect(place, context):
    for wait in (0.1, 0.3, 1, 3, None):
        server = socket.create_connection(place)
        server.sendall(SSL_REQUEST)
        if server.recv(1) == b"S":
            return context.wrap_socket(server)
        server.close()
        if wait is None:
            raise OSError(f"{place} speaks no TLS")
        time.sleep(wait)


def serve(listener, place, context):
    def one(client):
        # One side may go without a word; the other sees that.
        with contextlib.suppress(ConnectionError), client, connect(place, context) as server:
            copy(client, server)

    while True:
        client, _ = listener.accept()
        threading.Thread(target=one, args=(client,), daemon=True).start()


def main(program, *arguments):
    # A client that asks for less than this would send its password to anybody.
    if os.environ.get("PGSSLMODE") != "require":
        raise SystemExit("PGSSLMODE is not require")
    place = os.environ["PGHOST"], int(os.environ["PGPORT"])
    context = ssl.create_default_context(cafile=os.environ["LOCAL_DATABASE_CA"])
    context.check_hostname = False
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/.s.PGSQL.5432")
        listener.listen()
        threading.Thread(target=serve, args=(listener, place, context), daemon=True).start()
        local = {"PGHOST": folder, "PGPORT": "5432", "PGSSLMODE": "disable"}
        raise SystemExit(subprocess.run([program, *arguments], env=os.environ | local).returncode)


main(*sys.argv[1:])
