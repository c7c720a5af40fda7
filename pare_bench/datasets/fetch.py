"""Download published files: mirrors in turn, resumed where it broke off, checked before anything is put in place.

Placing and declared digests are pooch's work; :class:`ResumingDownloader` is a pooch downloader that adds what pooch has not: resuming
(HTTP ranges), and looking at what came before believing it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.models import Progress
from pare_bench.datasets.archive import unpack
from pare_bench.datasets.content import is_web_page, whole_problem
from pare_bench.datasets.index import IndexEntry, record
from pare_bench.datasets.official import OfficialFiles, is_present
from pare_bench.digests.files import file_digests, write_atomically
from pare_bench.digests.locks import locked
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, PareBenchError
from pare_bench.registry.versions import __version__

if TYPE_CHECKING:
    import requests

OFFLINE_VARIABLE = "PARE_BENCH_OFFLINE"
#: Attempts per address that bring nothing new before it is given up.
ATTEMPTS = 3
_BLOCK = 1 << 18


class BadAnswerError(Exception):
    """A server's answer that is not the file: with a reason, and whether it says something about the content (and not about the connection)."""

    def __init__(self, reason: str, *, about_content: bool) -> None:
        super().__init__(reason)
        self.about_content = about_content


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: its task, its declaration, and the addresses to try in turn."""

    task: str
    file: OfficialFile
    urls: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path below the data root."""
        return f"{self.task}/{self.file.path}"


def is_offline(chosen: bool = False) -> bool:
    """Return whether no socket may be opened: ``--offline``, or ``PARE_BENCH_OFFLINE`` set to anything but 0."""
    return chosen or os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0")


def wanted_files(root: Path, task: str, declared: Sequence[OfficialFile], *, mirrors: Sequence[str] = (), everything: bool = False) -> list[Wanted]:
    """Return the files of a task that are not there yet.

    Optional files come only with ``everything``; where all files are optional (several ways to have the data) the first one with an address
    is taken, unless one is there. ``mirrors`` are addresses of folders laid out like the data root; they are tried before the published addresses.
    """
    chosen = [file for file in declared if everything or not file.optional]
    if not chosen and not any(is_present(root, task, file) for file in declared):
        chosen = [file for file in declared if file.urls][:1] or list(declared[:1])
    missing = [file for file in chosen if not is_present(root, task, file)]
    return [Wanted(task, file, (*(f"{mirror.rstrip('/')}/{task}/{quote(file.path)}" for mirror in mirrors), *file.urls)) for file in missing]


def remote_sizes(wanted: Sequence[Wanted], timeout: float = 30.0) -> list[int | None]:
    """Return the sizes in bytes: as declared, or what the first server that answers says; None where nobody knows.

    A server that cannot be reached is asked once, not once for each file.
    """
    silent: set[str] = set()
    return [each.file.size if each.file.size is not None else _remote_size(each.urls, timeout, silent) for each in wanted]


def _remote_size(urls: Sequence[str], timeout: float, silent: set[str]) -> int | None:
    import requests

    for url in urls:
        server = urlsplit(url).netloc
        if server in silent or not url.startswith(("http://", "https://")):
            continue
        try:
            answer = requests.head(url, timeout=_patience(timeout), allow_redirects=True, headers=_headers())
        except (requests.ConnectionError, requests.Timeout):
            silent.add(server)
        except requests.RequestException:
            continue
        else:
            length = answer.headers.get("Content-Length", "")
            if answer.status_code == 200 and not answer.headers.get("Content-Type", "").startswith("text/html"):
                return int(length) if length.isdigit() else None
    return None


