"""The jars of the embedded broker: their list, their cache, their download and their verification.

`kafka-4.3.1.sha256` names every jar and its SHA-256. A jar is used only if its hash is right; a
missing or changed jar is downloaded again. `python -m bridge.sandbox.broker.jars` resolves the jars again and
writes that file.
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
# Resolved one by one: as one set, log4j's managed versions would replace Kafka's client library by an older
# one. The logging backend is not in Kafka's POM; its version is the one that POM takes log4j from.
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
        """The file's name in a repository and in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def read_manifest(path: Path = _MANIFEST) -> tuple[Jar, ...]:
    """Return the jars of the manifest, in the order of the class path."""
    jars = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            sha256, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def cache_folder() -> Path:
    """Return the folder of the jars: below $XDG_CACHE_HOME, by default ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "ltp-bridge" / f"kafka-{KAFKA_VERSION}"


def fetch_jars(
    progress: Progress, *, folder: Path | None = None, stopping: threading.Event | None = None
) -> list[Path]:
    """Return the paths of all jars, after downloading those that are missing or wrong.

    Blocks; meant for a thread, which ends soon after `stopping` is set. Several processes may call it at
    once. Raises BrokerError when a jar cannot be downloaded, and ImportError without the `demo` extra.
    """
    folder = folder or cache_folder()
    stopping = stopping or threading.Event()
    jars = read_manifest()
    if unfit := _find_unfit_jars(jars, folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _download_lock(folder, progress, stopping):
                # Another process may have finished the work while this one waited.
                if unfit := _find_unfit_jars(jars, folder):
                    _download_jars(unfit, folder, progress, stopping)
        except OSError as error:
            raise BrokerError(f"the cache {folder} cannot be written: {error}") from error
    return [folder / jar.filename for jar in jars]


def _find_unfit_jars(jars: Iterable[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if _hash_file(folder / jar.filename) != jar.sha256]


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def _download_lock(folder: Path, progress: Progress, stopping: threading.Event) -> Iterator[None]:
    """Hold the lock file of the cache, which the system releases when the process ends."""
    until = time.monotonic() + _LOCK_WAIT_S
    with folder.with_suffix(".lock").open("w") as lock:
        is_reported = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopping.is_set() or time.monotonic() > until:
                    raise BrokerError(f"another process holds {lock.name} and does not finish") from None
            if not is_reported:
                progress("another process is downloading Kafka's jars; waiting for it")
                is_reported = True
            time.sleep(0.1)
        yield


class _DownloadProgress:
    """Counts the bytes and jars of all downloads, and reports them at most once a second."""

    def __init__(self, jars: int, progress: Progress, stopping: threading.Event) -> None:
        self._jars = jars
        self._progress = progress
        self._stopping = stopping
        self._arrived_jars = 0
        self._arrived_bytes = 0
        self._reported_at_s = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def of_file(self, _filename: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        """Yield the callback that counts the bytes of one download; jgo's resolver calls it."""
        yield self._add_bytes

    def _add_bytes(self, count: int) -> None:
        if self._stopping.is_set():
            raise BrokerError("the download was stopped")
        with self._lock:
            self._arrived_bytes += count
            now = time.monotonic()
            if now - self._reported_at_s >= 1:
                self._reported_at_s = now
                self._report()

    def add_jar(self) -> None:
        with self._lock:
            self._arrived_jars += 1
            if self._arrived_jars == self._jars:
                self._report()

    def _report(self) -> None:
        self._progress(
            f"downloading Kafka {KAFKA_VERSION}: {self._arrived_jars} of {self._jars} jars, "
            f"{self._arrived_bytes / _MEGABYTE:.1f} MB"
        )


def _download_jars(jars: list[Jar], folder: Path, progress: Progress, stopping: threading.Event) -> None:
    for leftover in folder.glob(".download-*"):  # of a killed process; the lock shows that it has ended
        shutil.rmtree(leftover, ignore_errors=True)
    arrived = _DownloadProgress(len(jars), progress, stopping)
    with (
        tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as arriving,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="jar") as pool,
    ):
        downloads = [pool.submit(_download_jar, jar, folder, Path(arriving), arrived, stopping) for jar in jars]
        try:
            for download in as_completed(downloads):
                download.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _download_jar(
    jar: Jar, folder: Path, arriving: Path, arrived: _DownloadProgress, stopping: threading.Event
) -> None:
    """Download and verify one jar, and move it into the cache, so that no reader sees a part of it."""
    from jgo.config import GlobalSettings  # noqa: PLC0415 - of the optional extra
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - of the optional extra

    context = MavenContext(
        repo_cache=arriving, resolver=PythonResolver(progress_callback=arrived.of_file), timeout=_READ_TIMEOUT_S
    )
    # The repositories of the user's jgo configuration come first: a public repository that cannot be reached
    # would end the search.
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
        if _hash_file(path) == jar.sha256:
            path.replace(folder / jar.filename)
            arrived.add_jar()
            return
        trouble = "what arrived does not have the SHA-256 of the manifest"
    raise BrokerError(f"{jar.filename} cannot be downloaded: {trouble}")


def _resolve_jars() -> list[Jar]:
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
                _hash_file(path),
            )
            for path in found
        ]


def main() -> None:
    """Resolve the jars and write the manifest."""
    lines = [f"{jar.sha256}  {jar.group}:{jar.artifact}:{jar.version}" for jar in _resolve_jars()]
    _MANIFEST.write_text("# SHA-256 and coordinates of the embedded broker's jars\n" + "\n".join(lines) + "\n")
    sys.stdout.write(f"{_MANIFEST.name}: {len(lines)} jars\n")


if __name__ == "__main__":
    main()
