"""An independent client sends objects in every way that AWS's SDKs do, and reads the same bytes back."""

import base64
import hashlib
import io
import sys
import urllib.request

import boto3
from awscrt import checksums
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


def crc64nvme(data):
    return base64.b64encode(checksums.crc64nvme(data).to_bytes(8, "big")).decode()


def refused(code, call, **parameters):
    try:
        call(Bucket=BUCKET, **parameters)
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"not refused as {code}")


def test_the_checksum_of_the_whole():
    data = content((5 << 20) + 7, "whole")
    halves = data[:5 << 20], data[5 << 20:]
    upload = {"Key": "whole", "UploadId": s3.create_multipart_upload(
        Bucket=BUCKET, Key="whole", ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT")["UploadId"]}
    part = {"PartNumber": 1, "ChecksumCRC64NVME": crc64nvme(halves[1]), **upload}
    refused("BadDigest", s3.upload_part, Body=halves[0], **part)
    parts = []
    for number, half in enumerate(halves, 1):
        part = s3.upload_part(
            Bucket=BUCKET, PartNumber=number, Body=half, ChecksumCRC64NVME=crc64nvme(half), **upload)
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC64NVME": part["ChecksumCRC64NVME"]})
    # Of the parts' checksums, as a SHA's would be, and not of the whole.
    wrong = crc64nvme(b"".join(base64.b64decode(crc64nvme(half)) for half in halves))
    told = {"MultipartUpload": {"Parts": parts}, "ChecksumType": "FULL_OBJECT", **upload}
    refused("BadDigest", s3.complete_multipart_upload, ChecksumCRC64NVME=wrong, **told)
    done = s3.complete_multipart_upload(Bucket=BUCKET, ChecksumCRC64NVME=crc64nvme(data), **told)
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (crc64nvme(data), "FULL_OBJECT"), done
    head = s3.head_object(Bucket=BUCKET, Key="whole", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (crc64nvme(data), "FULL_OBJECT"), head
    same("whole", data)


def test_the_checksum_of_checksums():
    halves = content(5 << 20, "one"), b"two"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="composite", ChecksumAlgorithm="SHA256")
    assert upload["ChecksumType"] == "COMPOSITE", upload
    upload = {"Key": "composite", "UploadId": upload["UploadId"]}
    parts = []
    for number, half in enumerate(halves, 1):
        part = s3.upload_part(Bucket=BUCKET, PartNumber=number, Body=half, ChecksumAlgorithm="SHA256", **upload)
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    done = s3.complete_multipart_upload(Bucket=BUCKET, MultipartUpload={"Parts": parts}, **upload)
    whole = hashlib.sha256(b"".join(hashlib.sha256(half).digest() for half in halves)).digest()
    assert done["ChecksumSHA256"] == base64.b64encode(whole).decode() + "-2", done
    refused("InvalidRequest", s3.create_multipart_upload, Key="no", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")


def test_copied_parts_have_checksums_and_small_ones_are_refused():
    data = content(70_001, "source")
    s3.put_object(Bucket=BUCKET, Key="source", Body=data)
    upload = {"Key": "copied", "UploadId": s3.create_multipart_upload(
        Bucket=BUCKET, Key="copied", ChecksumAlgorithm="CRC64NVME")["UploadId"]}
    parts = []
    for number, (start, end) in enumerate(((0, 69_999), (70_000, 70_000)), 1):
        part = s3.upload_part_copy(Bucket=BUCKET, PartNumber=number, CopySource=f"{BUCKET}/source",
                                   CopySourceRange=f"bytes={start}-{end}", **upload)["CopyPartResult"]
        assert part["ChecksumCRC64NVME"] == crc64nvme(data[start:end + 1]), part
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC64NVME": part["ChecksumCRC64NVME"]})
    refused("EntityTooSmall", s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload)
    done = s3.complete_multipart_upload(Bucket=BUCKET, MultipartUpload={"Parts": parts[:1]}, **upload)
    assert done["ChecksumCRC64NVME"] == crc64nvme(data[:70_000]), done


def test_a_copy_that_must_not_overwrite():
    for key in ("one", "two"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    copy = {"CopySource": f"{BUCKET}/one", "IfNoneMatch": "*"}
    refused("PreconditionFailed", s3.copy_object, Key="two", **copy)
    same("two", b"two")
    s3.copy_object(Bucket=BUCKET, Key="three", **copy)
    same("three", b"one")


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print("ok", name)
