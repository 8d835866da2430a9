"""One error lists all settings that would fail later or have another effect than they say."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from bridge.config import Kafka, Limits, Management, Timing, load
from bridge.config.files import UnusableFile, read_secret
from bridge.config.warnings import find_warnings
from bridge.errors import ConfigError

BASE = """
environment = "production"
{endpoints}
[accounts.main]
api_key_file = "{folder}/key"
api_secret_file = "{folder}/secret"
{account}
[kafka]
bootstrap_servers = "kafka-0:9092"
{kafka}
{rest}
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a key, a secret, a password and a file in the PEM form that holds no certificate."""
    for name, content in (
        ("key", "ak-canary"),
        ("secret", "sk-canary"),
        ("password", "pw-canary"),
        ("pem", CERTIFICATE),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def problems(folder: Path, **parts: str) -> str:
    """Return the problems of a settings file, one line each; empty if the file is accepted."""
    text = BASE
    for name in ("endpoints", "account", "kafka", "rest"):
        text = text.replace("{" + name + "}", parts.get(name, ""))
    path = folder / "bridge.toml"
    path.write_text(text.replace("{folder}", str(folder)))
    try:
        load(path)
    except ConfigError as error:
        told = "\n".join(error.problems)
    else:
        return ""
    assert "canary" not in told
    return told


def endpoint(ws_url: str = "wss://venue.example/v1/private", rest_url: str = "https://venue.example") -> str:
    """Return the table of an endpoint."""
    return f'[[endpoints]]\nname = "A"\nws_url = "{ws_url}"\nrest_url = "{rest_url}"\n'


def test_settings_that_work_are_accepted(folder: Path) -> None:
    """The settings that these tests start from have no problem, and every documented form of an address."""
    good = [
        endpoint(f"{ws}/v1/private", rest)
        for ws, rest in (
            ("ws://127.0.0.1:7001", "http://127.0.0.1:7002"),
            ("ws://localhost", "http://localhost/"),
            ("ws://[::1]:7001", "http://[::1]:7002"),
            ("wss://wss-az4.liquiditytech.com:443", "https://api.liquiditytech.com"),
            ("wss://venue", "https://10.0.0.1:8443"),
        )
    ]
    assert [problems(folder, endpoints=one) for one in good] == [""] * len(good)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("wss://", "must be an address"),
        ("wss://venue.example", "path of the private stream"),
        ("wss://venue.example/", "path of the private stream"),
        ("wss://venue.example/v1/public", "path of the private stream"),
        ("https://venue.example/v1/private", "wss://"),
        ("wss://venue example/v1/private", "must be an address"),
        ("wss://venue.example:99999/v1/private", "port from 1 to 65535"),
        ("wss://venue.example:0/v1/private", "port from 1 to 65535"),
        ("wss://venue.example:/v1/private", "must be an address"),
        ("wss://[::1/v1/private", "must be an address"),
        ("wss://[::zz]/v1/private", "must be an address"),
        ("wss://[1:2]/v1/private", "IPv6"),
        ("wss://ex%41mple/v1/private", "must be an address"),
        ("wss://me:canary@venue.example/v1/private", "no user"),
        ("wss://venue.example/v1/private?key=canary", "must be an address"),
        ("wss://venue.example/v1/private#canary", "must be an address"),
        ("wss://venue..example/v1/private", "name a host"),
        ("ws://venue/v1/private", "wss://"),
        ("ws://134744072/v1/private", "name a host"),
        ("wss://0x7f000001/v1/private", "name a host"),
        ("ws://127.0.0.1.evil.example/v1/private", "wss://"),
        ("wss://venue.example/v1/private\\u001b[2J", "invisible"),
        ("", "must be an address"),
    ],
)
def test_an_unusable_address_of_the_stream_is_refused(folder: Path, url: str, remedy: str) -> None:
    """An address that cannot work, or that would get the key in clear text, is refused."""
    told = problems(folder, endpoints=endpoint(ws_url=url))
    assert told.startswith("endpoints.0.ws_url: ")
    assert remedy in told


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("https://", "must be an address"),
        ("https:///x", "must be an address"),
        ("https://venue.example/api/v1", "end with the host"),
        ("https://me:canary@venue.example", "no user"),
        ("https://venue.example?x=canary", "must be an address"),
        ("https://venue.example#canary", "must be an address"),
        ("http://venue", "https://"),
        ("http://a-b:80", "https://"),
        ("http://134744072", "name a host"),
        ("http://0x08080808", "name a host"),
        ("http://127.1", "name a host"),
        ("http://venue@evil.example", "no user"),
        ("http://venue\\\\@127.0.0.1", "no user"),
        ("wss://venue.example", "https://"),
        ("ftp://venue.example", "https://"),
        ("https://venue.example:notaport", "must be an address"),
    ],
)
def test_an_unusable_address_of_rest_is_refused(folder: Path, url: str, remedy: str) -> None:
    """The same holds for REST, whose requests carry the key."""
    told = problems(folder, endpoints=endpoint(rest_url=url))
    assert told.startswith("endpoints.0.rest_url: ")
    assert remedy in told


def test_two_endpoints_of_one_name_are_refused(folder: Path) -> None:
    """The bridge could not tell the two apart."""
    other = endpoint("wss://other.example/v1/private", "https://other.example")
    assert "endpoints: two of them have the same name" in problems(folder, endpoints=endpoint() + other)
    again = endpoint().replace('"A"', '"B"')
    assert "endpoints: two of them have the same ws_url" in problems(folder, endpoints=endpoint() + again)


@pytest.mark.parametrize(
    "servers",
    [
        "kafka-0:notaport",
        "kafka-0:99999",
        "kafka-0:0",
        "kafka-0:",
        ":9092",
        "",
        "kafka-0:9092,",
        "kafka-0:9092,,kafka-1:9092",
        "kafka-0:9092 kafka-1:9092",
        "PLAINTEXT://kafka-0:9092",
        "me:canary@kafka-0:9092",
        "kafka-0:9092/canary",
        "[::1:9092",
        "::1:9092:1",
        "kafka-0:-1",
        "1234:9092",
    ],
)
def test_unusable_addresses_of_brokers_are_refused(folder: Path, servers: str) -> None:
    """Addresses that the Kafka client would refuse or misread are refused with an example."""
    path = folder / "bridge.toml"
    text = BASE.format(endpoints="", account="", kafka="", rest="", folder=folder)
    path.write_text(text.replace("kafka-0:9092", servers))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert problem.startswith("kafka.bootstrap_servers: ")
    assert "canary" not in problem


@pytest.mark.parametrize("servers", ["kafka-0", "kafka-0:9092, kafka-1:9093", "[::1]:9092", "10.0.0.1:9092", "a_b:1"])
def test_every_usable_form_of_brokers_is_accepted(servers: str) -> None:
    """The port is optional, and spaces after commas are removed."""
    assert Kafka(bootstrap_servers=servers).bootstrap_servers == servers.replace(" ", "")


@pytest.mark.parametrize(
    ("venue", "line"),
    [
        ('proxy_url = "http://proxy:3128/"', ""),
        ('proxy_url = "https://proxy:3128"', "venue.proxy_url: must be an HTTP proxy such as http://proxy:3128"),
        ('proxy_url = "http://proxy:3128/way"', "venue.proxy_url: must be an HTTP proxy"),
        ('proxy_url = "http://me:canary@proxy:3128"', "venue.proxy_url: must hold no user and no password"),
        ('ca_file = "{folder}/pem"', "venue.ca_file: the file that it names holds no certificate that can be read"),
        ('ca_file = "{folder}/key"', "venue.ca_file: the file that it names is not in the PEM form"),
        ('ca_file = "{folder}/none"', "venue.ca_file: the file that it names does not exist"),
    ],
)
def test_unusable_proxies_and_authorities_are_refused(folder: Path, venue: str, line: str) -> None:
    """A proxy must be an HTTP proxy without a password, and a file of authorities must hold certificates."""
    told = problems(folder, rest=f"[venue]\n{venue}")
    assert told.startswith(line) if line else told == ""


@pytest.mark.parametrize(
    ("kafka", "line"),
    [
        ('sasl_username = "b"\nsasl_password_file = "{folder}/password"', "kafka.sasl_username: is not used while"),
        ('sasl_mechanism = "PLAIN"', "kafka.sasl_mechanism: is not used while security_protocol is PLAINTEXT"),
        ('ssl_ca_file = "{folder}/pem"', "kafka.ssl_ca_file: is not used while security_protocol is PLAINTEXT"),
        (
            'security_protocol = "SASL_PLAINTEXT"\nssl_certificate_file = "{folder}/pem"',
            "kafka.ssl_certificate_file: is not used while security_protocol is SASL_PLAINTEXT; set that to SASL_SSL",
        ),
        (
            'security_protocol = "SSL"\nsasl_password_file = "{folder}/password"',
            "kafka.sasl_password_file: is not used",
        ),
        ('security_protocol = "SSL"\nssl_key_file = "{folder}/pem"', "kafka: ssl_key_file needs ssl_certificate_file"),
        ('security_protocol = "SSL"\nssl_ca_file = "{folder}/pem"', "kafka: ssl_ca_file must hold PEM certificates"),
        (
            'security_protocol = "SSL"\nssl_ca_file = "{folder}/key"',
            "kafka.ssl_ca_file: the file that it names is not in",
        ),
        (
            'security_protocol = "SSL"\nssl_ca_file = "{folder}"',
            "kafka.ssl_ca_file: the file that it names is no regular",
        ),
        ('security_protocol = "SSL"\nssl_certificate_file = "{folder}/pem"', "kafka: ssl_certificate_file must hold"),
        ('security_protocol = "SASL_SSL"', "kafka: security_protocol SASL_SSL needs sasl_username"),
        ('security_protocol = "SASL_SSL"\nsasl_username = ""', "kafka.sasl_username: "),
        ("replication_factor = 40000", "kafka.replication_factor: "),
        ("replication_factor = true", "kafka.replication_factor: must not be true or false"),
    ],
)
def test_contradicting_kafka_settings_are_refused(folder: Path, kafka: str, line: str) -> None:
    """Settings without effect are refused: with a password beside PLAINTEXT everything would be clear text."""
    assert line in problems(folder, kafka=kafka)


def test_every_problem_of_a_section_is_reported(folder: Path) -> None:
    """A problem of one setting hides no problem of another in the same section."""
    told = problems(
        folder,
        endpoints=endpoint("wss://venue.example", "https://venue.example/api"),
        kafka='sasl_username = "b"\nssl_ca_file = "{folder}/pem"\nreplication_factor = 0',
        rest='[timing]\nhorizon_s = inf\nlease_s = nan\n[management]\nport = 99999\nhost = ""',
    )
    for name in (
        "endpoints.0.ws_url",
        "endpoints.0.rest_url",
        "kafka.sasl_username",
        "kafka.ssl_ca_file",
        "kafka.replication_factor",
        "timing.horizon_s",
        "timing.lease_s",
        "management.port",
        "management.host",
    ):
        assert f"{name}: " in told


@pytest.mark.parametrize("silly", ["inf", "-inf", "nan", "1e300", "1e-300", "0", "-1", "true", '"soon"', '""', "[]"])
@pytest.mark.parametrize("section", [Timing, Limits])
def test_silly_numbers_are_refused(folder: Path, section: type[BaseModel], silly: str) -> None:
    """No numeric setting accepts a number that makes no sense."""
    numbers = [name for name, field in section.model_fields.items() if field.annotation in {int, float}]
    assert len(numbers) > 9
    text = "\n".join(f"{name} = {silly}" for name in numbers)
    name = section.__name__.lower()
    told = problems(folder, rest=f"[{name}]\n{text}")
    assert [one for one in numbers if f"{name}.{one}: " not in told] == []


def test_every_number_has_bounds() -> None:
    """Every numeric setting has a minimum and a maximum."""
    for section in (Timing, Limits, Kafka, Management):
        for name, field in section.model_fields.items():
            if field.annotation in {int, float}:
                bounds = {type(one).__name__ for one in field.metadata}
                assert {"Ge", "Le"} <= bounds, f"{section.__name__}.{name}"


@pytest.mark.parametrize("host", ["", "not a host", "256.1.1.1", "http://localhost", "localhost:9090", "-x"])
def test_an_invalid_management_host_is_refused(folder: Path, host: str) -> None:
    """An empty host would listen on every interface."""
    assert "management.host: " in problems(folder, rest=f'[management]\nhost = "{host}"')


@pytest.mark.parametrize("since", ["2999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_executions_since_must_be_in_the_past(folder: Path, since: str) -> None:
    """A date in the future, or from before the venue existed, is a typing mistake."""
    assert "accounts.main.executions_since: must lie in the past" in problems(
        folder, account=f"executions_since = {since}"
    )


def test_key_and_secret_must_differ(folder: Path) -> None:
    """The same file for both is a typing mistake too."""
    (folder / "secret").write_bytes((folder / "key").read_bytes())
    assert "accounts.main: api_key_file and api_secret_file hold the same" in problems(folder)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xef\xbb\xbfsk-canary", "byte order mark"),
        ("sk-canary".encode("utf-16"), "byte order mark"),
        (b"sk-canary\0", "NUL"),
        ("sk-canary-\u00e9".encode(), "printable ASCII"),
        ("sk-canary\u200b".encode(), "printable ASCII"),
        (b"sk-canary\x1b[2J", "printable ASCII"),
        (b"sk-canary\xff", "printable ASCII"),
        (b"sk-canary\nsk-old", "alone, on one line"),
        (b"sk-canary\rsk-old", "alone, on one line"),
        (b"", "alone, on one line"),
        (b" \n", "alone, on one line"),
        (b"x" * 5000, "more than 4096 bytes"),
    ],
)
@pytest.mark.parametrize("name", ["key", "secret", "password"])
def test_an_unusable_secret_file_is_refused(folder: Path, name: str, content: bytes, word: str) -> None:
    """The error says what an editor, a copy from a web page or a rotation left in the file, and does not show it."""
    (folder / name).write_bytes(content)
    sasl = 'security_protocol = "SASL_PLAINTEXT"\nsasl_username = "b"\nsasl_password_file = "{folder}/password"'
    setting = {"key": "accounts.main.api_key_file", "secret": "accounts.main.api_secret_file"}
    told = problems(folder, kafka=sasl)
    assert f"{setting.get(name, 'kafka.sasl_password_file')}: " in told
    assert word in told


def test_white_space_around_a_secret_is_removed(folder: Path) -> None:
    """A line end of either kind at the end of the file is not part of the secret."""
    (folder / "secret").write_bytes(b" \tsk-1\r\n")
    assert read_secret(folder / "secret") == "sk-1"


def test_a_secret_file_that_is_not_regular_is_refused(folder: Path) -> None:
    """The error names a pipe, a device or a folder, and the read does not block."""
    os.mkfifo(folder / "pipe")
    for path in (folder / "pipe", Path("/dev/zero"), Path("/dev/tty"), folder):
        with pytest.raises(UnusableFile, match=r"no regular file|cannot be read|does not exist"):
            read_secret(path)
    with pytest.raises(UnusableFile, match="cannot be read"):
        read_secret(Path("a\0b"))


@pytest.mark.parametrize("kind", ["pipe", "zero", "mark", "utf16", "large", "deep", "folder"])
def test_an_unusable_settings_file_is_refused(folder: Path, kind: str) -> None:
    """The settings file itself must be a regular file too."""
    path = folder / "odd.toml"
    if kind == "pipe":
        os.mkfifo(path)
    content = {
        "mark": b"\xef\xbb\xbfenvironment = 'x'",
        "utf16": "environment = 'x'".encode("utf-16-be"),
        "large": b"#" * 2_000_000,
        "deep": b"a = " + b"[" * 100_000,
    }.get(kind)
    if content is not None:
        path.write_bytes(content)
    path = {"zero": Path("/dev/zero"), "folder": folder}.get(kind, path)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.problems[0].startswith(f"--config {path}: the file")


LOCAL = '[[endpoints]]\nname = "A"\nws_url = "ws://127.0.0.1:1/v1/private"\nrest_url = "http://127.0.0.1:2"\n'
SASL = 'sasl_mechanism = "PLAIN"\nsasl_username = "b"\nsasl_password_file = "{folder}/password"\n'


@pytest.mark.parametrize(
    ("endpoints", "kafka", "servers", "told"),
    [
        ("", "", "127.0.0.1:9092", "with PLAINTEXT commands and fills travel in clear, for"),
        (LOCAL, "", "kafka-0:9092", "with PLAINTEXT commands and fills travel in clear, for"),
        (LOCAL, "", "127.0.0.1:9092,10.0.0.1:9092", "PLAINTEXT"),
        (
            "",
            'security_protocol = "SASL_PLAINTEXT"\n' + SASL,
            "kafka-0:9092",
            "in clear, and so does the password, for",
        ),
        (LOCAL, "", "127.0.0.1:9092,[::1]:9092", None),
        ("", 'security_protocol = "SASL_SSL"\n' + SASL, "kafka-0:9092", None),
    ],
)
def test_every_start_warns_of_clear_text(
    folder: Path, endpoints: str, kafka: str, servers: str, told: str | None
) -> None:
    """There is no warning if broker and venue are on this machine."""
    text = BASE.format(endpoints=endpoints, account="", kafka=kafka.format(folder=folder), rest="", folder=folder)
    path = folder / "bridge.toml"
    path.write_text(text.replace("kafka-0:9092", servers, 1))
    assert [told in one.sentence for one in find_warnings(load(path)) if told] == ([True] if told else [])
    assert (find_warnings(load(path)) == []) is (told is None)


def test_every_start_warns_of_readable_secrets(folder: Path) -> None:
    """The warning names the setting. Files that only the group may read, as in a mounted Secret, are fine."""
    for name in ("key", "secret", "password"):
        (folder / name).chmod(0o440)
    text = BASE.format(
        endpoints=LOCAL, account="", kafka='security_protocol = "SASL_SSL"\n' + SASL, rest="", folder=folder
    )
    (folder / "bridge.toml").write_text(text.replace("{folder}", str(folder)))
    settings = load(folder / "bridge.toml")
    assert find_warnings(settings) == []
    (folder / "secret").chmod(0o644)
    (folder / "password").chmod(0o604)
    told = "\n".join(one.sentence for one in find_warnings(settings))
    assert "accounts.main.api_secret_file: any user of this machine may read its file" in told
    assert "kafka.sasl_password_file: any user" in told
    assert "api_key_file" not in told