def check_room(root: Path, size: int) -> None:
    """Refuse to begin what cannot end.

    Raises:
        EnvironmentFault: the disk has less room than ``size`` bytes, or the data root cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
    except OSError as error:
        raise EnvironmentFault(f"'{root}' cannot be written: {error.strerror or error}", hint="set PARE_BENCH_DATA to a writable folder") from error
    if size > free:
        raise EnvironmentFault(f"'{root}' has room for {free:,} bytes, {size:,} are needed", hint="set PARE_BENCH_DATA to a folder on a larger disk")


def fetch_file(root: Path, wanted: Wanted, progress: Progress, *, timeout: float = 30.0, unpacking: bool = True) -> Path:
    """Fetch one file to ``<root>/<task>/<path>``, record its digest, and unpack it where its declaration says to what.

    Raises:
        DataMissingError: no server has it, or none can be reached.
        IntegrityError: what a server sent is not the file (it is kept in ``<root>/quarantine``), or the connection broke off again and again.
        EnvironmentFault: the disk cannot be written.
    """
    place = root / wanted.task / wanted.file.path
    if not wanted.urls:
        raise DataMissingError(f"'{wanted.name}' has no address to fetch it from", hint=f"put it at '{place}' by hand, see docs/data.md")
    check_room(root, 0)
    (root / "partial").mkdir(exist_ok=True)
    with locked(root / "partial" / f"{hashlib.sha256(wanted.name.encode()).hexdigest()[:16]}.lock"):
        # Another process may have fetched it while this one waited.
        if not place.exists():
            url = _fetch_from_any(root, wanted, place, progress, timeout)
            record(root, {wanted.name: IndexEntry(place.stat().st_size, file_digests(place)["sha256"], url)})
        if unpacking:
            unpack_present(root, wanted.task, [wanted.file])
    return place


def _fetch_from_any(root: Path, wanted: Wanted, place: Path, progress: Progress, timeout: float) -> str:
    """Try one address after the other; return the one that had the file."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader = ResumingDownloader(root, wanted, progress, timeout=timeout)
    failures: list[tuple[str, BadAnswerError]] = []
    for url in wanted.urls:
        try:
            # Other schemes (ftp, doi) are pooch's own business.
            chosen = downloader if url.startswith(("http://", "https://")) else pooch.downloaders.choose_downloader(url)
            pooch.retrieve(url, _known_hash(wanted.file), fname=place.name, path=place.parent, downloader=chosen)
        except BadAnswerError as failure:
            failures.append((url, failure))
        except ValueError as error:  # pooch's digest check, an unknown scheme
            failures.append((url, BadAnswerError(" ".join(str(error).split()), about_content=True)))
        except OSError as error:
            raise EnvironmentFault(f"'{place}' cannot be written: {error.strerror or error}", hint=f"df -h '{root}'") from error
        else:
            return url
    raise _nobody_has_it(wanted, failures, place)


def unpack_present(root: Path, task: str, declared: Sequence[OfficialFile]) -> list[Path]:
    """Unpack the archives of a task that are there and whose content is not, where they lie; return them.

    Raises:
        IntegrityError: an archive is not what it says, or leads out of its folder.
        EnvironmentFault: the disk cannot be written.
    """
    files = OfficialFiles(root, task)
    unpacked = []
    for file in declared:
        archive = files.find(file.path)
        if archive is not None and file.members and not all(files.find(member) for member in file.members):
            unpack(archive, root / task if archive.is_relative_to(root / task) else root, file.members)
            unpacked.append(archive)
    return unpacked


