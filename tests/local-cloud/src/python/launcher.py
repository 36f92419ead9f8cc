"""Runs MiniStack in this process, on a port that the kernel chooses, with additions that AWS has and it lacks.

1. Events of AWS's own sources (`aws.rds`), which PutEvents refuses from anybody else, are accepted with our token; an
   event keeps the `Time` that its entry names.
2. The properties of buckets made by CloudFormation are kept, so that what MiniStack drops can be applied afterwards.
3. Every invocation of a function is measured: initialisation, duration, peak memory.
4. The function behind a connection can be killed, and functions can be frozen for a while.
5. What was sent to a queue is known after it was deleted, as CloudWatch knows it.
6. SNS refuses the messages that AWS refuses: a subject that is too long, an empty attribute, a body without a default.
7. Alarms change their state only by SetAlarmState: MiniStack's own evaluation looks neither at dimensions nor at
   missing data, and would contradict ours (`alarms`).
8. S3 keeps one checksum of the whole of an object that came in parts, where its upload asks for that; it refuses parts
   that are too small, and copies that must not overwrite.
9. Every environment of a function has a disk of its own.

Where schedules are paused, as in tests, the retries of asynchronous invocations do not wait either.

Much of it is asked for at `/_tidemark/…` with the same token. MiniStack is pinned, and what is replaced here is checked
first: a release in which it changed must fail now and not in the middle of somebody's test.

Standard output carries one line, `{"port": N}`. The log goes to standard error.
"""

import asyncio
import contextvars
import importlib.metadata
import inspect
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

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


def expect_names(module, *names):
    for name in names:
        if not hasattr(module, name):
            sys.exit(f"launcher: MiniStack's {module.__name__} has no {name}")


def check_release():
    found = importlib.metadata.version("ministack")
    if found != RELEASE:
        sys.exit(f"launcher: MiniStack {found} is installed, the launcher is written for {RELEASE}")


