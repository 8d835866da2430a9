"""Settings of the Kafka cluster."""

import ssl
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from bridge.config.files import read_secret
from bridge.config.section import Section
from bridge.config.tls import tls_context
from bridge.config.values import PemFile, SecretFile, Servers

_REPLICAS_MAX: Final = 100


class Kafka(Section):
    """How to reach the cluster, and how its topics must be configured."""

    bootstrap_servers: Servers
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "ltp"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """With SASL the default is SCRAM-SHA-512."""
    sasl_username: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    sasl_password_file: SecretFile | None = None
    ssl_ca_file: PemFile | None = None
    """The default is the certificate authorities of this machine."""
    ssl_certificate_file: PemFile | None = None
    ssl_key_file: PemFile | None = None
    create_topics: bool = False
    replication_factor: Annotated[int, Field(ge=1, le=_REPLICAS_MAX)] = 3
    min_insync_replicas: Annotated[int, Field(ge=1, le=_REPLICAS_MAX)] = 2

    @field_validator("sasl_mechanism", "sasl_username", "sasl_password_file")
    @classmethod
    def _is_of_sasl(cls, value: object, info: ValidationInfo) -> object:
        protocol = info.data.get("security_protocol", "SASL")
        if value is not None and not protocol.startswith("SASL"):
            raise ValueError(f"is not used while security_protocol is {protocol}; set that to SASL_SSL, or remove this")
        return value

    @field_validator("ssl_ca_file", "ssl_certificate_file", "ssl_key_file")
    @classmethod
    def _is_of_tls(cls, value: object, info: ValidationInfo) -> object:
        protocol = info.data.get("security_protocol", "SSL")
        if value is not None and not protocol.endswith("SSL"):
            tls = "SASL_SSL" if protocol.startswith("SASL") else "SSL or SASL_SSL"
            raise ValueError(f"is not used while security_protocol is {protocol}; set that to {tls}, or remove this")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password_file):
            problems.append(f"security_protocol {self.security_protocol} needs sasl_username and sasl_password_file")
        if self.ssl_key_file is not None and self.ssl_certificate_file is None:
            problems.append("ssl_key_file needs ssl_certificate_file, the certificate of the key")
        elif self.security_protocol.endswith("SSL"):
            try:
                self.tls_context()
            except ValueError as error:
                problems.append(str(error))
        if self.min_insync_replicas > self.replication_factor:
            problems.append(
                "min_insync_replicas cannot exceed replication_factor: nothing could be written; lower it, or raise "
                "replication_factor"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def tls_context(self) -> ssl.SSLContext:
        """Return a client's TLS context, from the files as they are now. Raises ValueError."""
        return tls_context(self.ssl_ca_file, self.ssl_certificate_file, self.ssl_key_file)

    @property
    def sasl_password(self) -> SecretStr | None:
        """The SASL password, read again from its file. Raises UnusableFile."""
        if self.sasl_password_file is None:
            return None
        return SecretStr(read_secret(self.sasl_password_file))
