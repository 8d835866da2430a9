"""Texts for what is wrong with the settings. No text shows a value, because it may be a secret."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

ENV_PREFIX: Final = "LTP_BRIDGE_"
VARIABLE_EXAMPLE: Final = f"{ENV_PREFIX}KAFKA__BOOTSTRAP_SERVERS"
_TABLES: Final = {
    "accounts": "at least one table such as [accounts.main], with api_key_file and api_secret_file",
    "kafka": "a table [kafka] with bootstrap_servers",
}
_TEXTS: Final = {
    "model_type": "must be a table with settings of its own",
    "dict_type": "must hold a table for each name, such as [accounts.main]",
    "tuple_type": "must be a list of tables; begin each with double brackets: [[endpoints]]",
}


def describe_errors(errors: Sequence[Mapping[str, Any]], known: Collection[str]) -> list[str]:
    """Return a line for each of pydantic's errors; `known` are the names of all settings."""
    where = [tuple(error["loc"]) for error in errors]
    return [
        _describe_error(error, known)
        for error in errors
        # pydantic also calls a list empty whose only element is wrong.
        if error["type"] != "too_short" or not any(at[: len(error["loc"])] == error["loc"] != at for at in where)
    ]


def find_stray_variables(environ: Mapping[str, str], sections: Collection[str]) -> list[str]:
    """Return a line for each variable that looks like a setting and is none; `sections` are the outermost names."""
    known = {name.upper() for name in sections}
    return [
        f"{name}: there is no such setting; parts are joined by two underscores, as in {VARIABLE_EXAMPLE}"
        for name in sorted(environ)
        if name.upper().startswith(ENV_PREFIX) and name.upper()[len(ENV_PREFIX) :].split("__")[0] not in known
    ]


def _describe_error(error: Mapping[str, Any], known: Collection[str]) -> str:
    where = ".".join(str(part) for part in error["loc"] if part != "[key]") or "settings"
    text = _TEXTS.get(error["type"], str(error["msg"]).removeprefix("Value error, "))
    if error["type"] == "extra_forbidden":
        text = _describe_unknown_name(str(error["loc"][-1]), known)
    if error["type"] == "missing":
        text = _describe_missing(tuple(error["loc"]))
    return f"{where}: {text}"


def _describe_unknown_name(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return "there is no such setting; " + (f"did you mean {close[0]}?" if close else "look for a typing mistake")


def _describe_missing(where: tuple[str | int, ...]) -> str:
    names = [str(part) for part in where]
    if table := _TABLES.get(".".join(names)):
        return f"is needed: {table}"
    if any(isinstance(part, int) for part in where):
        return "is needed"  # no variable names a part of a list
    return f"is needed; set it in the file or as {ENV_PREFIX}{'__'.join(names).upper()}"
