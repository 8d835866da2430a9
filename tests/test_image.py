"""Dockerfile, compose.yaml and the release workflow keep what SECURITY.md and the README say of images."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bridge.config import load
from bridge.sandbox.venue.venue import Venue

ROOT = Path(__file__).parents[1]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
RELEASE = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
IMAGE = "ltp-kafka-bridge"
LABELS = {"title", "description", "version", "revision", "created", "licenses", "base.name"}
EXAMPLES = ROOT / "examples/compose"


def _stages() -> dict[str, str]:
    """Return the text of each stage by its name, the first line included."""
    stages = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {stage.split("\n")[0].split(" AS ")[1]: stage for stage in stages}


def _services() -> dict[str, str]:
    """Return the text of each service of compose.yaml by its name."""
    text = COMPOSE.split("\nservices:\n")[1].split("\nvolumes:\n")[0]
    return dict(re.findall(r"^  ([\w-]+):\n(.*?)(?=^  [\w-]+:$|\Z)", text, re.DOTALL | re.MULTILINE))


def test_the_base_is_pinned_by_digest() -> None:
    """Each stage is of the pinned base, or of an earlier stage."""
    assert re.search(r"^ARG BASE=docker\.io/library/python:[\w.-]+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    known = {"${BASE}"}
    for name, stage in _stages().items():
        assert stage.split()[1] in known, name
        known.add(name)


@pytest.mark.parametrize(("name", "title"), [("daemon", IMAGE), ("sandbox", f"{IMAGE}-sandbox")])
def test_an_image_says_what_it_is(name: str, title: str) -> None:
    """By the labels of the OCI; the build gives version, commit and time."""
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', _stages()[name]))
    assert LABELS == set(labels)
    assert (title, "Apache-2.0", "${BASE}") == (labels["title"], labels["licenses"], labels["base.name"])


def test_an_image_runs_as_nobody_and_without_a_shell() -> None:
    """A numeric user, for Kubernetes to check; the program is process 1 and gets SIGTERM itself."""
    runtime = _stages()["runtime"]
    assert runtime.rindex("\nUSER 10001:10001\n") > runtime.rindex("\nRUN ")
    commands = re.findall(r"^(?:CMD|ENTRYPOINT) (.*)$", DOCKERFILE, re.MULTILINE)
    assert ['["ltp-bridge"]', '["sandbox"]', '["run"]'] == commands
    assert not re.search(r"^(USER|RUN) ", _stages()["daemon"] + _stages()["sandbox"], re.MULTILINE)


@pytest.mark.parametrize("name", ["build", "build-sandbox"])
def test_the_list_of_components_is_made_after_the_last_installation(name: str) -> None:
    """So it has all that was installed, in either image."""
    stage = _stages()[name]
    assert stage.rindex("cyclonedx-py environment") > stage.rindex("--python /opt/bridge/bin/python install")
    assert "--output-file /opt/bridge/sbom.cdx.json" in stage


def test_images_have_the_same_names_everywhere() -> None:
    """In the Makefile, compose.yaml, the chart and the release workflow."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    names = {IMAGE, f"{IMAGE}-sandbox"}
    assert names == set(re.findall(r"^\w*IMAGE \?= ([\w-]+):dev$", makefile, re.MULTILINE))
    assert names == set(re.findall(r"image: ([\w-]+):dev$", COMPOSE, re.MULTILINE))
    assert names == set(re.findall(r"target: \w+, name: ([\w-]+)}", RELEASE))
    values = (ROOT / f"helm/{IMAGE}/values.yaml").read_text(encoding="utf-8")
    assert re.search(rf"^  repository: (\S+/)?{IMAGE}$", values, re.MULTILINE)


def test_compose_pins_images_and_listens_on_this_machine_alone() -> None:
    """Each image has a version, each published port the loopback address."""
    images = re.findall(r"^    image: (\S+)$", COMPOSE, re.MULTILINE)
    assert len(_services()) == len(images)
    assert [image for image in images if not re.search(r":(v?\d+(\.\d+)+|dev)$", image)] == []
    ports = re.findall(r"^    ports: \[(.*?)\]", COMPOSE, re.MULTILINE)
    assert [port for port in ports if not port.startswith('"127.0.0.1:')] == []


def test_compose_confines_what_is_built_here() -> None:
    """As the chart does: no capability, a disk that is only read. Monitoring is there only if it is asked for."""
    services = _services()
    confined = COMPOSE.split("x-confined: &confined\n")[1].split("\nservices:")[0]
    assert all(line in confined for line in ("cap_drop: [ALL]", "no-new-privileges:true", "read_only: true"))
    for name in ("sandbox", "bridge"):
        assert "<<: *confined" in services[name]
    asked_for = {name for name, text in services.items() if "profiles: [monitoring]" in text}
    assert {"prometheus", "grafana", "kafka-ui"} == asked_for


def test_compose_mounts_files_that_are_there() -> None:
    """Configuration, alert rules and dashboard are files of the repository."""
    files = re.findall(r"\{file: (\S+)\}", COMPOSE)
    assert {f"helm/{IMAGE}/files/alerts.yaml", f"helm/{IMAGE}/files/dashboard.json"} < set(files)
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert {path.name for path in EXAMPLES.iterdir()} == {Path(file).name for file in files if "examples/" in file}


def test_compose_gives_the_daemon_settings_and_the_sandbox_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are valid, on the ports of the sandbox's command, and the keys are those of its account."""
    text = (EXAMPLES / "bridge.toml").read_text(encoding="utf-8")
    for name in ("api-key", "api-secret"):
        text = text.replace(f"/run/secrets/{name}", str(EXAMPLES / f"sandbox-{name}"))
    (tmp_path / "bridge.toml").write_text(text)
    settings = load(tmp_path / "bridge.toml")
    key = Venue().keys["main"]
    main = settings.accounts["main"]
    assert (key.api_key, key.api_secret) == (main.api_key.get_secret_value(), main.api_secret.get_secret_value())
    raw: dict[str, Any] = tomllib.loads(text)
    ports = [re.findall(r":(\d+)", raw["endpoints"][0][name])[0] for name in ("ws_url", "rest_url")]
    assert f'--ws-port, "{ports[0]}", --rest-port, "{ports[1]}"' in _services()["sandbox"]


def test_the_release_names_each_action_by_its_commit() -> None:
    """And the release of it in a comment; each job has only the rights that it names."""
    actions = re.findall(r"uses: (.*)$", RELEASE, re.MULTILINE)
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []
    assert "\npermissions: {}\n" in RELEASE
    assert RELEASE.count("runs-on: ") == RELEASE.count("    permissions:\n")


def test_the_release_refuses_what_does_not_fit_its_tag() -> None:
    """Its own checks hold for the tree, but for the tag and the changelog, which a release writes."""
    pinned = re.search(r"grep -Eq '(.*)' Dockerfile", RELEASE)
    assert pinned is not None
    assert re.search(pinned[1], DOCKERFILE, re.MULTILINE)
    assert 'test "$GITHUB_REF_NAME" = "v$version"' in RELEASE
