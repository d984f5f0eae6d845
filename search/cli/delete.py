"""Delete a study: its trials, epochs, Optuna's rows and its checkpoints; asks first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import ArtifactsOption, StorageOption, StudyArgument

SECTION, ORDER = "Search", 6


def command(
    study: StudyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    artifacts: ArtifactsOption = None,
    keep_artifacts: Annotated[bool, typer.Option("--keep-artifacts", help="Keep its checkpoints.")] = (False),
    storage: StorageOption = None,
) -> None:
    from search.cli._console import console, open_store, storage_url, study_name
    from search.cli._working import working
    from search.errors import UserError
    from search.store import reading, workers

    name = study_name(study)
    with open_store(storage) as engine:
        progress = reading.progress(engine, name)
        count = sum(progress.states.values())
        active = [worker.name for worker in workers.present(engine, name) if worker.silent_s < 60]
        place = reading.artifacts_of(engine, name)
    where = f" and its checkpoints in {artifacts or place[0]}" if place and not keep_artifacts else ""
    question = f"Delete {name} with its {count} trials{where}?"
    if active:
        question += f" {len(active)} workers are running it ({', '.join(active[:3])}) and will stop."
    if not yes:
        try:
            if not typer.confirm(question):
                raise UserError("nothing was deleted")
        except typer.Abort:
            raise UserError("nothing was deleted; --yes deletes without asking") from None
    with working(console(stderr=True), "deleting"):
        from search.api import delete_study  # loads torch, which takes seconds

        delete_study(name, storage=storage_url(storage), artifacts=artifacts, keep_artifacts=keep_artifacts)
    folder = Path("runs") / name
    left = sorted(path.name for path in folder.iterdir()) if folder.is_dir() and not keep_artifacts else []
    still = f"; {folder} still holds {', '.join(left)}" if left else ""
    console().print(f"{name} is deleted{still}")
