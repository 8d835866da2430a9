"""Settings of the venue: its endpoints, and the accounts with their keys."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr, field_validator, model_validator

from bridge.config.files import UnusableFile, read_secret
from bridge.config.section import Section
from bridge.config.tls import check_ca
from bridge.config.values import ProxyUrl, RestUrl, SecretFile, WebSocketUrl

_OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Endpoint(Section):
    """One tier of the venue (LTP docs, Get Started)."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    ws_url: WebSocketUrl
    rest_url: RestUrl


class VenueAccess(Section):
    """How the daemon reaches the venue. The default is a direct connection that trusts this machine's authorities."""

    proxy_url: ProxyUrl | None = None
    """An HTTP proxy that supports CONNECT, for REST and WebSocket."""
    ca_file: Annotated[Path, AfterValidator(check_ca)] | None = None
    """Certificate authorities to trust instead of this machine's."""


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


class AccountConfig(Section):
    """The settings of one account: its API key, which selects one portfolio of the venue."""

    api_key_file: SecretFile
    api_secret_file: SecretFile
    executions_since: AwareDatetime | None = None
    """At the account's first start, executions since this time are published. The venue keeps 90 days."""

    @field_validator("executions_since")
    @classmethod
    def _is_past(cls, since: datetime | None) -> datetime | None:
        if since is not None and not _OLDEST <= since <= datetime.now(UTC):
            raise ValueError("must lie in the past, in 2000 or later; remove it to publish no past executions")
        return since

    @model_validator(mode="after")
    def _has_two_secrets(self) -> Self:
        try:
            same = self.api_key.get_secret_value() == self.api_secret.get_secret_value()
        except UnusableFile:
            return self  # the field's own check reports it
        if same:
            raise ValueError("api_key_file and api_secret_file hold the same; each needs its own content")
        return self

    @property
    def api_key(self) -> SecretStr:
        """The access key, read again from its file. Raises UnusableFile."""
        return SecretStr(read_secret(self.api_key_file))

    @property
    def api_secret(self) -> SecretStr:
        """The signing secret, read again from its file. Raises UnusableFile."""
        return SecretStr(read_secret(self.api_secret_file))
