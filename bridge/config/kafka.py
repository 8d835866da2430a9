"""Settings of the Kafka cluster."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator

from bridge.config.section import Section
from bridge.config.values import SecretFile


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
