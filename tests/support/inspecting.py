"""`ltp-bridge tail` and `trace` as an operator runs them: a process, settings without keys, and its output."""

import json
import uuid
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from tests.witness.child_process import start_module
from tests.witness.daemon_settings import as_toml


class Inspection:
    """Runs the two commands on the topics of one prefix."""

    def __init__(self, folder: Path, bootstrap: str, prefix: str, *accounts: str) -> None:
        keys = {"api_key_file": "/nowhere/key", "api_secret_file": "/nowhere/secret"}
        values = {
            "environment": "sandbox",
            "accounts": dict.fromkeys(accounts or ("main",), keys),
            "kafka": {"bootstrap_servers": bootstrap, "topic_prefix": prefix},
        }
        self.config = folder / f"inspect-{uuid.uuid4().hex[:6]}.toml"
        self.config.write_text(as_toml(values))

    async def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, its output, and what it says beside that."""
        process = await start_module("bridge", command, "--config", str(self.config), *arguments, stderr=PIPE)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def trace(self, subject: str, *arguments: str) -> list[str]:
        """Return the lines of a story; the last one is its sentence."""
        code, out, err = await self.run("trace", subject, *arguments)
        assert (code, err) == (0, "")
        return out.splitlines()

    async def trace_json(self, subject: str) -> list[dict[str, Any]]:
        """Return the objects of a story."""
        return [json.loads(line) for line in await self.trace(subject, "--json")]

    async def tail(self, *arguments: str) -> list[str]:
        """Return the lines of the streams as they are now."""
        code, out, err = await self.run("tail", "--no-follow", "--since", "all", *arguments)
        assert (code, err) == (0, "")
        return out.splitlines()
