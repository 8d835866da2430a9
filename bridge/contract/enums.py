"""Enumerations of the contract. Each value has a meaning, which the published schemas show."""

from enum import StrEnum
from typing import Self


class DocumentedEnum(StrEnum):
    """An enumeration whose values have meanings, for example `ACCEPTED = "accepted", "The venue acked it."`."""

    _value_: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Make a member from its value and its meaning."""
        word = str.__new__(cls, value)
        word._value_ = value
        word.__doc__ = meaning
        return word


class ExtensibleEnum(DocumentedEnum):
    """An enumeration that may get more values in a later version: readers accept a value that they do not know."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Return a member for a value of a later version of the contract."""
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        word.__doc__ = "Of a later version of the contract."
        return word