class ResumingDownloader:
    """A pooch downloader that goes on where an earlier attempt, or an earlier call, broke off.

    What has come lies in ``<root>/partial`` until it is complete and was checked; what fails a check goes to ``<root>/quarantine`` with the reason.
    """

    def __init__(self, root: Path, wanted: Wanted, progress: Progress, *, timeout: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._root = root
        self._wanted = wanted
        self._progress = progress
        self._timeout = timeout
        self._sleep = sleep

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:  # noqa: ARG002 - pooch's protocol
        """Download ``url`` to the path ``output_file``.

        Raises:
            BadAnswerError: the answer is not the file, or none came.
        """
        part = self._root / "partial" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{Path(self._wanted.file.path).name}"
        failed = 0
        while True:
            before = _size(part)
            try:
                self._go_on(url, part)
                break
            except _BrokenOffError as broken:
                failed = failed + 1 if _size(part) <= before else 0
                if failed >= ATTEMPTS:
                    if broken.begun and not broken.resumable:
                        self._quarantine(part, url, str(broken))
                    raise BadAnswerError(str(broken), about_content=broken.begun) from broken
                self._sleep(min(0.1 * 3**failed, 10.0))
        self._check(url, part)
        shutil.move(part, output_file)
        _notes(part).unlink(missing_ok=True)

    def _go_on(self, url: str, part: Path) -> None:
        """Ask for what is missing and append it."""
        import requests
        import urllib3

        have, notes = _size(part), _read_notes(part)
        validator = notes.get("etag") or notes.get("modified")
        headers = _headers()
        if have and validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        else:
            have = 0
        try:
            with requests.get(url, headers=headers, stream=True, timeout=_patience(self._timeout)) as answer:
                if answer.status_code == 416 and have:
                    self._ends_here(url, part, have, notes.get("total"))
                    return
                if answer.status_code not in (200, 206) or (answer.status_code == 206 and not have):
                    part.unlink(missing_ok=True)
                    raise _status_problem(answer)
                have = have if answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
                self._receive(answer, part, have)
        except requests.TooManyRedirects as error:
            raise BadAnswerError("redirects for ever", about_content=False) from error
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError, OSError) as error:
            if getattr(error, "errno", None) is not None and not isinstance(error, ConnectionError | TimeoutError):
                raise  # this machine's disk, not the connection
            total, got = _read_notes(part).get("total"), _size(part)
            if not got:
                raise _BrokenOffError(f"cannot be reached ({_reason(error)})") from error
            resumable = bool(_read_notes(part).get("resumable"))
            raise _BrokenOffError(f"broke off after {got} of {total or 'an unknown number of'} bytes", begun=True, resumable=resumable) from error
        except requests.RequestException as error:
            raise BadAnswerError(_reason(error), about_content=False) from error

    def _ends_here(self, url: str, part: Path, have: int, announced: int | None) -> None:
        """The server has nothing beyond what is here: that is all, unless it had announced another length."""
        if announced is not None and have != announced:
            problem = f"announces {announced} bytes and ends after {have}"
            self._quarantine(part, url, problem)
            raise BadAnswerError(problem, about_content=True)

    def _receive(self, answer: requests.Response, part: Path, have: int) -> None:
        length, etag = answer.headers.get("Content-Length"), answer.headers.get("ETag")
        # A server that compresses although asked not to: its lengths and positions are not those of the file.
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        total = have + int(length) if length and length.isdigit() and not encoded else None
        notes = {
            "etag": etag if etag and not etag.startswith("W/") and not encoded else None,
            "modified": None if encoded else answer.headers.get("Last-Modified"),
            "total": total,
            "resumable": answer.status_code == 206 or answer.headers.get("Accept-Ranges", "") == "bytes",
        }
        write_atomically(_notes(part), json.dumps(notes))
        if self._wanted.file.size is not None and total is not None and total != self._wanted.file.size:
            self._quarantine(part, answer.url, f"{total} bytes announced, {self._wanted.file.size} published", _first_bytes(answer))
            raise BadAnswerError(f"announces {total} bytes, published are {self._wanted.file.size}", about_content=True)
        self._progress.begin(self._wanted.name, total, have)
        try:
            with part.open("r+b" if have else "wb") as stream:
                stream.seek(have)
                stream.truncate()
                start = b"" if not have else bytes(512)
                # Whatever has arrived, at once: what is read in fixed blocks is lost when the connection breaks within one.
                while block := answer.raw.read1(_BLOCK, decode_content=True):
                    stream.write(block)
                    self._progress.advance(len(block))
                    if len(start) < 512:
                        start += block[: 512 - len(start)]
                        if is_web_page(start, self._wanted.file.path):
                            raise _WebPageError
        except _WebPageError:
            self._quarantine(part, answer.url, "a web page instead of the file")
            raise BadAnswerError("answers with a web page instead of the file", about_content=True) from None
        finally:
            self._progress.end()
        if total is not None and _size(part) < total:
            raise _BrokenOffError(f"broke off after {_size(part)} of {total} bytes", begun=True, resumable=bool(notes["resumable"]))

    def _check(self, url: str, part: Path) -> None:
        """Look at the whole file before it is believed."""
        file = self._wanted.file
        size = _size(part)
        problem = f"has {size} bytes, published are {file.size}" if file.size is not None and size != file.size else None
        if problem is None and (file.sha256 or file.md5):
            digests = file_digests(part, md5=bool(file.md5), fresh=True)
            problem = file.unlike(digests)
        elif problem is None:
            # Nobody vouches for its bytes, so at least its own checksums and lengths must agree, and the server must have no more of it.
            problem = whole_problem(part, file.path)
            if problem is None and _read_notes(part).get("resumable"):
                problem = self._goes_on(url, size)
        if problem:
            self._quarantine(part, url, problem)
            raise BadAnswerError(f"the file {problem}", about_content=True)

    def _goes_on(self, url: str, size: int) -> str | None:
        """Ask for what comes after the end: a server that announced too short a length has more."""
        import requests

        with (
            suppress(requests.RequestException),
            requests.get(url, headers=_headers() | {"Range": f"bytes={size}-"}, stream=True, timeout=_patience(self._timeout)) as answer,
        ):
            if answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
                return f"goes on after the {size} bytes that the server announced"
        return None

    def _quarantine(self, part: Path, url: str, reason: str, content: bytes | None = None) -> None:
        folder = self._root / "quarantine"
        folder.mkdir(parents=True, exist_ok=True)
        stamp, number = time.strftime("%Y%m%dT%H%M%S", time.gmtime()), 0
        while (target := folder / f"{stamp}-{number}-{part.name}").with_name(f"{target.name}.reason.txt").exists():
            number += 1
        if content is not None:
            target.write_bytes(content)
        elif part.exists():
            shutil.move(part, target)
        part.unlink(missing_ok=True)
        _notes(part).unlink(missing_ok=True)
        write_atomically(target.with_name(f"{target.name}.reason.txt"), f"{self._wanted.name}\n{url}\n{reason}\n")


