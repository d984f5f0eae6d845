"""Checkpoints in a bucket."""

from __future__ import annotations

import warnings

import pytest

from search.errors import UserError
from search.sampling.s3_bucket import S3Bucket

WEIGHTS = "trial-00001-0123456789abcdef.safetensors"


def test_checkpoints_in_a_bucket_come_back_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    import boto3

    from search.artifacts import stores as artifacts
    from search.errors import TrialError

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # botocore's own
        boto3.client("s3").create_bucket(Bucket="kept")
        artifact_store = artifacts.open_artifact_store("s3://kept/studies/flowers", S3Bucket)
        artifacts.claim_place(artifact_store, "k" * 32)
        for name in (
            WEIGHTS,
            "resume-kkkkkkkk-00001/epoch-1.x",
            "resume-kkkkkkkk-00002/epoch-1.x",
        ):
            artifact_store.put(name, b"weights")
        assert artifact_store.get(WEIGHTS) == b"weights"
        artifact_store.remove_all("resume-kkkkkkkk-00001/")
        with pytest.raises(TrialError, match="cannot read the checkpoint s3://kept/studies/flowers/resume"):
            artifact_store.get("resume-kkkkkkkk-00001/epoch-1.x")
        artifacts.find_place(artifact_store, "k" * 32)
        artifacts.clear(artifact_store, "k" * 32, [WEIGHTS])
        assert not boto3.client("s3").list_objects_v2(Bucket="kept").get("Contents")
        with pytest.raises(UserError, match="cannot keep checkpoints in s3://absent"):
            artifacts.claim_place(artifacts.open_artifact_store("s3://absent/x", S3Bucket), "k")
