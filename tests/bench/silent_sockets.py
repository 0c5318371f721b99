"""Opens 5,000 sockets to the port of agents and says nothing on them: people at work must not notice.

    python3 tests/bench/silent_sockets.py target/release/muster [--sockets 5000] [--cap 4000]
"""

import argparse
import resource
import socket
import time

from server import Server

PATIENCE = 0.5


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--sockets", type=int, default=5000)
    arguments.add_argument("--cap", type=int, default=4000)
    arguments.add_argument("--requests", type=int, default=500)
    arguments = arguments.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.sockets + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    server = Server(arguments.program, settings=[f"limits.connections={arguments.cap}"]).start()
    before = server.resident_kib()
    silent = []
    for number in range(arguments.sockets):
        peer = socket.socket()
        peer.bind((f"127.0.0.{1 + number % 8}", 0))
        peer.connect(("127.0.0.1", server.agent_port))
        silent.append(peer)
    waits = []
    for _ in range(arguments.requests):
        began = time.monotonic()
        server.api("GET", "/api/v1/agents")
        waits.append(time.monotonic() - began)
    held = server.resident_kib() - before
    waits.sort()
    p99 = waits[int(len(waits) * 0.99) - 1]
    print(f"{arguments.sockets} silent sockets, cap {arguments.cap}: p99 of {arguments.requests} requests of people "
          f"{p99 * 1000:.1f} ms, longest {waits[-1] * 1000:.1f} ms, {held} KiB more resident memory")
    for peer in silent:
        peer.close()
    failed = p99 >= PATIENCE or server.stop() != 0
    print(f"{1 - failed} passed, {int(failed)} failed")
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
