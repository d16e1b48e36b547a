"""What an agent is told at its start: who it is, and where its files are."""

from __future__ import annotations

import json
import os


class Settings:
    """Identity, limits and paths of one instance, read from `agent.json` in the configuration directory.

    Raises ValueError with a readable sentence where the file is missing something.
    """

    def __init__(self, config_dir: str = "/etc/trove", data_dir: str = "/data") -> None:
        self.config_dir = config_dir
        self.data_dir = data_dir
        self.engine_dir = os.path.join(data_dir, "engine")
        self.agent_dir = os.path.join(data_dir, "agent")
        self.tmp_dir = os.path.join(data_dir, "tmp")
        path = os.path.join(config_dir, "agent.json")
        try:
            with open(path, encoding="utf-8") as file:
                told = json.load(file)
            self.instance_id: str = str(told["instance_id"])
            self.name: str = str(told.get("name", ""))
            self.address: str = str(told["address"])
            self.family: str = str(told["family"])
            self.engine_port: int = int(told["engine_port"])
            self.ram_mb: int = int(told.get("ram_mb", 512))
            self.vcpus: int = int(told.get("vcpus", 1))
            self.volume_gb: int = int(told.get("volume_gb", 1))
            self.image_id: str = str(told.get("image_id", ""))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} cannot be used: {error!r}") from None

    def make_directories(self) -> None:
        """Make the writable directories, for this user only."""
        for path in (self.engine_dir, self.agent_dir, self.tmp_dir):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def config(self, name: str) -> str:
        """Return the path of a file in the configuration directory."""
        return os.path.join(self.config_dir, name)

    def kept(self, name: str) -> str:
        """Return the path of a file among the agent's own, on the data volume."""
        return os.path.join(self.agent_dir, name)
