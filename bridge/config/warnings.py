"""What in the settings works and should still be known: told at every start, and by `check`."""

from collections.abc import Iterator

from bridge.config.addresses import hosts_of, is_this_machine
from bridge.config.files import is_readable_by_others
from bridge.config.settings import Settings


def find_warnings(settings: Settings) -> list[str]:
    """Return a sentence for each, with the setting's name and the remedy, and without its value."""
    return [*_about_clear_text(settings), *_about_files(settings)]


def _about_clear_text(settings: Settings) -> Iterator[str]:
    """Nothing is said while both the brokers and the venue are this machine's own."""
    kafka = settings.kafka
    if kafka.security_protocol.endswith("SSL"):
        return
    brokers = hosts_of(kafka.bootstrap_servers)
    venues = [host for endpoint in settings.endpoints for host in (hosts_of(endpoint.ws_url.split("/")[2]))]
    if all(is_this_machine(host) for host in (*brokers, *venues)):
        return
    password = ", and so does the password" if kafka.sasl_mechanism == "PLAIN" else ""
    yield (
        f"kafka.security_protocol is {kafka.security_protocol}: commands and fills travel in clear{password}, for "
        "anybody on the way to read and to write; set it to SSL or SASL_SSL"
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
            yield f"{setting}: any user of this machine may read its file; take that right away (chmod o-r)"