class _BrokenOffError(Exception):
    """The connection ended early; ``begun`` if something had come, ``resumable`` if the server can go on from there."""

    def __init__(self, reason: str, *, begun: bool = False, resumable: bool = False) -> None:
        super().__init__(reason)
        self.begun = begun
        self.resumable = resumable


class _WebPageError(Exception):
    """What comes is a web page."""


def _nobody_has_it(wanted: Wanted, failures: Sequence[tuple[str, BadAnswerError]], place: Path) -> PareBenchError:
    text = "; ".join(f"{url} {failure}" for url, failure in failures)
    kind = IntegrityError if any(failure.about_content for _, failure in failures) else DataMissingError
    hint = f"pare-bench data fetch {wanted.task} --mirror URL, or put it at '{place}' by hand"
    return kind(f"'{wanted.name}' is not fetched: {text}", hint=hint)


def _known_hash(file: OfficialFile) -> str | None:
    return f"sha256:{file.sha256}" if file.sha256 else f"md5:{file.md5}" if file.md5 else None


def _headers() -> dict[str, str]:
    # Without a content encoding lengths and ranges are those of the file.
    return {"Accept-Encoding": "identity", "User-Agent": f"pare-bench/{__version__}"}


def _patience(timeout: float) -> tuple[float, float]:
    """Seconds to wait for a connection and for data: a server that is there answers the first quickly."""
    return min(timeout, 10.0), timeout


def _status_problem(answer: requests.Response) -> BadAnswerError:
    return BadAnswerError(f"answers {answer.status_code} {answer.reason or ''}".strip(), about_content=False)


def _reason(error: Exception) -> str:
    inner: Any = error
    for argument in _chain(error):
        inner = argument
    # Older versions of urllib3 put the address of an object in front of what happened.
    text = re.sub(r"<[^<>]* object at [^<>]*>:? *", "", str(getattr(inner, "strerror", None) or inner))
    return " ".join(text.split())[:120]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        reason = getattr(seen, "reason", None)
        first = seen.args[0] if seen.args else None
        seen = reason if isinstance(reason, BaseException) else first if isinstance(first, BaseException) else None


def _first_bytes(answer: requests.Response) -> bytes:
    return answer.raw.read1(_BLOCK, decode_content=True) or b""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_notes(part: Path) -> dict[str, Any]:
    try:
        notes = json.loads(_notes(part).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}
