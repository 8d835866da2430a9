"""Warnings about settings that work but are not safe. Every start logs them, and `check` prints them."""

from collections.abc import Iterator

from bridge.config.addresses import is_this_machine, parse_hosts
from bridge.config.files import is_readable_by_others
from bridge.config.settings import Settings


def find_warnings(settings: Settings) -> list[str]:
    """Return a sentence for each warning, with the setting's name and the remedy, and without its value."""
    return [*_about_clear_text(settings), *_about_files(settings)]


def _about_clear_text(settings: Settings) -> Iterator[str]:
    """Warn of clear text to Kafka, unless both the brokers and the venue are on this machine."""
    kafka = settings.kafka
    if kafka.security_protocol.endswith("SSL"):
        return
    brokers = parse_hosts(kafka.bootstrap_servers)
    venues = [host for endpoint in settings.endpoints for host in (parse_hosts(endpoint.ws_url.split("/")[2]))]
    if all(is_this_machine(host) for host in (*brokers, *venues)):
        return
    password = ", and so does the password" if kafka.sasl_mechanism == "PLAIN" else ""
    yield (
        f"kafka.security_protocol is {kafka.security_protocol}: commands and fills travel in clear{password}, for "
        "anybody on the network to read and change; set it to SSL or SASL_SSL"
    )


def _about_files(settings: Settings) -> Iterator[str]:
    files = {
        f"accounts.{name}.{setting}": getattr(account, setting)
        for name, account in settings.accounts.items()
        for setting in ("api_key_file", "api_secret_file")
    }
    files["kafka.sasl_password_file"] = settings.kafka.sasl_password_file
    files["kafka.ssl_key_file"] = settings.kafka.ssl_key_file
    for setting, path in files.items():
        if path is not None and is_readable_by_others(path):
            yield f"{setting}: any user of this machine may read its file; remove that right (chmod o-r)"
