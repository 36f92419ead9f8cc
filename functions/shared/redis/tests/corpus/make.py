"""Fills a server with one of everything, small, and keeps what it saves.

    python3 make.py SERVER OUT.rdb [--plain | --cluster | --module MODULE.so] [-- SERVER-OPTIONS...]

Prints what the server itself counts. Standard library only; it is not run by the tests, whose files are committed.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

FAR = 4102444800000  # 2100-01-01


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if int(rest) < 0 else self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return kind.decode() + rest.decode()

    def __call__(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        answer = self.reply()
        if isinstance(answer, str) and answer.startswith("-"):
            print("  refused:", *[word.decode(errors="replace") for word in words[:2]], answer)
        return answer


def fill(c):
    for key, value in {
        "text": "hello", "empty": "", "int8": -5, "int16": 1234, "int32": -1234567, "int64": 12345678901234,
        "compressed": "abc" * 300, "incompressible": bytes((i * 197 + i // 7 * 31) % 256 for i in range(300)),
    }.items():
        c("SET", key, value)
    c("SET", "far", "x", "PXAT", FAR)
    c("SET", "soon", "x", "EX", 3000)
    c("SET", "tomorrow", "x", "EX", 86400)
    c("RPUSH", "list-small", "a", "b", 3)
    c("RPUSH", "list-large", *(f"element {i}" for i in range(60)))
    c("RPUSH", "list-with-a-large-element", "p" * 9000, "q")
    c("SADD", "set-integers", *range(20))
    c("SADD", "set-small", "a", "b", 3)
    c("SADD", "set-large", *(f"m{i}" for i in range(140)))
    c("ZADD", "zset-small", 1, "a", 2.5, "b", "inf", "c")
    c("ZADD", "zset-large", *(x for i in range(12) for x in (i * 1.25, f"m{i}")))
    c("HSET", "hash-small", "f", "v", "g", 2)
    c("HSET", "hash-large", *(x for i in range(12) for x in (f"f{i}", i)))
    c("XADD", "stream", "1-1", "a", 1, "b", 2)
    for i in range(2, 50):
        c("XADD", "stream", f"{i}-0", "a", i)
    c("XDEL", "stream", "5-0")
    c("XGROUP", "CREATE", "stream", "group", 0)
    c("XGROUP", "CREATE", "stream", "idle", "$")
    c("XREADGROUP", "GROUP", "group", "alice", "COUNT", 7, "STREAMS", "stream", ">")
    c("XREADGROUP", "GROUP", "group", "bob", "COUNT", 2, "STREAMS", "stream", ">")
    c("XACK", "stream", "group", "2-0")
    c("XGROUP", "CREATECONSUMER", "stream", "group", "carol")
    c("XGROUP", "CREATE", "stream-empty", "g", "$", "MKSTREAM")
    c("PFADD", "hyperloglog", *range(50))
    c("GEOADD", "geo", 13.36, 38.11, "Palermo")
    c("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    c("FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('g', function() return 2 end)")
    for name, fields in (("hash-small-with-times", 3), ("hash-large-with-times", 12)):
        c("HSET", name, *(x for i in range(fields) for x in (f"f{i}", i)))
        c("HPEXPIREAT", name, FAR, "FIELDS", 1, "f1")
        c("HPEXPIREAT", name, FAR + 1, "FIELDS", 1, "f2")
    c("VADD", "vectors", "VALUES", 3, 0.5, 1.5, 2.5, "element")
    c("SELECT", 3)
    c("SET", "in three", 1)
    c("SET", "in three, going", 1, "EX", 100)
    c("SELECT", 15)
    for i in range(10):
        c("SET", f"k{i}", i)


def fill_cluster(c):
    c("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    while "cluster_state:ok" not in c("CLUSTER", "INFO"):
        time.sleep(0.1)
    for i in range(20):
        c("SET", f"key {i}", i, "EX", 1000)


def fill_module(c):
    c("SET", "plain", 1)
    c("GRAPH.QUERY", "graph", "CREATE (:Person {name: 'a', age: 3.5})-[:KNOWS]->(:Person {name: 'b'})")


def main():
    server, out, mode, *more = sys.argv[1:]
    options = ["--port", "0"]
    if mode == "--plain":
        options += "--hash-max-ziplist-entries 8 --zset-max-ziplist-entries 8 --list-max-ziplist-size 16".split()
        options += "--stream-node-max-entries 20".split()
    elif mode == "--cluster":
        options = "--port 17991 --bind 127.0.0.1 --cluster-enabled yes".split()
    elif mode == "--module":
        options += ["--loadmodule", os.path.abspath(more.pop(0))]
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "socket")
    options += ["--unixsocket", path, "--dir", folder, "--save", "", *more[1:]]
    process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
    while not os.path.exists(path):
        time.sleep(0.05)
    c = Client(path)
    {"--plain": fill, "--cluster": fill_cluster, "--module": fill_module}[mode](c)
    print(out, c("SAVE"), *c("INFO", "keyspace").split())
    shutil.copy(os.path.join(folder, "dump.rdb"), out)
    process.terminate()
    process.wait()
    shutil.rmtree(folder)


main()
