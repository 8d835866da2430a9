"""What every section of the settings has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Section(BaseModel):
    """A part of the settings; unknown names are errors and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_written_plainly(cls, value: Any, info: Any) -> Any:  # noqa: ANN401 - whatever TOML can carry
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise ValueError("must not be true or false")
        if isinstance(value, str) and (not value.isprintable() or value != value.strip()):
            raise ValueError("must hold no invisible characters, and no spaces around it; write it anew")
        return value
