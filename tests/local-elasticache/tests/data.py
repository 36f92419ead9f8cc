"""Fills a cache with keys of every type, and tells what a cache holds, with Valkey's own Python client.

fill PORT COUNT [PASSWORD] | fill-cluster PORT COUNT: puts keys in. digest PORT [PASSWORD] | digest-cluster PORT: one line
that is the same for caches that hold the same. count PORT: keys of this one server. slots PORT: the slots of this one
server, how many keys it has, how many of them are in those slots.
"""

import hashlib
import sys
import time

import valkey


def connect(mode, port, password=None):
    if mode.endswith("-cluster"):
        return valkey.ValkeyCluster(host="127.0.0.1", port=port)
    return valkey.Valkey(host="127.0.0.1", port=port, password=password)


LIBRARY = "#!lua name=tidemark\nserver.register_function('answer', function() return 42 end)"


def fill(client, count):
    later = int(time.time()) + 86400
    for n in range(count):
        key = f"key:{n}".encode() + bytes([n % 256])
        kind = n % 9
        client.delete(key)
        if kind == 0:
            client.set(key, b"value \x00\xff" * (n % 50))
        elif kind == 1:
            client.set(key, str(n), exat=later + n)
        elif kind == 2:
            client.rpush(key, *[f"item {i}" for i in range(n % 200 + 1)])
        elif kind == 3:
            client.sadd(key, *range(n % 30 + 1))
        elif kind == 4:
            client.hset(key, mapping={f"field {i}": "x" * (i * 7) for i in range(n % 20 + 1)})
        elif kind == 5:
            client.zadd(key, {f"member {i}": i * 1.5 for i in range(n % 150 + 1)})
        elif kind == 6:
            for i in range(3):
                client.xadd(key, {"n": i}, id=f"{n + 1}-{i}")
            client.xgroup_create(key, "group", "0")
        elif kind == 7:
            client.pfadd(key, *range(n))
        else:
            client.setbit(key, n * 8, 1)
    servers = client.get_primaries() if isinstance(client, valkey.ValkeyCluster) else [None]
    for server in servers:
        arguments = {"target_nodes": server} if server else {}
        client.execute_command("FUNCTION", "LOAD", "REPLACE", LIBRARY, **arguments)


def content(client, key):
    kind = client.type(key)
    if kind == b"string":
        return client.get(key)
    if kind == b"list":
        return client.lrange(key, 0, -1)
    if kind == b"set":
        return sorted(client.smembers(key))
    if kind == b"hash":
        return sorted(client.hgetall(key).items())
    if kind == b"zset":
        return client.zrange(key, 0, -1, withscores=True)
    assert kind == b"stream", kind
    return client.xrange(key), [group["name"] for group in client.xinfo_groups(key)]


def digest(client):
    digest = hashlib.sha256()
    keys = sorted(client.scan_iter(count=1000))
    kinds = {client.type(key) for key in keys}
    for key in keys:
        digest.update(repr((key, content(client, key), client.expiretime(key))).encode())
    if isinstance(client, valkey.ValkeyCluster):
        answers = [client.execute_command("FCALL", "answer", 0, target_nodes=it) for it in client.get_primaries()]
    else:
        answers = [client.execute_command("FCALL", "answer", 0)]
    assert set(answers) == {42}, answers
    return f"{len(keys)} keys of {len(kinds)} types {digest.hexdigest()}"


def main():
    mode, port, *rest = sys.argv[1:]
    if mode.startswith("fill"):
        fill(connect(mode, int(port), *rest[1:]), int(rest[0]))
    elif mode.startswith("digest"):
        print(digest(connect(mode, int(port), *rest)))
    elif mode == "count":
        print(connect(mode, int(port), *rest).dbsize())
    else:
        client = connect(mode, int(port))
        ranges = client.execute_command("CLUSTER SLOTS")
        [(first, last)] = [(first, last) for first, last, primary, *_ in ranges if primary[1] == int(port)]
        keys = client.scan_iter(count=1000)
        inside = [first <= client.execute_command("CLUSTER KEYSLOT", key) <= last for key in keys]
        print(f"{first}-{last}", len(inside), sum(inside))


main()
