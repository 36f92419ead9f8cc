"""Runs MiniStack in this process, on a port that the kernel chooses, with four additions that AWS has and it lacks.

1. Events of AWS's own sources (`aws.rds`), which PutEvents refuses from anybody else, are accepted with our token.
2. The properties of buckets made by CloudFormation are kept, so that what MiniStack drops can be applied afterwards.
3. Every invocation of a function is measured: initialisation, duration, peak memory.
4. The function behind a connection can be killed.

The last three are asked for at `/_tidemark/…` with the same token. MiniStack is pinned, and what is replaced here is
checked first: a release in which it changed must fail now and not in the middle of somebody's test.

Standard output carries one line, `{"port": N}`. The log goes to standard error.
"""

import asyncio
import contextvars
import importlib.metadata
import inspect
import json
import os
import resource
import signal
import socket
import sys
import time

RELEASE = "1.5.33"
TOKEN_HEADER = "x-tidemark-token"
# Names an invocation, so that who made it finds what was measured.
CALLER_HEADER = "x-tidemark-invocation"
CALLER = contextvars.ContextVar("caller", default=None)

# Taken out of the environment, because functions inherit it.
TOKEN = os.environ.pop("TIDEMARK_LOCAL_TOKEN")
SCHEDULES = os.environ.pop("TIDEMARK_LOCAL_SCHEDULES") == "run"


def expect(function, *parameters):
    """The function, if it still has the parameters that the replacement below is written for."""
    found = list(inspect.signature(function).parameters)
    if found != list(parameters):
        sys.exit(f"launcher: MiniStack's {function.__qualname__} has the parameters {found}, not {list(parameters)}")
    return function


def check_release():
    found = importlib.metadata.version("ministack")
    if found != RELEASE:
        sys.exit(f"launcher: MiniStack {found} is installed, the launcher is written for {RELEASE}")


def accept_aws_events():
    from ministack.services import eventbridge

    put_events = expect(eventbridge._put_events, "data", "allow_aws_source")
    handle_request = expect(eventbridge.handle_request, "method", "path", "headers", "body", "query_params")
    is_ours = contextvars.ContextVar("is_ours", default=False)

    async def handle(method, path, headers, body, query_params):
        before = is_ours.set(headers.get(TOKEN_HEADER) == TOKEN)
        try:
            return await handle_request(method, path, headers, body, query_params)
        finally:
            is_ours.reset(before)

    def put(data, allow_aws_source=False):
        return put_events(data, allow_aws_source or is_ours.get())

    eventbridge.handle_request = handle
    eventbridge._put_events = put


def keep_bucket_properties():
    """A map from bucket name to its Region and its properties, intrinsic functions resolved."""
    from ministack.core.responses import get_region
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create = expect(handlers["create"], "logical_id", "props", "stack_name")
    update = expect(handlers["update"], "physical_id", "old_props", "new_props", "stack_name")
    buckets = {}

    def keep(made, props):
        buckets[made[0]] = {"region": get_region(), "properties": props}
        return made

    handlers["create"] = lambda logical_id, props, stack_name: keep(create(logical_id, props, stack_name), props)
    handlers["update"] = lambda physical_id, old_props, new_props, stack_name: keep(
        update(physical_id, old_props, new_props, stack_name), new_props
    )
    return buckets


def peak_memory_bytes(process):
    """The most that the process ever had resident, or None where the system does not tell of a live process."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, AttributeError):
        pass
    return None


def measure_invocations():
    """A list of what was invoked, oldest first."""
    from ministack.core.lambda_runtime import ProvidedWorker

    spawn = expect(ProvidedWorker._spawn, "self", "init_timeout")
    invoke = expect(ProvidedWorker.invoke, "self", "event", "request_id", "trace_id", "invoked_function_arn")
    invocations = []

    def measured_spawn(self, init_timeout=None):
        start = time.monotonic()
        spawn(self, init_timeout)
        self._tidemark_init_ms = (time.monotonic() - start) * 1000

    def measured_invoke(self, event, request_id, *, trace_id=None, invoked_function_arn=None):
        self._tidemark_init_ms = None
        start = time.monotonic()
        result = invoke(self, event, request_id, trace_id=trace_id, invoked_function_arn=invoked_function_arn)
        took_ms = (time.monotonic() - start) * 1000
        init_ms = self._tidemark_init_ms
        invocations.append({
            "function": self.func_name,
            "request_id": request_id,
            "init_ms": init_ms,
            "duration_ms": took_ms - (init_ms or 0),
            "peak_rss_bytes": peak_memory_bytes(self._proc),
            "failed": result.get("status") != "ok",
            "caller": CALLER.get(),
            "log": result.get("log") or "",
        })
        return result

    ProvidedWorker._spawn = measured_spawn
    ProvidedWorker.invoke = measured_invoke
    return invocations


def workers():
    from ministack.core import lambda_runtime

    with lambda_runtime._lock:
        return [worker for pool in lambda_runtime._workers.values() for worker in pool]


def kill_caller(port):
    """Kills the function that has a connection from this local port; its name, or None if none has."""
    import psutil

    for worker in workers():
        process = worker._proc
        if process is None:
            continue
        try:
            connections = psutil.Process(process.pid).net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(connection.laddr and connection.laddr.port == port for connection in connections):
            os.kill(process.pid, signal.SIGKILL)
            return worker.func_name
    return None


def check_workers():
    from ministack.core import lambda_runtime

    for name in ("_lock", "_workers"):
        if not hasattr(lambda_runtime, name):
            sys.exit(f"launcher: MiniStack's lambda_runtime has no {name}")


def pause_schedules():
    """Schedules fire when a scenario says so, and at no other time."""
    from ministack.services import eventbridge, scheduler

    for module in (eventbridge, scheduler):
        expect(module.start_scheduler)
        module.start_scheduler = lambda: None


def with_additions(app, buckets, invocations):
    async def answer(send, status, value):
        body = json.dumps(value).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def wrapped(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        headers = dict(scope["headers"])
        if not scope["path"].startswith("/_tidemark/"):
            CALLER.set(headers.get(CALLER_HEADER.encode(), b"").decode() or None)
            return await app(scope, receive, send)
        if headers.get(TOKEN_HEADER.encode()) != TOKEN.encode():
            return await answer(send, 403, {"error": "token"})
        what = scope["path"].removeprefix("/_tidemark/")
        if what == "buckets":
            return await answer(send, 200, buckets)
        if what == "invocations":
            caller = scope["query_string"].decode().removeprefix("caller=")
            return await answer(send, 200, [one for one in invocations if caller in ("", one["caller"])])
        if what == "kill":
            port = int(scope["query_string"].decode().removeprefix("port="))
            function = await asyncio.to_thread(kill_caller, port)
            return await answer(send, 200, {"function": function})
        return await answer(send, 404, {"error": "no such thing"})

    return wrapped


def serve(app):
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    # Whoever reads that line waits for nothing more, and no function inherits the pipe.
    os.dup2(2, 1)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            pass
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = os.environ.get("LOG_LEVEL", "INFO")
    asyncio.run(hypercorn_serve(app, config))


def main():
    check_release()
    check_workers()
    accept_aws_events()
    if not SCHEDULES:
        pause_schedules()
    buckets, invocations = keep_bucket_properties(), measure_invocations()
    from ministack.app import app

    serve(with_additions(app, buckets, invocations))
    # Threads of MiniStack that wait for something must not keep us.
    sys.stderr.flush()
    os._exit(0)


main()
