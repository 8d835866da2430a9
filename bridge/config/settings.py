"""Read the settings from a TOML file and the environment, with secrets in files. One error lists every problem.

Environment variables are `LTP_BRIDGE_` and the path of the setting with `__` between its parts, such as
`LTP_BRIDGE_KAFKA__BOOTSTRAP_SERVERS`; they take precedence over the file. Unknown settings are errors.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from bridge.config.files import BYTE_ORDER_MARKS, UnusableFile, read_file
from bridge.config.kafka import Kafka
from bridge.config.limits import Limits
from bridge.config.problems import ENV_PREFIX, VARIABLE_EXAMPLE, describe_errors, find_stray_variables
from bridge.config.process import Log, Management, Tracing
from bridge.config.timing import Timing
from bridge.config.venue import AZ4, HA, AccountConfig, Endpoint, VenueAccess
from bridge.errors import ConfigError

FILE_BYTES_MAX: Final = 1024 * 1024
_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
_INSTANCE = r"^([A-Za-z0-9][A-Za-z0-9._:-]{0,126})?$"
_Kind = TypeVar("_Kind", bound="_SettingsSources")


class _SettingsSources(BaseSettings):
    """Where settings come from: the environment, and then the file, whose content arrives as the init settings."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the environment precedence over the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return (env_settings, init_settings)


class Settings(_SettingsSources):
    """All settings of the daemon. `load` reads them."""

    environment: Annotated[str, Field(pattern=_NAME, description="Names the venue's environment in `ce_source`.")]
    instance: Annotated[str, Field(pattern=_INSTANCE)] = ""
    """The name of this process, unlike that of any other replica; by default its host name and process id.

    Accounts without an owner spread over the replicas by it. A name that outlives a restart gets the same accounts.
    """
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)] = (AZ4, HA)
    accounts: Annotated[dict[Annotated[str, Field(pattern=_NAME)], AccountConfig], Field(min_length=1)]
    venue: VenueAccess = VenueAccess()
    kafka: Kafka
    limits: Limits = Limits()
    timing: Timing = Timing()
    management: Management = Management()
    log: Log = Log()
    tracing: Tracing = Tracing()

    @field_validator("endpoints")
    @classmethod
    def _one_name_one_endpoint(cls, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        for what in ("name", "ws_url"):
            values = [getattr(endpoint, what) for endpoint in endpoints]
            if len(set(values)) < len(values):
                raise ValueError(f"two of them have the same {what}; give each its own, or remove one")
        return endpoints

    @field_validator("accounts")
    @classmethod
    def _one_key_one_account(cls, accounts: dict[str, AccountConfig]) -> dict[str, AccountConfig]:
        owner: dict[str, str] = {}
        for name, account in accounts.items():
            try:
                key = account.api_key.get_secret_value()
            except UnusableFile as error:
                raise ValueError(f"{name}: {error}") from None
            other = owner.setdefault(key, name)
            if other != name:
                raise ValueError(
                    f"{other} and {name} hold the same API key: one key has one budget and one owner; "
                    "give each account its own key"
                )
        return accounts


class TopicSettings(_SettingsSources):
    """What a reader of the topics needs of the daemon's settings. `load_topic_settings` reads them."""

    model_config = SettingsConfigDict(extra="ignore")

    accounts: dict[Annotated[str, Field(pattern=_NAME)], Any] = {}
    """Only the names: who may read the topics need not be able to read the keys."""
    kafka: Kafka


class GroupSettings(TopicSettings):
    """What a member of the accounts' groups needs that trades nothing. `load_group_settings` reads them."""

    timing: Timing = Timing()


def _names_in(kind: object) -> set[str]:
    """Return the names of all settings in a section, or in the sections of a generic type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return set(kind.model_fields).union(*(_names_in(field.annotation) for field in kind.model_fields.values()))
    return set[str]().union(*(_names_in(argument) for argument in get_args(kind)))


_KNOWN: Final = frozenset(_names_in(Settings))


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the content of the settings file. Raises ValueError."""
    content = read_file(path, FILE_BYTES_MAX)
    if content.startswith(BYTE_ORDER_MARKS):
        raise ValueError("the file begins with a byte order mark; save it as UTF-8 without one")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not readable as TOML: byte {error.start} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"the file is not readable as TOML: {error}") from None


def load(path: Path | None) -> Settings:
    """Return the settings from a TOML file, if one is given, and the environment.

    Raises ConfigError with every problem that was found.
    """
    return _load(Settings, path)


def load_topic_settings(path: Path | None) -> TopicSettings:
    """Return what a reader of the topics needs, from where `load` has it; no key of the venue is read.

    Raises ConfigError with every problem that was found in this part.
    """
    return _load(TopicSettings, path)


def load_group_settings(path: Path | None) -> GroupSettings:
    """Return what `load_topic_settings` does, and the durations. Raises ConfigError."""
    return _load(GroupSettings, path)


def _load(kind: type[_Kind], path: Path | None) -> _Kind:
    problems = find_stray_variables(os.environ, Settings.model_fields)
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = _read_toml(path)
        except ValueError as error:
            raise ConfigError([f"--config {path}: {error}", *problems]) from None
    try:
        settings = kind(**values)
    except ValidationError as error:
        found = describe_errors(error.errors(), _KNOWN)
        if path is None and any(e["type"] == "missing" for e in error.errors()):
            found.append("no file was given; name one with --config")
        raise ConfigError([*found, *problems]) from None
    except SettingsError as error:
        text = f"the environment: {error}: a whole section must be JSON; or set its parts, as in {VARIABLE_EXAMPLE}"
        raise ConfigError([text, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return settings
