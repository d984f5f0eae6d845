"""An S3 bucket through Optuna's artifact store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import optuna

from search.errors import UserError


class S3Bucket:
    """A bucket through Optuna's ``Boto3ArtifactStore``, and the names in it, which Optuna does not list."""

    def __init__(self, bucket: str) -> None:
        try:
            self._store = optuna.artifacts.Boto3ArtifactStore(bucket)
        except ImportError as error:
            raise UserError(f"s3://{bucket}: {error}; install ftsearch[s3]") from error
        self._bucket = bucket

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self._store.open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self._store.write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        self._store.remove(artifact_id)

    def names(self, prefix: str) -> Iterable[str]:
        pages = self._store.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]
