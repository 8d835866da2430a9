"""Settings: from a TOML file and from the environment, with secrets in files. Every problem is told at once.

Environment variables are `LTP_BRIDGE_` and the path of the setting with `__` between its parts, such as
`LTP_BRIDGE_KAFKA__BOOTSTRAP_SERVERS`; they win over the file. Unknown settings are errors.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from bridge.config_problems import ENV_PREFIX, VARIABLE_EXAMPLE, describe, stray_variables
from bridge.config_values import CollectorUrl, RestUrl, SecretFile, WebSocketUrl
from bridge.errors import ConfigError

_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


class Section(BaseModel):
    """A part of the settings; unknown names are errors and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Kafka(Section):
    """How to reach the cluster, and what its topics must be like."""

    bootstrap_servers: Annotated[str, Field(min_length=1)]
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "ltp"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password_file: SecretFile | None = None
    ssl_ca_file: Path | None = None
    ssl_certificate_file: Path | None = None
    ssl_key_file: Path | None = None
    create_topics: bool = False
    replication_factor: PositiveInt = 3
    min_insync_replicas: PositiveInt = 2

    @field_validator("ssl_ca_file", "ssl_certificate_file", "ssl_key_file")
    @classmethod
    def _file_is_there(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError("the file that it names does not exist")
        return path

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password_file):
            raise ValueError("SASL needs sasl_username and sasl_password_file")
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError("min_insync_replicas cannot exceed replication_factor: nothing could be written")
        return self

    @property
    def sasl_password(self) -> SecretStr | None:
        """The SASL password, read anew from its file."""
        if self.sasl_password_file is None:
            return None
        return SecretStr(self.sasl_password_file.read_text(encoding="utf-8").strip())


class Limits(Section):
    """The venue's limits (LTP docs, User Data Overview), the share of them the bridge may use, and its own."""

    window_s: PositiveFloat = 60
    place_per_window: PositiveInt = 1200
    replace_per_window: PositiveInt = 300
    cancel_per_window: PositiveInt = 1200
    cancel_all_per_window: PositiveInt = 1200
    budget_percent: Annotated[int, Field(ge=1, le=100)] = 95
    inflight_commands_max: Annotated[int, Field(ge=1, le=1000)] = 1000
    lane_commands_max: PositiveInt = 10_000
    command_bytes_max: PositiveInt = 65_536
    event_buffer_bytes_max: PositiveInt = 64 * 1024 * 1024
    login_attempts_max: PositiveInt = 3
    late_landings: Literal["cancel", "report"] = "cancel"
    """What is done about an order that shows itself after `not_found`."""


class Timing(Section):
    """Every duration, in seconds. Names and inequalities are those of ARCHITECTURE.md, The numbers."""

    session_timeout_s: PositiveFloat = 6
    heartbeat_s: PositiveFloat = 0.5
    rebalance_timeout_s: PositiveFloat = 6
    commit_period_s: PositiveFloat = 1
    lease_s: PositiveFloat = 2
    ack_timeout_s: PositiveFloat = 5
    ping_interval_s: Annotated[float, Field(gt=0, le=15)] = 10
    pong_deadline_s: PositiveFloat = 5
    connect_timeout_s: PositiveFloat = 10
    login_spacing_s: Annotated[float, Field(ge=1.1)] = 1.1
    reconnect_cap_s: PositiveFloat = 5
    late_landing_s: PositiveFloat = 120
    rest_lag_s: PositiveFloat = 30
    skew_bound_s: PositiveFloat = 5
    audit_period_s: PositiveFloat = 60
    failover_after_s: PositiveFloat = 10
    failback_stable_s: PositiveFloat = 600
    failback_period_s: PositiveFloat = 900
    validity_default_place_s: PositiveFloat = 10
    validity_default_cancel_s: PositiveFloat = 60
    validity_max_s: PositiveFloat = 1800
    horizon_s: PositiveFloat = 3600
    stop_deadline_s: PositiveFloat = 20

    @model_validator(mode="after")
    def _hold(self) -> Self:
        broken = [
            text
            for holds, text in (
                (self.commit_period_s <= self.lease_s / 2, "commit_period_s must be at most half of lease_s"),
                (self.lease_s < self.session_timeout_s, "lease_s must be less than session_timeout_s"),
                (
                    self.heartbeat_s + self.lease_s < self.rebalance_timeout_s,
                    "heartbeat_s + lease_s must be less than rebalance_timeout_s",
                ),
                (self.ack_timeout_s < self.late_landing_s, "ack_timeout_s must be less than late_landing_s"),
                (self.validity_max_s < self.horizon_s, "validity_max_s must be less than horizon_s"),
                (
                    max(self.validity_default_place_s, self.validity_default_cancel_s) <= self.validity_max_s,
                    "the default validities must be at most validity_max_s",
                ),
            )
            if not holds
        ]
        if broken:
            raise ValueError("; ".join(broken))
        return self


class Management(Section):
    """The port with liveness and readiness. It has no authentication: keep it on loopback or inside the pod network."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9090


class Log(Section):
    """Logs go to stdout: JSON, or for people where stdout is a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "pretty"] = "auto"


class Tracing(Section):
    """Spans of commands, for OpenTelemetry, which reads what is not said here from variables of its own (OTEL_…)."""

    otlp_endpoint: CollectorUrl | None = None
    """The base URL of a collector that takes OTLP over HTTP, such as http://otel-collector:4318; no spans without."""


class Settings(BaseSettings):
    """Everything the daemon needs to know. Read it with `load`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    environment: Annotated[str, Field(pattern=_NAME, description="Names the venue's environment in `ce_source`.")]
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)] = (AZ4, HA)
    accounts: Annotated[dict[Annotated[str, Field(pattern=_NAME)], Account], Field(min_length=1)]
    kafka: Kafka
    limits: Limits = Limits()
    timing: Timing = Timing()
    management: Management = Management()
    log: Log = Log()
    tracing: Tracing = Tracing()

    @field_validator("accounts")
    @classmethod
    def _one_key_one_account(cls, accounts: dict[str, Account]) -> dict[str, Account]:
        owner: dict[str, str] = {}
        for name, account in accounts.items():
            other = owner.setdefault(account.api_key.get_secret_value(), name)
            if other != name:
                raise ValueError(
                    f"{other} and {name} hold the same API key: one key has one budget and one owner; "
                    "give each account its own key"
                )
        return accounts

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content arrives as the init settings."""
        del settings_cls, dotenv_settings, file_secret_settings
        return (env_settings, init_settings)


_KNOWN: Final = frozenset(
    name
    for section in (Settings, Endpoint, Account, Kafka, Limits, Timing, Management, Log, Tracing)
    for name in section.model_fields
)


def load(path: Path | None) -> Settings:
    """Read the settings from a TOML file (or none) and the environment.

    Raises ConfigError with every problem that was found.
    """
    problems = stray_variables(os.environ, Settings.model_fields)
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError([f"the file {path} does not exist", *problems]) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError([f"the file {path} is not readable as TOML: {error}", *problems]) from None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        found = describe(error.errors(), _KNOWN)
        if path is None and any(e["type"] == "missing" for e in error.errors()):
            found.append("no file was given; name one with --config")
        raise ConfigError([*found, *problems]) from None
    except SettingsError as error:
        text = f"the environment: {error}: a whole section must be JSON; or set its parts, as in {VARIABLE_EXAMPLE}"
        raise ConfigError([text, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return settings