def accept_aws_events():
    from ministack.services import eventbridge

    put_events = expect(eventbridge._put_events, "data", "allow_aws_source")
    handle_request = expect(eventbridge.handle_request, "method", "path", "headers", "body", "query_params")
    now = expect(eventbridge._now_ts)
    is_ours = contextvars.ContextVar("is_ours", default=False)
    told = contextvars.ContextVar("told", default=None)

    async def handle(method, path, headers, body, query_params):
        before = is_ours.set(headers.get(TOKEN_HEADER) == TOKEN)
        try:
            return await handle_request(method, path, headers, body, query_params)
        finally:
            is_ours.reset(before)

    def put(data, allow_aws_source=False):
        entries = data.get("Entries", [])
        # Only one: the others' times would be its own.
        before = told.set(entries[0].get("Time") if len(entries) == 1 else None)
        try:
            return put_events(data, allow_aws_source or is_ours.get())
        finally:
            told.reset(before)

    eventbridge.handle_request = handle
    eventbridge._put_events = put
    eventbridge._now_ts = lambda: now() if not isinstance(told.get(), (int, float)) else told.get()


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
        at, start = datetime.now(timezone.utc), time.monotonic()
        # What never gets to its handler is an invocation that failed, too.
        result = {}
        try:
            result = invoke(self, event, request_id, trace_id=trace_id, invoked_function_arn=invoked_function_arn)
        finally:
            took_ms = (time.monotonic() - start) * 1000
            init_ms = self._tidemark_init_ms
            invocations.append({
                "function": self.func_name,
                "request_id": request_id,
                "at": at.isoformat(),
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


def give_disks():
    """Each execution environment has a disk of its own, as in Lambda, where it is /tmp; here, where TMPDIR says."""
    from ministack.services import lambda_svc

    environment = expect(lambda_svc._provided_worker_env, "config", "code_dir", "port")

    def with_disk(config, code_dir, port):
        # No two environments have the same port at the same time; what was there before belonged to one that is over.
        disk = os.path.join(tempfile.gettempdir(), f"disk-{port}")
        shutil.rmtree(disk, ignore_errors=True)
        os.makedirs(disk)
        return {**environment(config, code_dir, port), "TMPDIR": disk}

    lambda_svc._provided_worker_env = with_disk


def workers():
    from ministack.core import lambda_runtime

    with lambda_runtime._lock:
        return [worker for pool in lambda_runtime._workers.values() for worker in pool]


def caller(port):
    """The function that has a connection from this local port: its name and its process, or None if none has."""
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
            return worker.func_name, process
    return None


def kill_caller(port):
    found = caller(port)
    if found is not None:
        # Not by number: a process that has ended meanwhile, and been waited for, is left alone.
        found[1].send_signal(signal.SIGKILL)
    return {"function": found and found[0]}


def freeze_caller(port, seconds):
    found = caller(port)
    if found is not None:
        freeze_process(found[1], seconds)
    return {"function": found and found[0]}


def freeze(function, seconds):
    """Stops all processes of a function and lets them go on after a while; how many there were."""
    processes = [worker._proc for worker in workers() if worker.func_name == function]
    return {"frozen": sum(freeze_process(process, seconds) for process in processes)}


def freeze_process(process, seconds):
    if process is None or process.poll() is not None:
        return False
    process.send_signal(signal.SIGSTOP)
    # Of freezes that overlap, the one that ends last counts.
    until = time.monotonic() + seconds
    process._tidemark_frozen_until = max(until, getattr(process, "_tidemark_frozen_until", until))
    timer = threading.Timer(seconds, thaw, [process])
    timer.daemon = True
    timer.start()
    return True


def thaw(process):
    # One that was killed meanwhile needs nothing; and what is stopped when we end, ends with our process group.
    if time.monotonic() >= process._tidemark_frozen_until:
        process.send_signal(signal.SIGCONT)


def check_workers():
    from ministack.core import lambda_runtime

    expect_names(lambda_runtime, "_lock", "_workers")


def pause_schedules():
    """Schedules fire when a scenario says so, and at no other time; and nothing waits to be tried again.

    AWS waits one minute before the first retry of an asynchronous invocation and two before the second (Lambda Developer
    Guide, "How Lambda handles errors and retries with asynchronous invocation"), MiniStack one and two seconds.
    """
    from ministack.services import eventbridge, lambda_svc, scheduler

    for module in (eventbridge, scheduler):
        expect(module.start_scheduler)
        module.start_scheduler = lambda: None
    expect_names(lambda_svc, "_LAMBDA_ASYNC_RETRY_BASE_SECONDS", "_LAMBDA_STATE_TRANSITION_DELAY")
    lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS = 0.05
    # How long a function whose configuration was changed is not ready.
    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0.05


def watch_queues():
    """What is in each queue, and when each message was sent to it, also of those that are gone."""
    from ministack.services import lambda_svc, sqs

    expect_names(sqs, "_queues")
    expect_names(lambda_svc, "_esms")
    get_queue = expect(sqs._get_q, "url", "action")
    arrivals = {}

    def note(queue):
        known = arrivals.setdefault(queue["attributes"]["QueueArn"], {})
        for message in list(queue["messages"]):
            # What SQS itself moves to a dead-letter queue is not counted as sent (SQS Developer Guide, "Available
            # CloudWatch metrics": NumberOfMessagesSent).
            if "DeadLetterQueueSourceArn" not in message.get("sys", {}):
                known[message["id"]] = message["sent_at"]
        return queue

    def waiting(message):
        # One that somebody has received comes back if it is not deleted; else it was there from its arrival on.
        hidden = message["visible_at"] > time.time()
        return {"sent": message["sent_at"], "visible": message["visible_at"] if hidden else message["sent_at"]}

    def told(region, queue, polled):
        arn = note(queue)["attributes"]["QueueArn"]
        return {
            "name": arn.rsplit(":", 1)[-1],
            "region": region,
            "created": float(queue["attributes"]["CreatedTimestamp"]),
            "polled": arn in polled,
            "sent": sorted(arrivals[arn].values()),
            "waiting": [waiting(message) for message in list(queue["messages"])],
        }

    def queues():
        polled = {esm["EventSourceArn"] for esm in list(lambda_svc._esms._data.values()) if esm["State"] == "Enabled"}
        return [told(region, queue, polled) for (_, region, _), queue in list(sqs._queues._data.items())]

    # Every action on a queue comes by here, before it takes anything away.
    sqs._get_q = lambda url, action=None: note(get_queue(url, action))
    return queues


def check_publishing():
    """What AWS refuses (SNS API Reference, "Publish" and "MessageAttributeValue") and MiniStack lets pass."""
    from ministack.services import sns

    expect_names(sns, "_p", "_error", "_parse_message_attributes")
    publish = expect(sns._publish, "params")

    def refusal(params):
        """The code and the message, or None."""
        subject, message = sns._p(params, "Subject"), sns._p(params, "Message")
        if len(subject) > 100 or any(ord(character) < 32 or ord(character) == 127 for character in subject):
            return "InvalidParameter", "Invalid parameter: Subject"
        if not message:
            return "InvalidParameter", "Invalid parameter: Empty message"
        for name, value in sns._parse_message_attributes(params).items():
            if "StringValue" not in value and "BinaryValue" not in value:
                return "ParameterValueInvalid", f"The message attribute '{name}' must contain non-empty message " \
                    f"attribute value for message attribute type '{value['DataType']}'."
        if sns._p(params, "MessageStructure") == "json":
            structure = "Invalid parameter: Message Structure -"
            try:
                bodies = json.loads(message)
            except ValueError:
                return "InvalidParameter", f"{structure} JSON message body failed to parse"
            if not isinstance(bodies, dict) or not isinstance(bodies.get("default"), str):
                return "InvalidParameter", f"{structure} No default entry in JSON message body"
        return None

    def checked(params):
        refused = refusal(params)
        return publish(params) if refused is None else sns._error(*refused, 400)

    sns._publish = checked


def leave_alarms_alone():
    from ministack.services import cloudwatch

    expect(cloudwatch._evaluate_alarm, "alarm")
    cloudwatch._evaluate_alarm = lambda alarm: None
    # Nothing here gets two weeks old, which each call would look at every metric for.
    expect(cloudwatch._evict_old_metrics)
    cloudwatch._evict_old_metrics = lambda: None


def check_objects():
    """What S3 promises of uploads in parts and of copies, and MiniStack does otherwise.

    S3 API Reference, "CreateMultipartUpload" (ChecksumType), "CompleteMultipartUpload" (BadDigest, EntityTooSmall),
    "CopyObject" (If-None-Match); S3 User Guide, "Checking object integrity": CRC64NVME is of the whole object at all
    times, a CRC32 where it is asked for, and a SHA never.
    """
    from awscrt import checksums
    from ministack.services import s3

    create = expect(s3._create_multipart_upload, "bucket_name", "key", "headers")
    complete = expect(s3._complete_multipart_upload, "bucket_name", "key", "body", "query_params", "headers")
    composite = expect(s3._composite_checksum, "algorithm", "part_checksums")
    replicate = expect(s3._maybe_replicate, "bucket_name", "key", "obj", "data", "tags")
    copy_part = expect(s3._upload_part_copy, "bucket_name", "dest_key", "query_params", "headers")
    copy_object = expect(s3._copy_object, "bucket_name", "dest_key", "headers")
    crc64nvme = expect(s3._crc64nvme, "body")
    expect(s3._error, "code", "message", "status", "resource", "extra", "headers")
    expect(s3._compute_s3_checksum, "algorithm", "body")
    expect(s3._check_put_preconditions, "headers", "existing_obj")
    expect_names(s3, "_multipart_uploads", "_completed_multipart_uploads", "_qp", "_ensure_bucket", "fromstring")
    # The checksum of the whole object that is being completed.
    whole = contextvars.ContextVar("whole", default=None)

    def refused(code, message):
        return s3._error(code, message, 400)

    def created(bucket_name, key, headers):
        algorithm = (headers.get("x-amz-checksum-algorithm") or "").upper()
        kind = headers.get("x-amz-checksum-type") or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
        if algorithm and (kind == "FULL_OBJECT") != (algorithm == "CRC64NVME") and not algorithm.startswith("CRC32"):
            return refused("InvalidRequest", f"The {kind} checksum type cannot be used with the {algorithm} algorithm.")
        status, answer, body = create(bucket_name, key, headers)
        if status == 200 and algorithm and kind == "FULL_OBJECT":
            answer["x-amz-checksum-type"] = kind
            s3._multipart_uploads[upload_id(body)]["tidemark_whole"] = True
        return status, answer, body

    def upload_id(body):
        return next(node.text for node in s3.fromstring(body).iter() if node.tag.endswith("UploadId"))

    def chosen(upload, body):
        """The parts that a completion names, or None where MiniStack itself will refuse it."""
        try:
            numbers = sorted(int(node.text) for node in s3.fromstring(body).iter() if node.tag.endswith("PartNumber"))
            return [upload["parts"][number] for number in numbers]
        except (s3.ParseError, KeyError, TypeError, ValueError):
            return None

    def completed(bucket_name, key, body, query_params, headers=None):
        id_ = s3._qp(query_params, "uploadId")
        upload = s3._multipart_uploads.get(id_)
        parts = chosen(upload, body) if upload else None
        if parts and any(part["size"] < 5 << 20 for part in parts[:-1]):
            return refused("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        if not parts or not upload.get("tidemark_whole"):
            return complete(bucket_name, key, body, query_params, headers)
        before = whole.set(s3._compute_s3_checksum(upload["checksum_algorithm"], b"".join(part["body"] for part in parts)))
        try:
            status, answer, said = complete(bucket_name, key, body, query_params, headers)
        finally:
            whole.reset(before)
        said = said.replace(b">COMPOSITE<", b">FULL_OBJECT<")
        if status == 200:
            s3._completed_multipart_uploads[id_]["response"] = status, answer, said
        return status, answer, said

    def replicated(bucket_name, key, obj, data, tags=None):
        # Called with each new object, before its version and its replica are made of it.
        if whole.get() is not None:
            obj["checksum_type"] = "FULL_OBJECT"
        return replicate(bucket_name, key, obj, data, tags)

    def part_copied(bucket_name, dest_key, query_params, headers):
        status, answer, body = copy_part(bucket_name, dest_key, query_params, headers)
        upload = s3._multipart_uploads.get(s3._qp(query_params, "uploadId"))
        algorithm = upload and upload.get("checksum_algorithm")
        if status != 200 or not algorithm:
            return status, answer, body
        part = upload["parts"][int(s3._qp(query_params, "partNumber", "1"))]
        value = s3._compute_s3_checksum(algorithm, part["body"])
        part["checksums"] = {algorithm: value}
        told = f"<Checksum{algorithm}>{value}</Checksum{algorithm}></CopyPartResult>"
        return status, answer, body.replace(b"</CopyPartResult>", told.encode())

    def copied(bucket_name, dest_key, headers):
        there = (s3._ensure_bucket(bucket_name) or {}).get("objects", {}).get(dest_key)
        return s3._check_put_preconditions(headers, there) or copy_object(bucket_name, dest_key, headers)

    # The same in C: a part of some megabytes would take seconds.
    if checksums.crc64nvme(b"123456789") != crc64nvme(b"123456789"):
        sys.exit("launcher: MiniStack's CRC64NVME is not what others compute")
    s3._crc64nvme = checksums.crc64nvme
    s3._create_multipart_upload = created
    s3._complete_multipart_upload = completed
    s3._composite_checksum = lambda algorithm, part_checksums: whole.get() or composite(algorithm, part_checksums)
    s3._maybe_replicate = replicated
    s3._upload_part_copy = part_copied
    s3._copy_object = copied


def check_locks():
    """A bucket's default lock is on every new version (S3 User Guide, "Setting a default retention period"): MiniStack puts
    it on those of PutObject alone."""
    from ministack.services import s3

    record = expect(s3._record_object_version, "bucket_name", "key", "prior_obj", "obj", "data")
    lock = expect(s3._apply_object_lock_from_headers, "bucket_name", "key", "headers", "version_id")
    expect_names(s3, "_buckets", "_object_versions", "_object_retention", "_object_legal_hold", "_object_tags")

    def recorded(bucket_name, key, prior_obj, obj, data):
        version_id = record(bucket_name, key, prior_obj, obj, data)
        if version_id:
            lock(bucket_name, key, {}, version_id)
        return version_id

    def age(query):
        """As if so many hours more had gone by since each object below the prefix was written and locked."""
        bucket, prefix, hours = query["bucket"], query["prefix"], int(query["hours"])

        def earlier(record, name):
            instant = datetime.fromisoformat(record[name].replace("Z", "+00:00")) - timedelta(hours=hours)
            record[name] = instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")

        aged = 0
        for (_, (name, key)), versions in list(s3._object_versions._data.items()):
            if name == bucket and key.startswith(prefix):
                aged += 1
                for version in versions:
                    earlier(version, "last_modified")
        for (_, (name, key, _)), retention in list(s3._object_retention._data.items()):
            if name == bucket and key.startswith(prefix):
                earlier(retention, "RetainUntilDate")
        for scope, record in list(s3._buckets._data.items()):
            if scope[-1] == bucket:
                for key, current in record["objects"].items():
                    if key.startswith(prefix):
                        earlier(current, "last_modified")
        return {"aged": aged}

    def empty(query):
        """As if there had never been an object in the bucket: no version of it is left, whatever its lock."""
        bucket = query["bucket"]
        for scope, record in list(s3._buckets._data.items()):
            if scope[-1] == bucket:
                record["objects"].clear()
        for of_objects in (s3._object_versions, s3._object_retention, s3._object_legal_hold, s3._object_tags):
            for scope in [scope for scope in list(of_objects._data) if scope[-1][0] == bucket]:
                del of_objects._data[scope]
        return {}

    s3._record_object_version = recorded
    return age, empty


def additions(buckets, invocations, queues, age, empty):
    """What answers at `/_tidemark/NAME`, given the query's parameters."""

    def measured(query):
        return [one for one in invocations if query.get("caller") in (None, one["caller"])]

    def frozen(query):
        seconds = int(query["ms"]) / 1000
        return freeze_caller(int(query["port"]), seconds) if "port" in query else freeze(query["function"], seconds)

    return {
        "age": age,
        "empty": empty,
        "buckets": lambda query: buckets,
        "invocations": measured,
        "kill": lambda query: kill_caller(int(query["port"])),
        "freeze": frozen,
        "queues": lambda query: queues(),
    }


def with_additions(app, answers):
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
        what = answers.get(scope["path"].removeprefix("/_tidemark/"))
        if what is None:
            return await answer(send, 404, {"error": "no such thing"})
        query = dict(parse_qsl(scope["query_string"].decode()))
        return await answer(send, 200, await asyncio.to_thread(what, query))

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
    check_publishing()
    check_objects()
    leave_alarms_alone()
    give_disks()
    if not SCHEDULES:
        pause_schedules()
    answers = additions(keep_bucket_properties(), measure_invocations(), watch_queues(), *check_locks())
    from ministack.app import app

    serve(with_additions(app, answers))
    # Threads of MiniStack that wait for something must not keep us.
    sys.stderr.flush()
    os._exit(0)


main()
