"""Settings that would fail later, or do something else than they say, are refused in words, all at once."""

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
    """Return what is wrong with a file of settings, a line for each problem; empty when it is taken."""
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
    """Write an endpoint."""
    return f'[[endpoints]]\nname = "A"\nws_url = "{ws_url}"\nrest_url = "{rest_url}"\n'


def test_settings_that_work_are_taken(folder: Path) -> None:
    """The base of these tests is without a mistake, with every form of an address that is documented."""
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
def test_an_address_of_the_stream_that_cannot_work(folder: Path, url: str, remedy: str) -> None:
    """Nothing that a connection would stumble over, or send a key in clear to, is taken."""
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
def test_an_address_of_rest_that_cannot_work(folder: Path, url: str, remedy: str) -> None:
    """The same of REST, whose requests carry the key."""
    told = problems(folder, endpoints=endpoint(rest_url=url))
    assert told.startswith("endpoints.0.rest_url: ")
    assert remedy in told


def test_two_endpoints_of_one_name(folder: Path) -> None:
    """What is asked of one would be asked of the other."""
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
def test_brokers_that_cannot_be_addressed(folder: Path, servers: str) -> None:
    """What the Kafka client would fail at with a traceback, or take for something else, is refused with an example."""
    path = folder / "bridge.toml"
    text = BASE.format(endpoints="", account="", kafka="", rest="", folder=folder)
    path.write_text(text.replace("kafka-0:9092", servers))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert problem.startswith("kafka.bootstrap_servers: ")
    assert "canary" not in problem


@pytest.mark.parametrize("servers", ["kafka-0", "kafka-0:9092, kafka-1:9093", "[::1]:9092", "10.0.0.1:9092", "a_b:1"])
def test_brokers_in_every_form_that_works(servers: str) -> None:
    """A port may be left to the default, and spaces after commas are taken out."""
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
def test_ways_to_the_venue(folder: Path, venue: str, line: str) -> None:
    """A proxy is an HTTP proxy without a password, and a file of authorities holds certificates."""
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
def test_kafka_settings_that_do_not_belong_together(folder: Path, kafka: str, line: str) -> None:
    """Nothing is set for nothing: a password beside PLAINTEXT would mean that everything goes in clear."""
    assert line in problems(folder, kafka=kafka)


def test_what_is_wrong_in_one_section_is_told_at_once(folder: Path) -> None:
    """A mistake in one setting hides none in another of the same section, and each is named."""
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
def test_no_number_is_boundless(folder: Path, section: type[BaseModel], silly: str) -> None:
    """No setting that is a number takes one that makes no sense."""
    numbers = [name for name, field in section.model_fields.items() if field.annotation in {int, float}]
    assert len(numbers) > 9
    text = "\n".join(f"{name} = {silly}" for name in numbers)
    name = section.__name__.lower()
    told = problems(folder, rest=f"[{name}]\n{text}")
    assert [one for one in numbers if f"{name}.{one}: " not in told] == []


def test_every_number_has_bounds() -> None:
    """A number that is added gets a least and a most as well; 0 as a port takes a free one."""
    for section in (Timing, Limits, Kafka, Management):
        for name, field in section.model_fields.items():
            if field.annotation in {int, float}:
                bounds = {type(one).__name__ for one in field.metadata}
                assert {"Ge", "Le"} <= bounds, f"{section.__name__}.{name}"


@pytest.mark.parametrize("host", ["", "not a host", "256.1.1.1", "http://localhost", "localhost:9090", "-x"])
def test_a_management_host_that_is_none(folder: Path, host: str) -> None:
    """An empty one would listen on every interface."""
    assert "management.host: " in problems(folder, rest=f'[management]\nhost = "{host}"')


@pytest.mark.parametrize("since", ["2999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_executions_are_wanted_from_the_past(folder: Path, since: str) -> None:
    """A date to come, or before there was a venue, is a typing mistake."""
    assert "accounts.main.executions_since: must lie in the past" in problems(
        folder, account=f"executions_since = {since}"
    )


def test_key_and_secret_are_two(folder: Path) -> None:
    """The same file twice is a typing mistake, too."""
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
def test_a_secret_file_that_cannot_be_used(folder: Path, name: str, content: bytes, word: str) -> None:
    """What an editor, a copy from a web page or a rotation leaves in a file is told in words and not shown."""
    (folder / name).write_bytes(content)
    sasl = 'security_protocol = "SASL_PLAINTEXT"\nsasl_username = "b"\nsasl_password_file = "{folder}/password"'
    setting = {"key": "accounts.main.api_key_file", "secret": "accounts.main.api_secret_file"}
    told = problems(folder, kafka=sasl)
    assert f"{setting.get(name, 'kafka.sasl_password_file')}: " in told
    assert word in told


def test_a_secret_with_white_space_around_it(folder: Path) -> None:
    """A last line's end, of either kind, is no part of it."""
    (folder / "secret").write_bytes(b" \tsk-1\r\n")
    assert read_secret(folder / "secret") == "sk-1"


def test_a_secret_file_that_would_never_end(folder: Path) -> None:
    """A pipe, a device and a folder are told in words, and nothing waits for them."""
    os.mkfifo(folder / "pipe")
    for path in (folder / "pipe", Path("/dev/zero"), Path("/dev/tty"), folder):
        with pytest.raises(UnusableFile, match=r"no regular file|cannot be read|does not exist"):
            read_secret(path)
    with pytest.raises(UnusableFile, match="cannot be read"):
        read_secret(Path("a\0b"))


@pytest.mark.parametrize("kind", ["pipe", "zero", "mark", "utf16", "large", "deep", "folder"])
def test_a_file_of_settings_that_is_none(folder: Path, kind: str) -> None:
    """The file of settings itself, given by hand in the command line, is held to the same."""
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
        ("", "", "127.0.0.1:9092", "PLAINTEXT: commands and fills travel in clear, for"),
        (LOCAL, "", "kafka-0:9092", "PLAINTEXT: commands and fills travel in clear, for"),
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
def test_clear_text_is_said_at_every_start(
    folder: Path, endpoints: str, kafka: str, servers: str, told: str | None
) -> None:
    """Unless broker and venue are this machine's own."""
    text = BASE.format(endpoints=endpoints, account="", kafka=kafka.format(folder=folder), rest="", folder=folder)
    path = folder / "bridge.toml"
    path.write_text(text.replace("kafka-0:9092", servers, 1))
    assert [told in line for line in find_warnings(load(path)) if told] == ([True] if told else [])
    assert (find_warnings(load(path)) == []) is (told is None)


def test_files_that_others_may_read_are_told(folder: Path) -> None:
    """Each by the name of its setting; a group's right, as a mounted Secret has it, is none of theirs."""
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
    told = "\n".join(find_warnings(settings))
    assert "accounts.main.api_secret_file: any user of this machine may read its file" in told
    assert "kafka.sasl_password_file: any user" in told
    assert "api_key_file" not in told
