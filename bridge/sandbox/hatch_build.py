"""What hatchling asks when it builds one of the two distributions: requirements that name their common version."""

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
