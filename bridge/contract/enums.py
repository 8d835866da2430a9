"""Words of the contract: the values of its enumerations, each with its meaning, which the published schemas tell."""

from enum import StrEnum
from typing import Self


class DocumentedEnum(StrEnum):
    """A value with its meaning, for example `ACCEPTED = "accepted", "The venue acked it."`."""

    _value_: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Make a member of a value and its meaning."""
        word = str.__new__(cls, value)
        word._value_ = value
        word.__doc__ = meaning
        return word


class ExtensibleEnum(DocumentedEnum):
    """A word of an enumeration that may grow: readers take a value they do not know for what it is, a new one."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Take a value of a later version of the contract."""
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        word.__doc__ = "Of a later version of the contract."
        return word
