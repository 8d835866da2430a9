"""The settings of a daemon under test, as its operator writes them: TOML, and secrets in files."""

import json
from pathlib import Path
from typing import Any


def account_section(folder: Path, name: str, api_key: str, api_secret: str) -> dict[str, str]:
    """Write the secrets of an account into files, and return its section."""
    files = {"api_key_file": folder / f"{name}-key", "api_secret_file": folder / f"{name}-secret"}
    files["api_key_file"].write_text(api_key)
    files["api_secret_file"].write_text(api_secret)
    for path in files.values():
        path.chmod(0o600)
    return {setting: str(path) for setting, path in files.items()}


def daemon_settings(
    *, ws_url: str, rest_url: str, bootstrap: str, prefix: str, accounts: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Return the settings for a venue with one endpoint and a broker that has the topics made."""
    return {
        "environment": "sandbox",
        "endpoints": [{"name": "SANDBOX", "ws_url": ws_url, "rest_url": rest_url}],
        "accounts": accounts,
        "kafka": {
            "bootstrap_servers": bootstrap,
            "topic_prefix": prefix,
            "create_topics": True,
            "replication_factor": 1,
            "min_insync_replicas": 1,
        },
        "management": {"port": 0},
    }


def as_toml(values: dict[str, Any], path: str = "") -> str:
    """Write settings as TOML."""
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    lines = [f"[{path}]"] if path else []
    for name, value in plain.items():
        if isinstance(value, list):
            lines.append(f"{name} = [{', '.join(_inline(one) for one in value)}]")
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    tables = [as_toml(v, f"{path}.{k}" if path else k) for k, v in values.items() if isinstance(v, dict)]
    return "\n".join([*lines, "", *tables])


def _inline(table: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in table.items()) + "}"
