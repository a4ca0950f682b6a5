"""Models on the Hugging Face hub: pushed there and pulled from there, by its own library.

A repository has the files of `neocog.formats.hub_folder`. What is pulled is checked before any of
it is in its place: names and sizes before they are downloaded, and the files by reading the
network.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neocog.errors import FormatError, NeocogError, printable
from neocog.extras import module_of_extra
from neocog.formats.hub_folder import (
    CARD,
    CONFIG,
    FILES,
    MOST_CARD_BYTES,
    MOST_CONFIG_BYTES,
    WEIGHTS,
    check_free,
    files_of,
    read_config,
    read_hub_folder,
    weights_bytes,
    write_files,
)
from neocog.limits import readable
from neocog.write_errors import why_not_written

__all__ = ["cached_file", "check_repository", "pull", "push"]

# What the hub allows: letters, digits, and - _ . between them.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
# Libraries that the hub's uses for HTTP, in its various versions.
_HTTP = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "hf_xet")
_LOG_IN = "Log in by `hf auth login`, or set HF_TOKEN."


def check_repository(name: str) -> str:
    """Check the name of a repository, OWNER/NAME, and that the hub's library is installed.

    Raises:
        NeocogError: it is no such name, or the library is missing.
    """
    if not _NAME.fullmatch(name):
        raise NeocogError(
            f"{printable(name)} is no name of a repository: it must be OWNER/NAME, such as "
            "jo/flowers."
        )
    _library()
    return name


def push(
    files: dict[str, bytes], repository: str, *, private: bool = False, overwrite: bool = False
) -> str:
    """Upload a model's files in one commit; returns the address of the repository.

    Args:
        files: the content of each, as of `hub_files`.
        repository: its name, OWNER/NAME; it is made if there is none.
        private: whether a new one is seen by its owner alone.
        overwrite: whether files of a model that is there are replaced.

    Raises:
        NeocogError: the library is missing, there is no network, nobody is logged in, the hub
            refuses, or the repository holds a model.
    """
    hub = _library()
    api = hub.HfApi()
    with _explained(hub, repository):
        made = api.create_repo(repository, private=private, exist_ok=True)
        there = {one.rfilename for one in api.model_info(repository).siblings or ()}
        if not overwrite and (held := [name for name in FILES if name in there]):
            raise NeocogError(
                f"{repository} holds {', '.join(held)} already, and nothing is overwritten "
                "unless you ask for it: name another repository, or say --overwrite."
            )
        operations = [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
            for name, content in files.items()
        ]
        api.create_commit(repository, operations, commit_message="Model by neocog")
    return str(made)


def pull(repository: str, folder: str | Path, *, overwrite: bool = False) -> int:
    """Download a model's files to a folder, all or none; returns their bytes.

    Args:
        repository: its name, OWNER/NAME.
        folder: which is made if there is none.
        overwrite: whether a model in the folder is replaced.

    Raises:
        FormatError: the repository has no model of neocog's, or the folder holds something.
        NeocogError: the library is missing, there is no network, or no such repository.
    """
    hub, folder = _library(), Path(folder)
    check_free(folder, overwrite)
    api = hub.HfApi()
    try:
        with tempfile.TemporaryDirectory(prefix=".neocog-", dir=folder.absolute().parent) as made:
            place = Path(made)
            commit, sizes = _files(hub, repository)
            _check(repository, sizes, CONFIG, MOST_CONFIG_BYTES)
            where = api, hub, repository, commit
            _download(where, CONFIG, place)
            # What the weights must amount to is known before they are downloaded.
            most = weights_bytes(_renamed(repository, place, read_config).graph)
            _check(repository, sizes, WEIGHTS, most)
            _check_room(folder, most)
            _download(where, WEIGHTS, place)
            if CARD in sizes:
                _check(repository, sizes, CARD, MOST_CARD_BYTES)
                _download(where, CARD, place)
            _renamed(repository, place, read_hub_folder)
            content = files_of(place)
    except OSError as error:
        raise FormatError(why_not_written(folder, error)) from error
    check_free(folder, overwrite)
    write_files(content, folder)
    return sum(map(len, content.values()))


def cached_file(repository: str, name: str, most: int) -> Path:
    """A file of a repository in the cache of the hub's library, downloaded if it is not there.

    Args:
        repository: its name, OWNER/NAME.
        name: of the file.
        most: bytes that are downloaded at most.

    Raises:
        FormatError: the repository has no such file, or it is larger.
        NeocogError: the library is missing, there is no network, or no such repository.
    """
    hub = _library()
    with _explained(hub, repository):
        there = hub.try_to_load_from_cache(repository, name)
        if isinstance(there, str):
            return Path(there)
    _commit, sizes = _files(hub, repository)
    if name not in sizes:
        raise FormatError(f"{repository} has no {name}.")
    _check_size(repository, sizes, name, most)
    with _explained(hub, repository):
        # By a commit it would not be found again without a network.
        return Path(hub.hf_hub_download(repository, name))


def _library() -> Any:
    what = "A model on the Hugging Face hub"
    found = module_of_extra("huggingface_hub", what, "its library, huggingface_hub", "hub")
    found.HfApi()  # with which it loads its parts: `utils` and `errors` are not there before
    return found


def _check(repository: str, sizes: dict[str, int | None], name: str, most: int) -> None:
    """Raise `FormatError` unless a repository has a file of at most so many bytes."""
    if name not in sizes:
        raise FormatError(
            f"{repository} has no {name}: it holds no model that neocog has written "
            f"({', '.join(FILES)})."
        )
    _check_size(repository, sizes, name, most)


def _files(hub: Any, repository: str) -> tuple[str, dict[str, int | None]]:
    """The newest commit of a repository, and the sizes of its files by name."""
    with _explained(hub, repository):
        found = hub.HfApi().model_info(repository, files_metadata=True)
    return found.sha, {one.rfilename: one.size for one in found.siblings or ()}


def _check_size(repository: str, sizes: dict[str, int | None], name: str, most: int) -> None:
    """Raise `FormatError` unless a file that is there has at most so many bytes."""
    size = sizes[name]
    if size is None or size > most:
        told = "an unknown size" if size is None else readable(size)
        raise FormatError(f"{repository}: {name} has {told}; up to {readable(most)} are taken.")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder.absolute().parent).free
    if free < 3 * needed:  # the download, its copy here, and the one that it replaces
        raise FormatError(
            f"{folder} cannot be written: {readable(3 * needed)} are needed, and "
            f"{readable(free)} are free."
        )


def _download(where: tuple[Any, Any, str, str], name: str, place: Path) -> None:
    api, hub, repository, commit = where
    with _explained(hub, repository):
        api.hf_hub_download(repository, name, revision=commit, local_dir=place)


def _renamed(repository: str, place: Path, read: Any) -> Any:
    """What reading the downloaded files gives; errors name the repository, not this place."""
    try:
        return read(place)
    except NeocogError as error:
        raise type(error)(str(error).replace(str(place), repository)) from None


@contextmanager
def _explained(hub: Any, repository: str) -> Iterator[None]:
    """Errors of the library in our words; progress of many small files is not shown."""
    hub.utils.disable_progress_bars()
    try:
        yield
    except NeocogError:
        raise
    except Exception as error:
        raise NeocogError(_why(hub.errors, repository, error)) from error


def _why(errors: Any, repository: str, error: Exception) -> str:
    said = printable((str(error).strip() or type(error).__name__).splitlines()[0], 300)
    if isinstance(error, errors.GatedRepoError):
        return f"{repository} asks for its terms to be accepted on its page first: {said}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"The hub has no repository {repository}, or does not show it to you. Check the name; "
            f"if it is private: {_LOG_IN}"
        )
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"Nobody is logged in to the hub. {_LOG_IN}"
    if isinstance(error, errors.HfHubHTTPError):
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            return f"The hub does not let you do that with {repository} ({status}). {_LOG_IN}"
        return f"The hub refuses: {said}"
    unreached = (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, ConnectionError)
    if isinstance(error, unreached) or type(error).__module__.partition(".")[0] in _HTTP:
        return f"The hub cannot be reached: {said.rstrip('.')}. Is there a network?"
    return f"{repository}: {said}"
