"""The jars of the embedded broker: which they are, where they are kept, and that they are what they claim.

`kafka-4.3.1.sha256` names every jar and its SHA-256. A jar is used only while its hash is right; one that
is missing, cut off or changed is downloaded again. `python -m bridge.sandbox.broker.jars` writes that file
anew from a fresh resolution.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.sandbox.broker.cluster import KAFKA_VERSION, BrokerError, Progress

_MANIFEST = Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.sha256")
# Resolved one by one: as one set, log4j's managed versions would replace Kafka's own client library by an
# older one. The logging backend is not in Kafka's POM; its version is the one that POM takes log4j from.
_ENDPOINTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
_DOWNLOADS_AT_ONCE = 6
_TRIES = 3
_READ_TIMEOUT_S = 30
_LOCK_WAIT_S = 600.0
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Jar:
    """One artifact of a Maven repository, and the SHA-256 of its file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The file's name, the same in a repository and in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def read_manifest(path: Path = _MANIFEST) -> tuple[Jar, ...]:
    """Return the jars that `path` names, in the order of the class path."""
    jars = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            sha256, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def cache_folder() -> Path:
    """Return where the jars are kept: below $XDG_CACHE_HOME, by default ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "ltp-bridge" / f"kafka-{KAFKA_VERSION}"


def fetch_jars(
    progress: Progress, *, folder: Path | None = None, stopping: threading.Event | None = None
) -> list[Path]:
    """Return the paths of all jars, each just verified, after downloading those that are not right.

    Blocks; meant for a thread, which ends soon after `stopping` is set. Several processes may call it at
    once. Raises BrokerError when a jar cannot be had, and ImportError without the `demo` extra.
    """
    folder = folder or cache_folder()
    stopping = stopping or threading.Event()
    jars = read_manifest()
    if unfit := _unfit(jars, folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _sole_downloader(folder, progress, stopping):
                # Another process may have finished the work while this one waited.
                if unfit := _unfit(jars, folder):
                    _download(unfit, folder, progress, stopping)
        except OSError as error:
            raise BrokerError(f"the cache {folder} cannot be written: {error}") from error
    return [folder / jar.filename for jar in jars]


def _unfit(jars: Iterable[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if _sha256(folder / jar.filename) != jar.sha256]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def _sole_downloader(folder: Path, progress: Progress, stopping: threading.Event) -> Iterator[None]:
    """Hold the cache's lock file; the system releases it when the process ends, however it ends."""
    until = time.monotonic() + _LOCK_WAIT_S
    with folder.with_suffix(".lock").open("w") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopping.is_set() or time.monotonic() > until:
                    raise BrokerError(f"another process holds {lock.name} and does not finish") from None
            if not told:
                progress("another process is downloading Kafka's jars; waiting for it")
                told = True
            time.sleep(0.1)
        yield


class _Tally:
    """Counts what has arrived, over all downloads, and tells it at most five times a second."""

    def __init__(self, jars: int, progress: Progress, stopping: threading.Event) -> None:
        self._jars = jars
        self._progress = progress
        self._stopping = stopping
        self._arrived_jars = 0
        self._arrived_bytes = 0
        self._told_at = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def of_file(self, _filename: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        """Take part in one download, in the way jgo's resolver asks for."""
        yield self._add_bytes

    def _add_bytes(self, count: int) -> None:
        if self._stopping.is_set():
            raise BrokerError("the download was stopped")
        with self._lock:
            self._arrived_bytes += count
            now = time.monotonic()
            if now - self._told_at >= 0.2:  # noqa: PLR2004 - as the docstring says
                self._told_at = now
                self._tell()

    def add_jar(self) -> None:
        with self._lock:
            self._arrived_jars += 1
            if self._arrived_jars == self._jars:
                self._tell()

    def _tell(self) -> None:
        self._progress(
            f"downloading Kafka {KAFKA_VERSION}: {self._arrived_jars} of {self._jars} jars, "
            f"{self._arrived_bytes / _MEGABYTE:.1f} MB"
        )


def _download(jars: list[Jar], folder: Path, progress: Progress, stopping: threading.Event) -> None:
    for leftover in folder.glob(".download-*"):  # of a process that was killed; the lock says it is gone
        shutil.rmtree(leftover, ignore_errors=True)
    tally = _Tally(len(jars), progress, stopping)
    with (
        tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as arriving,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="jar") as pool,
    ):
        downloads = [pool.submit(_download_one, jar, folder, Path(arriving), tally, stopping) for jar in jars]
        try:
            for download in as_completed(downloads):
                download.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _download_one(jar: Jar, folder: Path, arriving: Path, tally: _Tally, stopping: threading.Event) -> None:
    """Put one verified jar into the cache by a rename, so that no reader ever sees half of it."""
    from jgo.config import GlobalSettings  # noqa: PLC0415 - of the optional extra
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - of the optional extra

    context = MavenContext(
        repo_cache=arriving, resolver=PythonResolver(progress_callback=tally.of_file), timeout=_READ_TIMEOUT_S
    )
    # What the user's jgo configuration names comes first: where the public repository cannot be reached,
    # asking it would end the search.
    context.remote_repos = {**GlobalSettings.load().repositories, **context.remote_repos}
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    half_done = arriving / artifact.component.path_prefix / artifact.cached_filename
    trouble = ""
    for _ in range(_TRIES):
        if stopping.is_set():
            raise BrokerError("the download was stopped")
        half_done.unlink(missing_ok=True)
        try:
            path = artifact.resolve()
        except (OSError, RuntimeError) as error:
            trouble = str(error)
            continue
        if _sha256(path) == jar.sha256:
            path.replace(folder / jar.filename)
            tally.add_jar()
            return
        trouble = "what arrived does not have the SHA-256 of the manifest"
    raise BrokerError(f"{jar.filename} cannot be downloaded: {trouble}")


def _resolve() -> list[Jar]:
    """Resolve the endpoints in an empty repository and return every jar that a broker needs."""
    from jgo.env import EnvironmentBuilder  # noqa: PLC0415 - of the optional extra
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - of the optional extra

    with tempfile.TemporaryDirectory() as name:
        repository = Path(name) / "repository"
        builder = EnvironmentBuilder(
            context=MavenContext(repo_cache=repository, resolver=PythonResolver()), cache_dir=Path(name) / "cache"
        )
        wanted = {path.name for endpoint in _ENDPOINTS for path in builder.from_endpoint(endpoint).path.rglob("*.jar")}
        found = sorted(path for path in repository.rglob("*.jar") if path.name in wanted)
        return [
            Jar(
                ".".join(path.relative_to(repository).parts[:-3]),
                path.parts[-3],
                path.parts[-2],
                _sha256(path),
            )
            for path in found
        ]


def main() -> None:
    """Write the manifest anew."""
    lines = [f"{jar.sha256}  {jar.group}:{jar.artifact}:{jar.version}" for jar in _resolve()]
    _MANIFEST.write_text("# SHA-256 and coordinates of the embedded broker's jars\n" + "\n".join(lines) + "\n")
    sys.stdout.write(f"{_MANIFEST.name}: {len(lines)} jars\n")


if __name__ == "__main__":
    main()
