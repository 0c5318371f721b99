"""Kills the server again and again under simulated agents and an operator's changes: nothing acknowledged may be lost.

    python3 tests/bench/kill_loop.py target/debug/muster --kills 50 [--agents 100]
"""

import argparse
import http.client
import random
import signal
import threading
import time

from server import Refused, Server, Simulation

CONFIG = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    traces: {receivers: [nop], exporters: [nop]}\n"


class Operator(threading.Thread):
    """Makes configs, revisions, tokens and publications as fast as they are acknowledged, and remembers which were."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.revisions = {}
        self.tokens = set()
        self.published = None
        self.attempted = []
        self.acknowledged = 0
        self.going = True

    def run(self):
        number = 0
        while self.going:
            number += 1
            try:
                self.act(number)
            except (OSError, http.client.HTTPException, Refused, ValueError):
                time.sleep(0.01)

    def act(self, number):
        name = f"c{number % 7}"
        yaml = CONFIG + f"# {number}\n"
        known = self.revisions.get(name)
        if known is None:
            try:
                self.server.api("POST", "/api/v1/configs", {"name": name, "yaml": yaml})
            except Refused:
                # An earlier attempt was made durable although its answer was lost.
                pass
            self.revisions[name] = self.server.api("GET", f"/api/v1/configs/{name}")["latest"]
        else:
            latest = self.server.api("GET", f"/api/v1/configs/{name}")["latest"]
            saved = self.server.api("POST", f"/api/v1/configs/{name}/revisions", {"base": latest, "yaml": yaml})
            self.revisions[name] = saved["revision"]["number"]
        self.acknowledged += 1
        if number % 3 == 0:
            # One whose answer was lost may be durable all the same, until another is acknowledged.
            self.attempted.append((name, self.revisions[name]))
            self.server.api("POST", "/api/v1/groups/all/publish",
                            {"layers": [{"config": name, "revision": self.revisions[name]}],
                             "confirm": self.agents, "strategy": "all at once"})
            self.published = self.attempted[-1]
            self.attempted = [self.published]
            self.acknowledged += 1
        if number % 5 == 0:
            made = self.server.api("POST", "/api/v1/enrolment-tokens", {"note": f"n{number}"})
            self.tokens.add(made["token"]["id"])
            self.acknowledged += 1


def lost(server, operator):
    """What was acknowledged and is not there."""
    missing = []
    for name, revision in operator.revisions.items():
        there = server.api("GET", f"/api/v1/configs/{name}")["latest"]
        if there < revision:
            missing.append(f"{name}: revision {revision}, there is {there}")
    there = {token["id"] for token in server.api("GET", "/api/v1/enrolment-tokens")["tokens"]}
    missing.extend(f"token {token}" for token in operator.tokens - there)
    expected, before = operator.published, list(operator.attempted)
    published = server.api("GET", "/api/v1/groups/all")["published"]
    content = (published or {}).get("content") or {}
    layer = next(iter(content.get("layers", [])), {})
    found = (layer.get("config"), layer.get("revision"))
    # The operator goes on meanwhile.
    if expected and found not in [expected, *before, *operator.attempted]:
        missing.append(f"publication {expected}, there is {found}")
    return missing


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--agents", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments = arguments.parse_args()
    print(f"seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    server = Server(arguments.program).start()
    server.api("POST", "/api/v1/groups", {"name": "all", "selectors": ["fact.service.name != nobody"],
                                          "joins_by_facts": True})
    simulation = Simulation(arguments.program, server, arguments.agents, server.token(1000), "--ramp-up", "1s", "--heartbeat", "1s")
    assert simulation.say("wait-online 60s")["reached"]
    operator = Operator(server)
    operator.agents = arguments.agents
    operator.start()
    failures, slowest = [], 0.0
    for kill in range(arguments.kills):
        time.sleep(chance.uniform(0.2, 2.0))
        server.stop(signal.SIGKILL)
        server.start()
        slowest = max(slowest, server.listening_after)
        failures.extend(f"after kill {kill + 1}: {what}" for what in lost(server, operator))
    operator.going = False
    operator.join(10)
    assert simulation.say("wait-online 120s")["reached"], "not all agents came back"
    verdict = server.api("GET", "/api/v1/audit/verify")
    if verdict.get("verdict") != "intact":
        failures.append(f"the audit chain: {verdict}")
    figures = simulation.quit()
    print(f"{arguments.kills} kills, {operator.acknowledged} acknowledged changes, {len(failures)} lost, "
          f"listening again within {slowest:.2f} s, {figures['enrolled']} enrolments for {arguments.agents} agents")
    code = server.stop()
    for failure in failures:
        print(failure)
    print(f"{arguments.kills - bool(failures)} passed, {int(bool(failures))} failed")
    raise SystemExit(1 if failures or code else 0)


if __name__ == "__main__":
    main()
