"""Runs a PostgreSQL client that was built without TLS, through a socket of its own that leads to PGHOST and PGPORT by TLS."""

import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, place, context):
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(place)
        server.sendall(SSL_REQUEST)
        if server.recv(1) != b"S":
            raise SystemExit(f"{place} speaks no TLS")
        server = context.wrap_socket(server)
        for ends in ((client, server), (server, client)):
            threading.Thread(target=copy, args=ends, daemon=True).start()


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
