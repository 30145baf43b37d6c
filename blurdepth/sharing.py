"""A fine-tuned model on its way out: as a zip, or on the Hugging Face Hub. No path of this machine goes along."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from blurdepth import __version__
from blurdepth.errors import BlurdepthError, InputError, ModelError
from blurdepth.estimators import NOTES
from blurdepth.files import storage_error
from blurdepth.model_card import CARD, card_text, shareable
from blurdepth.workspace import Workspace

_REASON_LENGTH = 160
_CHUNK_BYTES = 2**20

Contents = dict[str, Path | bytes]
"""Files by their names: where they lie, or what is in them."""
OnFile = Callable[[int, int], None]


def checkpoint_folder(workspace: Workspace, job_id: str) -> Path:
    """Where the checkpoint of a job lies.

    Raises:
        NotFoundError: there is no such job.
        InputError: it has no checkpoint.
    """
    job = workspace.store.jobs.job(job_id)
    folder = workspace.folder / job.checkpoint
    if not job.checkpoint or not folder.is_dir():
        raise InputError(f"Job {job_id} is {job.status} and has no checkpoint: wait for it, or resume it.")
    return folder


def checkpoint_contents(folder: Path) -> Contents:
    """The files of a checkpoint; what was written about it without paths of this machine.

    Raises:
        InputError: its notes can't be read.
    """
    contents: Contents = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    try:
        notes: dict[str, Any] = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / NOTES} can't be read ({error}): restore it, or fine-tune again.") from error
    contents[NOTES] = json.dumps(shareable(notes), indent=1).encode()
    if CARD not in contents:
        contents[CARD] = card_text(notes).encode(errors="replace")
    return contents


def copy_checkpoint(contents: Contents, out: Path, mark: str, on_file: OnFile | None = None) -> None:
    """Copy files to the folder `out`, or into the zip `out` if its name ends so: whole, or not at all.

    The same copy made before, byte by byte, is left as it is.

    Args:
        contents: by `checkpoint_contents`.
        out: where to; its folder is made. In a zip the files lie in a folder of its name.
        mark: names this copy while it is made, so that the next try clears what a kill left.
        on_file: told before each file, and at the end, how many are done and how many there are; may raise.

    Raises:
        InputError: something else is there.
        StorageError: it can't be written.
    """
    on_file = on_file or (lambda *_: None)
    if os.path.lexists(out):
        if not _holds(out, contents):
            raise InputError(f"{out} exists and is something else: choose another place.")
        on_file(len(contents), len(contents))
        return
    part = out.with_name(f".{out.name}.part-{mark}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        (_zip if out.suffix == ".zip" else _copy)(contents, part, out.stem, on_file)
        os.replace(part, out)
    except OSError as error:
        raise storage_error(out, error) from error
    finally:
        _remove(part)
    on_file(len(contents), len(contents))


def _copy(contents: Contents, part: Path, _: str, on_file: OnFile) -> None:
    part.mkdir()
    for number, (name, content) in enumerate(contents.items()):
        on_file(number, len(contents))
        if isinstance(content, Path):
            shutil.copyfile(content, part / name)
        else:
            (part / name).write_bytes(content)


def _zip(contents: Contents, part: Path, folder: str, on_file: OnFile) -> None:
    # Weights hardly get smaller.
    with zipfile.ZipFile(part, "x", zipfile.ZIP_STORED) as archive:
        for number, (name, content) in enumerate(contents.items()):
            on_file(number, len(contents))
            if isinstance(content, Path):
                archive.write(content, f"{folder}/{name}")
            else:
                archive.writestr(f"{folder}/{name}", content)


def _holds(out: Path, contents: Contents) -> bool:
    """Whether these files lie there, all of them and to the last byte: weights of other values have the same size."""
    try:
        if out.is_dir():
            same = {path.name for path in out.iterdir()} == set(contents)
            return same and all(_equals((out / name).open("rb"), content) for name, content in contents.items())
        with zipfile.ZipFile(out) as archive:
            named = {f"{out.stem}/{name}": content for name, content in contents.items()}
            same = set(archive.namelist()) == set(named)
            return same and all(_equals(archive.open(name), content) for name, content in named.items())
    except (OSError, zipfile.BadZipFile):
        return False


def _equals(file: IO[bytes], content: Path | bytes) -> bool:
    with file, content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as other:
        while chunk := file.read(_CHUNK_BYTES):
            if chunk != other.read(_CHUNK_BYTES):
                return False
        return not other.read(1)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


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
    folder = checkpoint_folder(workspace, job_id)
    _check_repo(repo)
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if (token := get_token()) is None:
        raise InputError("Nobody is logged in to the Hugging Face Hub: run `hf auth login`, or set HF_TOKEN.")
    operations = [CommitOperationAdd(name, content) for name, content in checkpoint_contents(folder).items()]
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
