"""Makes a bucket that keeps versions, and sees that its user can write to it. Safe to repeat.

``BUCKET`` is its name, ``AWS_ENDPOINT_URL_S3`` the store. ``BUCKET_ADMIN`` and ``BUCKET_ADMIN_KEY`` are the account
that may make it; without them it is there already. Of an object, versions that were replaced more than
``BUCKET_OLD_VERSIONS_DAYS`` days ago are removed. ``BUCKET_USER`` and ``BUCKET_USER_KEY`` are the account that it is
for, and ``BUCKET_PREFIX`` what names of its objects begin with.
"""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"  # a store of one's own has none, and signatures need one
TRIAL = ".terrace-trial"
MINE_ALREADY = ("BucketAlreadyExists", "BucketAlreadyOwnedByYou")


def client_of(account: str) -> Any:
    """Return a client of the store by one of the two accounts."""
    return boto3.client(
        "s3",
        region_name=os.environ.get("AWS_DEFAULT_REGION", REGION),
        aws_access_key_id=os.environ[account],
        aws_secret_access_key=os.environ[f"{account}_KEY"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 10, "mode": "standard"}),
    )


def make(store: Any, bucket: str, days: int) -> None:
    """Make the bucket, or bring the one that is there to the same."""
    try:
        store.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in MINE_ALREADY:
            raise
    store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    store.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def try_out(store: Any, bucket: str, key: str) -> None:
    """Write, read, and remove an object."""
    written = b"terrace"
    store.put_object(Bucket=bucket, Key=key, Body=written)
    if store.get_object(Bucket=bucket, Key=key)["Body"].read() != written:
        raise SystemExit(f"{bucket} doesn't give back what was written to it")
    store.delete_object(Bucket=bucket, Key=key)


def main() -> None:
    """Make the bucket and try it out."""
    bucket = os.environ["BUCKET"]
    if "BUCKET_ADMIN" in os.environ:
        make(client_of("BUCKET_ADMIN"), bucket, int(os.environ["BUCKET_OLD_VERSIONS_DAYS"]))
        print(f"{bucket} is there and keeps versions")
    try_out(client_of("BUCKET_USER"), bucket, os.environ.get("BUCKET_PREFIX", "") + TRIAL)
    print(f"{bucket} can be written to")


if __name__ == "__main__":
    main()
