"""Warnings about settings that work but are not safe. Every start logs them, and `doctor` shows them."""

from collections.abc import Iterator
from pathlib import Path

from bridge.config.addresses import is_this_machine, parse_hosts
from bridge.config.files import is_readable_by_others
from bridge.config.settings import Settings
from bridge.problem import Problem


def find_warnings(settings: Settings) -> list[Problem]:
    """Return a warning for each setting that is not safe, without its value."""
    return [*warn_of_clear_text(settings), *_warn_of_readable_secrets(settings)]


def warn_of_clear_text(settings: Settings) -> Iterator[Problem]:
    """Warn of clear text to Kafka, unless both the brokers and the venue are on this machine."""
    kafka = settings.kafka
    if kafka.security_protocol.endswith("SSL"):
        return
    brokers = parse_hosts(kafka.bootstrap_servers)
    venues = [host for endpoint in settings.endpoints for host in (parse_hosts(endpoint.ws_url.split("/")[2]))]
    if all(is_this_machine(host) for host in (*brokers, *venues)):
        return
    password = ", and so does the password" if kafka.sasl_mechanism == "PLAIN" else ""
    yield Problem(
        "config.clear_text",
        "kafka.security_protocol",
        f"with {kafka.security_protocol} commands and fills travel in clear{password}, for anybody on the network to "
        "read and change",
        "set it to SSL or SASL_SSL",
    )


def find_secret_files(settings: Settings) -> dict[str, Path]:
    """Return the files that hold a secret, by the setting that names each."""
    files: dict[str, Path | None] = {
        f"accounts.{name}.{setting}": getattr(account, setting)
        for name, account in settings.accounts.items()
        for setting in ("api_key_file", "api_secret_file")
    }
    files["kafka.sasl_password_file"] = settings.kafka.sasl_password_file
    files["kafka.ssl_key_file"] = settings.kafka.ssl_key_file
    files["management.tls_key_file"] = settings.management.tls_key_file
    return {setting: path for setting, path in files.items() if path is not None}


def _warn_of_readable_secrets(settings: Settings) -> Iterator[Problem]:
    for setting, path in find_secret_files(settings).items():
        if is_readable_by_others(path):
            found, remedy = "any user of this machine may read its file", "remove that right (chmod o-r)"
            yield Problem("files.readable_by_all", setting, found, remedy)
