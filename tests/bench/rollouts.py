"""Rollouts over many agents that misbehave: how many hosts a bad configuration breaks, and whether all are well again.

    python3 tests/bench/rollouts.py PROGRAM [--agents 1000] [--kills 50] [--only NAME]

Times are short: what takes minutes in earnest takes seconds here. Exits with 1 when a promise is broken.
"""

import argparse
import json
import random
import signal
import sys
import time

from server import Server, Simulation

GOOD = """receivers:
  nop:
exporters:
  nop:
service:
  pipelines:
    metrics:
      receivers: [nop]
      exporters: [nop]
"""
STRATEGY = {
    "stages": [
        {"size": "1", "soak_seconds": 6, "deadline_seconds": 60},
        {"size": "10%", "soak_seconds": 2, "deadline_seconds": 60},
        {"size": "50%", "soak_seconds": 1, "deadline_seconds": 60},
        {"size": "all", "soak_seconds": 1, "deadline_seconds": 60},
    ],
    "at_risk": "1+1%",
    "silence_seconds": 5,
    "grace_seconds": 2,
}
TOUCHED = ("failed", "dark", "rolling_back", "rolled_back", "proving", "ok")


class Fleet:
    """A server with agents that all run a good configuration."""

    def __init__(self, program, agents, mix, *more):
        self.agents = agents
        self.server = Server(program).start()
        self.server.api("POST", "/api/v1/groups", {"name": "fleet"})
        token = self.server.api("POST", "/api/v1/enrolment-tokens", {
            "many": agents, "uses": 10, "valid_seconds": 86400, "group": "fleet"})["secret"]
        self.simulation = Simulation(program, self.server, agents, token, "--behaviour", mix, "--only-with", "BREAK",
                                     "--heartbeat", "1s", "--ramp-up", "2s", "--seed", "7", "--status-bytes", "2500",
                                     *more)
        assert self.simulation.say("wait-online 120s")["reached"]
        self.publish("base", GOOD, "all at once")
        assert self.simulation.say(f"wait-verdicts {agents} 120s")["reached"]
        self.simulation.say("reset")

    def publish(self, name, yaml, strategy):
        self.server.api("POST", "/api/v1/configs", {"name": name, "yaml": yaml})
        wish = {"layers": [{"config": name, "revision": 1}], "strategy": strategy, "confirm": self.agents}
        return self.server.api("POST", "/api/v1/groups/fleet/publish", wish)["rollout"]

    def rollout(self, number):
        return self.server.api("GET", f"/api/v1/rollouts/{number}")

    def outcome(self, number, patience, each=lambda: None):
        """The rollout once it is over or paused."""
        begun = time.monotonic()
        while True:
            found = self.rollout(number)
            if found["state"] in ("ended", "paused"):
                found["seconds"] = time.monotonic() - begun
                return found
            assert time.monotonic() - begun < patience, found["waits"]
            each()
            time.sleep(0.5)

    def healthy(self):
        """Agents that are connected, well, and run what they should."""
        return self.server.api("GET", "/api/v1/agents?filter=status%20%3D%20healthy&limit=1")["matching"]

    def settle(self, count, seconds=60):
        """Waits until so many are well; how many are."""
        until = time.monotonic() + seconds
        while self.healthy() < count and time.monotonic() < until:
            time.sleep(0.5)
        return self.healthy()

    def end(self):
        figures = self.simulation.say("report")
        self.simulation.quit()
        self.server.stop()
        return figures


def verdicts(rollout):
    counted = {}
    for agent in rollout["agents"]:
        counted[agent["verdict"]] = counted.get(agent["verdict"], 0) + 1
    return counted


def patient(seconds):
    """The strategy with so long a deadline in each stage."""
    return STRATEGY | {"stages": [stage | {"deadline_seconds": seconds} for stage in STRATEGY["stages"]]}


