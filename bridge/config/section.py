"""The base of every section of the settings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Section(BaseModel):
    """A part of the settings. Unknown names are errors, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_written_plainly(cls, value: Any, info: Any) -> Any:  # noqa: ANN401 - any value of TOML
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise ValueError("must not be true or false")
        if isinstance(value, str) and (not value.isprintable() or value != value.strip()):
            raise ValueError("must hold no invisible characters, and no spaces at its begin or end; type it again")
        return value
