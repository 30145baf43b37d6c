"""A fine-tuned model on its way out: as a zip, or on the Hugging Face Hub. No path of this machine goes along."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from blurdepth import __version__
from blurdepth.errors import BlurdepthError, InputError, ModelError
from blurdepth.files import storage_error
from blurdepth.model_card import CARD, card_text, shareable
from blurdepth.workspace import Workspace

_NOTES = "blurdepth.json"
_REASON_LENGTH = 160


def zip_checkpoint(workspace: Workspace, job_id: str, target: Path) -> Path:
    """Write the checkpoint of a job as a zip file at `target`, without holding it in memory.

    Args:
        workspace: the data folder.
        job_id: such as "j3".
        target: in a folder that is there.

    Raises:
        NotFoundError: there is no such job.
        InputError: it has no checkpoint.
        StorageError: the disk is full, or the folder can't be written; nothing is left behind then.
    """
    contents = _contents(_checkpoint(workspace, job_id))
    try:
        # Weights don't get smaller.
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
            for name, content in contents.items():
                if isinstance(content, Path):
                    file.write(content, f"{job_id}/{name}")
                else:
                    file.writestr(f"{job_id}/{name}", content)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise storage_error(target, error) from error
    return target


def push(workspace: Workspace, job_id: str, repo: str, *, private: bool = False) -> str:
    """Put the checkpoint of a job on the Hub, by the login of the Hub's own client; returns its address.

    Args:
        workspace: the data folder.
        job_id: such as "j3".
        repo: "owner/name"; made if it is not there yet.
        private: make it so that only the owner sees it.

    Raises:
        NotFoundError: there is no such job.
        InputError: it has no checkpoint, `repo` is no name, nobody is logged in, or the repository that is to be
            private is public.
        ModelError: the Hub can't be reached, or refuses.
    """
    folder = _checkpoint(workspace, job_id)
    _check_repo(repo)
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if (token := get_token()) is None:
        raise InputError("Nobody is logged in to the Hugging Face Hub: run `hf auth login`, or set HF_TOKEN.")
    operations = [CommitOperationAdd(name, content) for name, content in _contents(folder).items()]
    api = HfApi(library_name="blurdepth", library_version=__version__)
    try:
        url = str(api.create_repo(repo, private=private or None, exist_ok=True))
        if private and not api.model_info(repo).private:
            raise InputError(f"{repo} is public already: choose another name, or make it private on the Hub first.")
        api.create_commit(repo, operations, commit_message=f"Fine-tuned by blurdepth {__version__}")
    except BlurdepthError:
        raise
    except Exception as error:  # the Hub's client lets errors of several HTTP libraries through
        raise ModelError(_refusal(error, repo, token)) from error
    return url


def _checkpoint(workspace: Workspace, job_id: str) -> Path:
    job = workspace.store.jobs.job(job_id)
    folder = workspace.folder / job.checkpoint
    if not job.checkpoint or not folder.is_dir():
        raise InputError(f"Job {job_id} is {job.status} and has no checkpoint: wait for it, or resume it.")
    return folder


def _check_repo(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    wrong = InputError(f"{repo[:100]!r} is no name of a repository: use owner/name, of letters, digits, - _ and dots.")
    if repo.count("/") != 1:
        raise wrong
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise wrong from error


def _contents(folder: Path) -> dict[str, Path | bytes]:
    """The files of a checkpoint by their names; what was written about it without paths of this machine."""
    contents: dict[str, Path | bytes] = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    try:
        notes: dict[str, Any] = json.loads((folder / _NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / _NOTES} can't be read ({error}): restore it, or fine-tune again.") from error
    contents[_NOTES] = json.dumps(shareable(notes), indent=1).encode()
    if CARD not in contents:
        contents[CARD] = card_text(notes).encode(errors="replace")
    return contents


def _refusal(error: Exception, repo: str, token: str) -> str:
    """What the Hub's client says in one line, and the mend."""
    reason = " ".join(str(error).replace(token, "…").split())[:_REASON_LENGTH]
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return f"The Hub doesn't accept the login ({reason}): run `hf auth login` again, or set HF_TOKEN anew."
    if status == 403:
        return f"The login may not write to {repo} ({reason}): use a token with write access, or another owner."
    if status is not None:
        return f"The Hub refuses {repo} with status {status} ({reason}): see what it says, or try again later."
    return (
        f"The Hub can't be reached, or answers oddly ({reason}): check the network, then push again; nothing was lost."
    )
