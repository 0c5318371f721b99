"""Kills the server again and again under simulated agents and an operator's changes: nothing acknowledged may be lost,
neither to the operator (configs, publications, tokens, enrolments, labels, holds, revocations) nor to an agent (what it
said became of a configuration), and nobody enrols twice.

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


def varint(number):
    """A number in Protobuf."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def field(number, value):
    """A field of a Protobuf message: bytes, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


class Witness(threading.Thread):
    """An agent that says of configurations that they failed, each time for another reason, and remembers which of them
    was the last that the server answered."""

    REPORTS_STATUS_AND_REMOTE_CONFIG = 0x1001

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        enrolled = server.enrol("witness")
        self.agent, self.credential = enrolled["agent_id"], enrolled["credential"]
        self.said = self.answered = 0
        self.going = True

    def run(self):
        while self.going:
            self.said += 1
            try:
                if self.say(self.said):
                    self.answered = self.said
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)

    def say(self, number):
        status = field(1, b"none of yours") + field(2, 3) + field(3, str(number).encode())
        message = (field(1, b"witness" + bytes(9)) + field(2, number)
                   + field(4, self.REPORTS_STATUS_AND_REMOTE_CONFIG) + field(7, status))
        code, answer = self.server.post("/v1/opamp", self.credential, "application/x-protobuf", message)
        # After the uid of 16 bytes, an error would be the next field.
        return code == 200 and answer[18:19] != b"\x12"

    def lost(self):
        answered = self.answered
        acknowledged = self.server.api("GET", f"/api/v1/agents/{self.agent}")["delivery"].get("acknowledged") or {}
        found = int(acknowledged.get("error") or 0)
        return [f"verdict {answered}, there is {found}"] if found < answered else []


class Operator(threading.Thread):
    """Makes configs, revisions, tokens, publications and hosts, labels, holds and revokes hosts, all as fast as it is
    acknowledged, and remembers what was."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.revisions = {}
        self.tokens = set()
        self.hosts = []
        self.begun_hosts = 0
        self.labels, self.holds, self.revoked = {}, {}, set()
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
        if number % 7 == 0 and len(self.hosts) < 40:
            self.begun_hosts += 1
            self.hosts.append(self.server.enrol(f"host-{number}")["agent_id"])
            self.acknowledged += 1
        if self.hosts:
            self.act_on_a_host(self.hosts[number % len(self.hosts)], number)

    def act_on_a_host(self, host, number):
        path = f"/api/v1/agents/{host}/acts"
        if host in self.revoked:
            return
        if number % 11 == 0:
            self.server.api("POST", path, {"act": "revoke"})
            self.revoked.add(host)
        elif number % 2 == 0:
            self.server.api("POST", path, {"act": "label", "set": {"number": str(number)}})
            self.labels[host] = number
        else:
            self.server.api("POST", path, {"act": "hold", "reason": str(number)})
            self.holds[host] = number
        self.acknowledged += 1

    def lost_of_hosts(self):
        """What was acknowledged of hosts and is not there. What was attempted later may be."""
        missing = []
        labels, holds, revoked = dict(self.labels), dict(self.holds), set(self.revoked)
        for host in list(self.hosts):
            try:
                known = self.server.api("GET", f"/api/v1/agents/{host}")["registration"]
            except Refused as refused:
                missing.append(f"host {host}: {refused}")
                continue
            label = int(known.get("labels", {}).get("number", 0))
            hold = int((known.get("suspension") or {}).get("reason") or 0)
            if label < labels.get(host, 0):
                missing.append(f"host {host}: label {labels[host]}, there is {label}")
            if hold < holds.get(host, 0):
                missing.append(f"host {host}: hold {holds[host]}, there is {hold}")
            if host in revoked and known["standing"]["state"] != "revoked":
                missing.append(f"host {host}: revoked, there is {known['standing']}")
        return missing


def lost(server, operator):
    """What was acknowledged and is not there."""
    # What was acknowledged until now: the operator goes on meanwhile.
    tokens, revisions = set(operator.tokens), dict(operator.revisions)
    missing = []
    for name, revision in revisions.items():
        there = server.api("GET", f"/api/v1/configs/{name}")["latest"]
        if there < revision:
            missing.append(f"{name}: revision {revision}, there is {there}")
    there = {token["id"] for token in server.api("GET", "/api/v1/enrolment-tokens")["tokens"]}
    missing.extend(f"token {token}" for token in tokens - there)
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
    simulation = Simulation(arguments.program, server, arguments.agents, server.token_for_each(arguments.agents), "--ramp-up", "1s", "--heartbeat", "1s")
    assert simulation.say("wait-online 60s")["reached"]
    operator = Operator(server)
    operator.agents = arguments.agents
    operator.start()
    witness = Witness(server)
    witness.start()
    failures, slowest = [], 0.0
    for kill in range(arguments.kills):
        time.sleep(chance.uniform(0.2, 2.0))
        server.stop(signal.SIGKILL)
        server.start()
        slowest = max(slowest, server.listening_after)
        missing = lost(server, operator) + operator.lost_of_hosts() + witness.lost()
        failures.extend(f"after kill {kill + 1}: {what}" for what in missing)
    operator.going = witness.going = False
    operator.join(10)
    witness.join(10)
    assert simulation.say("wait-online 120s")["reached"], "not all agents came back"
    verdict = server.api("GET", "/api/v1/audit/verify")
    if verdict.get("verdict") != "intact":
        failures.append(f"the audit chain: {verdict}")
    figures = simulation.quit()
    if figures["enrolled"] != arguments.agents:
        failures.append(f"{figures['enrolled']} enrolments of {arguments.agents} agents")
    records = server.api("GET", "/api/v1/agents")["matching"]
    least, most = (arguments.agents + 1 + hosts for hosts in (len(operator.hosts), operator.begun_hosts))
    if not least <= records <= most:
        failures.append(f"{records} records, not {least} to {most}")
    if not (witness.answered and operator.labels and operator.holds):
        failures.append("too few acts to show anything")
    print(f"{arguments.kills} kills, {operator.acknowledged} acknowledged changes and {witness.answered} verdicts, "
          f"{len(failures)} lost, listening again within {slowest:.2f} s, "
          f"{figures['enrolled']} enrolments for {arguments.agents} agents")
    code = server.stop()
    for failure in failures:
        print(failure)
    print(f"{arguments.kills - bool(failures)} passed, {int(bool(failures))} failed")
    raise SystemExit(1 if failures or code else 0)


if __name__ == "__main__":
    main()
