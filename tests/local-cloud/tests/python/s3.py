"""An independent client sends objects in every way that AWS's SDKs do, and reads the same bytes back."""

import hashlib
import io
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

BUCKET = "door-" + sys.argv[1]
s3 = boto3.client("s3", config=Config(request_checksum_calculation="when_supported", retries={"max_attempts": 1}))
s3.create_bucket(Bucket=BUCKET)


def content(size, seed):
    block = hashlib.sha256(seed.encode()).digest() * 1024
    return (block * (size // len(block) + 1))[:size]


class Unseekable(io.RawIOBase):
    """A stream whose length is not known: the SDK cannot sign its body and sends it aws-chunked with a trailer."""

    def __init__(self, data):
        self.inner = io.BytesIO(data)

    def read(self, size=-1):
        return self.inner.read(size)

    def readable(self):
        return True


def read(key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def same(key, data):
    found = read(key)
    assert found == data, f"{key}: {len(found)} bytes, sent {len(data)}"


def test_small_objects_with_every_checksum():
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        data = content(70_001, algorithm)
        s3.put_object(Bucket=BUCKET, Key=algorithm, Body=data, ChecksumAlgorithm=algorithm)
        same(algorithm, data)


def test_empty_object():
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    same("empty", b"")


def test_multipart():
    data = content(13 * 1024 * 1024 + 7, "multipart")
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(data), BUCKET, "multipart", Config=config)
    same("multipart", data)
    s3.upload_fileobj(Unseekable(data), BUCKET, "streamed", Config=config)
    same("streamed", data)


def test_head_and_range():
    data = content(300_000, "head")
    s3.put_object(Bucket=BUCKET, Key="head", Body=data)
    assert s3.head_object(Bucket=BUCKET, Key="head")["ContentLength"] == len(data)
    part = s3.get_object(Bucket=BUCKET, Key="head", Range="bytes=1000-1999")["Body"].read()
    assert part == data[1000:2000]


def test_keys_that_need_escaping():
    for key in ("a b/ü+%25/c=d&e", "x//y", "trailing/", "question?mark#hash"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        same(key, key.encode())


def test_presigned():
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "presigned"})
    urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "presigned"})
    assert urllib.request.urlopen(url).read() == b"by url"


def test_a_wrong_checksum_stays_wrong():
    try:
        s3.put_object(Bucket=BUCKET, Key="wrong", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "BadDigest", error
    else:
        raise AssertionError("a body that does not match its MD5 was accepted")


def test_if_none_match():
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")
    try:
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed", error
    else:
        raise AssertionError("written twice")
    same("once", b"1")


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print("ok", name)
