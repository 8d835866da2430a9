"""What hatchling asks when it builds one of the two distributions: requirements that name their common version.

A daemon that trades should contain neither a simulator of its venue nor a launcher of brokers, and an extra can add
requirements but cannot leave modules out of a wheel. So the sandbox is a distribution of its own, which installs itself
into the package of the first one; the extra `demo` requires it. Each requires the other in exactly its own version,
which stands in `bridge/__init__.py` alone and is filled in here. An editable install of the tree contains both. Only
`cli.py` imports the sandbox, inside of its two commands (import-linter holds it), and says what to install where it is
missing. `rich` stays with the daemon, because `check` prints with it.
"""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class RequirementsHook(MetadataHookInterface):
    """Fill the version of the build into the requirements that stand in this hook's table of pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `dependencies` and `optional-dependencies`, where the table has them."""
        version = metadata["version"]
        if "dependencies" in self.config:
            metadata["dependencies"] = _fill_version(version, self.config["dependencies"])
        if "optional-dependencies" in self.config:
            extras = self.config["optional-dependencies"]
            metadata["optional-dependencies"] = {name: _fill_version(version, lines) for name, lines in extras.items()}


def _fill_version(version: str, lines: list[str]) -> list[str]:
    return [line.replace("{version}", version) for line in lines]
