"""Which account of the settings is looked at."""

from collections.abc import Collection

import click


def choose_account(accounts: Collection[str], named: str | None) -> str:
    """Return the account that was named, or the only one of the settings. Raises click's UsageError."""
    known = sorted(accounts)
    if named is None:
        if len(known) == 1:
            return known[0]
        several = f"the settings have several ({', '.join(known)})" if known else "the settings have none"
        raise click.UsageError(f"name the account with --account: {several}")
    if known and named not in known:
        raise click.UsageError(f"--account {named}: the settings have no such account; they have {', '.join(known)}")
    return named
