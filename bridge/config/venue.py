"""Settings of the venue: its endpoints, and the accounts with their keys."""

from typing import Annotated, Final

from pydantic import AwareDatetime, Field, SecretStr

from bridge.config.section import Section
from bridge.config.values import RestUrl, SecretFile, WebSocketUrl


class Endpoint(Section):
    """One tier of the venue (LTP docs, Get Started)."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    ws_url: WebSocketUrl
    rest_url: RestUrl


AZ4: Final = Endpoint(
    name="AZ4",
    ws_url="wss://wss-az4.liquiditytech.com/v1/private",
    rest_url="https://api-az4.liquiditytech.com",
)


HA: Final = Endpoint(
    name="HA",
    ws_url="wss://wss.liquiditytech.com/v1/private",
    rest_url="https://api.liquiditytech.com",
)


class Account(Section):
    """One API key, and with it one portfolio of the venue."""

    api_key_file: SecretFile
    api_secret_file: SecretFile
    executions_since: AwareDatetime | None = None
    """From when on past executions are published at the account's very first start; the venue knows 90 days."""

    @property
    def api_key(self) -> SecretStr:
        """The access key, read anew from its file."""
        return SecretStr(self.api_key_file.read_text(encoding="utf-8").strip())

    @property
    def api_secret(self) -> SecretStr:
        """The signing secret, read anew from its file."""
        return SecretStr(self.api_secret_file.read_text(encoding="utf-8").strip())
