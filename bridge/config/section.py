"""What every section of the settings has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the settings; unknown names are errors and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
