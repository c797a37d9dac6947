"""Several Redis (or Valkey) servers together: a primary, its replica and three
Sentinels, or a Cluster of three nodes.
"""

from typing import Any

import redis

from tests.tools.servers import Redis, dies_with_us, free_port, wait_until

#: Milliseconds after which a server that does not answer is called down.
DOWN = 500


class Node(Redis):
    """A Redis with more options; a Sentinel where `--sentinel` is one of them."""

    def __init__(self, *options: str, config: str = "") -> None:
        super().__init__()
        self.options = list(options)
        self.config = self.folder / "server.conf"
        self.config.write_text(config)

    def command(self) -> list[str]:
        where = ["--port", str(self.port), "--dir", str(self.folder)]
        plain = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        if "--sentinel" in self.options:
            plain = ["--bind", "127.0.0.1"]
        run = [*dies_with_us("TERM"), self.binary, str(self.config)]
        return [*run, *where, *plain, *self.options]

    @property
    def client(self) -> Any:
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def ask(self, *command: Any) -> Any:
        with self.client as client:
            return client.execute_command(*command)


class Trio:
    """A primary with a replica, and three Sentinels that agree by two."""

    NAME = "counters"

    def __init__(self) -> None:
        self.first = Node()
        self.second = Node("--replicaof", f"127.0.0.1 {self.first.port}")
        watch = f"""\
sentinel monitor {self.NAME} 127.0.0.1 {self.first.port} 2
sentinel down-after-milliseconds {self.NAME} {DOWN}
sentinel failover-timeout {self.NAME} 3000
"""
        self.sentinels = [Node("--sentinel", config=watch) for _ in range(3)]

    @property
    def environment(self) -> dict[str, str]:
        addresses = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return {"REDIS_URL": f"redis://{self.NAME}", "REDIS_SENTINELS": addresses}

    def start(self) -> None:
        for server in (self.first, self.second, *self.sentinels):
            server.start()
        wait_until(self._is_watched, self.sentinels[0].log)

    def primary(self) -> int:
        """Return the port of what the Sentinels call the primary."""
        answer = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)
        return int(answer[1])

    def _is_watched(self) -> bool:
        """Whether each Sentinel knows the others and the replica, which has all."""
        known = [each.client.sentinel_master(self.NAME) for each in self.sentinels]
        link = self.second.client.info("replication")["master_link_status"]
        return link == "up" and all(
            about["num-other-sentinels"] == 2 and about["num-slaves"] == 1
            for about in known
        )

    def close(self) -> None:
        for server in (*self.sentinels, self.second, self.first):
            server.close()


class Cluster:
    """Three primaries that share the slots, without replicas."""

    SLOTS = 16384

    def __init__(self) -> None:
        self.nodes = [self._node() for _ in range(3)]

    @staticmethod
    def _node() -> Node:
        bus = str(free_port())
        options = ["--cluster-enabled", "yes", "--cluster-port", bus]
        return Node(*options, "--cluster-node-timeout", str(DOWN))

    @property
    def environment(self) -> dict[str, str]:
        first, *others = [f"127.0.0.1:{node.port}" for node in self.nodes]
        return {
            "REDIS_URL": f"redis://{first}",
            "REDIS_CLUSTER_NODES": ",".join(others),
        }

    def start(self) -> None:
        first, *others = self.nodes
        for number, node in enumerate(self.nodes):
            node.start()
            share = self.SLOTS // 3
            last = (
                self.SLOTS - 1 if node is self.nodes[-1] else share * (number + 1) - 1
            )
            node.ask("CLUSTER", "ADDSLOTSRANGE", share * number, last)
        for node in others:
            bus = node.options[node.options.index("--cluster-port") + 1]
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        wait_until(self.is_whole, first.log)

    def is_whole(self) -> bool:
        """Whether every node takes commands and knows the others."""
        states = [str(node.ask("CLUSTER", "INFO")) for node in self.nodes]
        return all(
            "cluster_state:ok" in state and "cluster_known_nodes:3" in state
            for state in states
        )

    def close(self) -> None:
        for node in self.nodes:
            node.close()