def run(program, agents, name, mix, more=(), content=GOOD + "# BREAK\n", expect="rolled_back", broken=0, heals=True,
        strategy=STRATEGY):
    """One rollout. At most so many hosts may break; when they heal, all must be well in the end."""
    fleet = Fleet(program, agents, mix, *more)
    number = fleet.publish("next", content, strategy)
    found = fleet.outcome(number, 3600)
    counted = verdicts(found)
    touched = sum(counted.get(verdict, 0) for verdict in TOUCHED)
    failed = counted.get("failed", 0) + counted.get("dark", 0)
    healthy = fleet.settle(agents if heals else agents - failed, 60 if heals else 10)
    figures = fleet.end()
    ended = found.get("how", found["state"])
    print(json.dumps({"scenario": name, "ended": ended, "seconds": round(found["seconds"], 1), "given it": touched,
                      "broken": failed, "well again": healthy, "of": agents,
                      "offered again": figures["offers_repeated"], "verdicts": counted}), flush=True)
    wrong = []
    if ended != expect:
        wrong.append(f"{name}: {ended}, not {expect}: {found['waits']}")
    if failed > broken:
        wrong.append(f"{name}: {failed} broken, at most {broken} may be")
    # Who vanished is counted whether or not the rollout had noticed it when it turned back.
    if healthy < (agents if heals else agents - broken):
        wrong.append(f"{name}: only {healthy} are well")
    return wrong


def killed(program, agents, kills):
    """The server is killed again and again in the middle of stages."""
    fleet = Fleet(program, agents, "healthy=1")
    number = fleet.publish("next", GOOD + "# better\n", STRATEGY | {"silence_seconds": 60})
    done, chance = [0], random.Random(7)

    def kill():
        if done[0] >= kills:
            return
        time.sleep(chance.uniform(0.2, 1.5))
        fleet.server.stop(signal.SIGKILL)
        fleet.server.start()
        done[0] += 1

    found = fleet.outcome(number, 3600, kill)
    figures = fleet.end()
    ended = found.get("how", found["state"])
    print(json.dumps({"scenario": "killed", "kills": done[0], "ended": ended, "seconds": round(found["seconds"], 1),
                      "applied": figures["configurations_applied"] if "configurations_applied" in figures else None,
                      "offered again": figures["offers_repeated"], "of": agents}), flush=True)
    wrong = []
    if ended != "succeeded":
        reasons = [agent["reason"] for agent in found["agents"] if agent["verdict"] in ("failed", "dark")]
        wrong.append(f"killed: {ended}: {found['waits']} {reasons} {found['history']}")
    if figures["offers_repeated"]:
        wrong.append(f"killed: {figures['offers_repeated']} agents were told twice")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", action="append")
    arguments = parser.parse_args()
    program, agents = arguments.program, arguments.agents
    one_percent = 1 + agents // 100
    away = ("--away", "20s")
    scenarios = {
        "good": lambda: run(program, agents, "good", "healthy=1", expect="succeeded", broken=0),
        "refuses": lambda: run(program, agents, "refuses", "fails=1", broken=1),
        "kills all": lambda: run(program, agents, "kills all", "lies=1", broken=1),
        "crashes": lambda: run(program, agents, "crashes", "crashes=1", broken=1),
        "kills a third": lambda: run(program, agents, "kills a third", "healthy=7,lies=3", broken=one_percent),
        "refused by a third": lambda: run(program, agents, "refused by a third", "healthy=7,fails=3",
                                          broken=one_percent),
        "vanishing": lambda: run(program, agents, "vanishing", "healthy=7,vanishes=3", away, broken=one_percent),
        "dark": lambda: run(program, agents, "dark", "healthy=7,dark=3", broken=one_percent, heals=False),
        "flapping": lambda: run(program, agents, "flapping", "healthy=7,flaps=3", broken=one_percent),
        "dies later": lambda: run(program, agents, "dies later", "dies=1", ("--dies-after", "4s"), broken=1),
        "slow": lambda: run(program, agents, "slow", "healthy=9,slow=1", ("--slow-by", "5s"), expect="succeeded",
                            broken=0),
        "slow by minutes": lambda: run(program, agents, "slow by minutes", "healthy=99,slow=1", ("--slow-by", "300s"),
                                       expect="succeeded", broken=0, strategy=patient(420)),
        "offline": lambda: run(program, agents, "offline", "healthy=9,offline=1", away, expect="succeeded", broken=0),
        "rekeying": lambda: run(program, agents, "rekeying", "healthy=9,rekeys=1", expect="succeeded", broken=0),
        "killed": lambda: killed(program, agents, arguments.kills),
    }
    wrong = []
    for name, scenario in scenarios.items():
        if not arguments.only or name in arguments.only:
            wrong.extend(scenario())
    for line in wrong:
        print("BROKEN:", line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
