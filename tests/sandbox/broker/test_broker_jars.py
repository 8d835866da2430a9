"""The cache of the embedded broker's jars: only a jar with the right SHA-256 is used."""

import hashlib
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.sandbox.broker.jars import fetch_jars, read_manifest
from bridge.sandbox.broker.launcher import BrokerError


class _Mirror:
    """A Maven repository on loopback that serves the jars of a folder and counts the requests."""

    def __init__(self, folder: Path) -> None:
        self.served: Counter[str] = Counter()
        self.spoiled = b""
        mirror = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = folder / Path(self.path).name
                if not path.is_file():
                    self.send_error(404)
                    return
                mirror.served[path.name] += 1
                body = path.read_bytes() + mirror.spoiled
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def good() -> list[Path]:
    """Return the jars of this machine's cache."""
    return fetch_jars(print)


@pytest.fixture
def mirror(good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Mirror]:
    """Return a repository that jgo tries first."""
    repository = _Mirror(good[0].parent)
    settings = tmp_path / "jgo.conf"
    settings.write_text(f"[repositories]\nmirror = {repository.url}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    serving = threading.Thread(target=repository.server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield repository
    repository.server.shutdown()
    repository.server.server_close()
    serving.join()


def _hashes(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_broken_cache_is_repaired(good: list[Path], mirror: _Mirror, tmp_path: Path) -> None:
    """A truncated, changed or missing jar is downloaded again; the others are not."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for jar in good:
        shutil.copy(jar, cache)
    cut, changed, missing = (cache / jar.name for jar in good[:3])
    cut.write_bytes(cut.read_bytes()[:-100])
    changed.write_bytes(b"\0" + changed.read_bytes()[1:])
    missing.unlink()
    repaired = fetch_jars(print, folder=cache)
    assert _hashes(repaired) == [jar.sha256 for jar in read_manifest()]
    assert mirror.served == Counter([cut.name, changed.name, missing.name])


def test_first_starts_at_once_download_once(mirror: _Mirror, tmp_path: Path) -> None:
    """Two first starts at the same time share one download, and both get all jars."""
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(fetch_jars, print, folder=tmp_path / "cache") for _ in range(2)]
        results = [start.result() for start in starts]
    assert results[0] == results[1]
    assert _hashes(results[0]) == [jar.sha256 for jar in read_manifest()]
    assert set(mirror.served.values()) == {1}
    assert not list((tmp_path / "cache").glob(".download-*"))


def test_jar_with_another_hash_is_refused(mirror: _Mirror, tmp_path: Path) -> None:
    """A jar with another hash is refused and does not reach the cache."""
    mirror.spoiled = b"!"
    with pytest.raises(BrokerError, match="does not have the SHA-256 of the manifest"):
        fetch_jars(print, folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
