"""The figures of performance: memory and CPU time per agent, publishing, restarts. Prints a table and JSON.

    python3 tests/bench/figures.py target/release/muster [--agents 5000]
"""

import argparse
import json
import signal
import time

from server import Server, Simulation

CONFIG = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    traces: {receivers: [nop], exporters: [nop]}\n"


def config(size):
    """A configuration of about `size` bytes."""
    lines = [f"# {number:06d} {'filler ' * 8}\n" for number in range(size // 70)]
    return CONFIG + "".join(lines)


def settle(server, seconds=6):
    """Waits until late writes are over."""
    time.sleep(seconds)
    return server.resident_kib()


def memory(server, token, agents, figures):
    few = Simulation(server, 500, token, "--ramp-up", "3s", "--seed", "1")
    assert few.say("wait-online 120s")["reached"], "500 agents don't come online"
    base = settle(server)
    many = Simulation(server, agents - 500, token, "--ramp-up", "20s", "--seed", "2")
    assert many.say("wait-online 300s")["reached"], f"{agents} agents don't come online"
    full = settle(server)
    figures["resident_kib_at_500"] = base
    figures["resident_kib_at_all"] = full
    figures["resident_kib_per_agent"] = round((full - base) / (agents - 500), 2)
    return few, many


def heartbeats(server, token, agents, figures):
    beating = Simulation(server, agents, token, "--ramp-up", "15s", "--seed", "3", "--heartbeat", "1s")
    assert beating.say("wait-online 300s")["reached"]
    settle(server, 8)
    beating.say("reset")
    commits, cpu = server.commits(), server.cpu_seconds()
    time.sleep(20)
    counted = beating.say("report")
    cpu, commits = server.cpu_seconds() - cpu, server.commits() - commits
    figures["heartbeats"] = counted["heartbeats_answered"]
    figures["cpu_us_per_heartbeat"] = round(cpu * 1e6 / max(counted["heartbeats_answered"], 1), 1)
    figures["heartbeat_p99_ms"] = counted["heartbeat"].get("p99_ms")
    figures["store_commits_meanwhile"] = commits
    beating.quit()


def publish(server, simulations, agents, figures):
    server.api("POST", "/api/v1/configs", {"name": "bench", "yaml": config(5000)})
    for simulation in simulations:
        simulation.say("reset")
    cpu, resident = server.cpu_seconds(), server.resident_kib()
    server.api("POST", "/api/v1/groups/bench/publish", {"config": "bench", "revision": 1, "confirm": agents})
    counts = [500, agents - 500]
    answers = [s.say(f"wait-verdicts {count} 120s") for s, count in zip(simulations, counts)]
    assert all(answer["reached"] for answer in answers), answers
    figures["publish_cpu_us_per_agent"] = round((server.cpu_seconds() - cpu) * 1e6 / agents, 1)
    figures["publish_first_offer_to_last_applied_ms"] = answers[1]["first_offer_to_last_applied_ms"]
    figures["publish_memory_growth_kib"] = server.resident_kib() - resident
    figures["publish_repeated_offers"] = sum(answer["offers_repeated"] for answer in answers)


def restart(server, simulations, how, name, figures):
    time.sleep(3)
    for simulation in simulations:
        simulation.say("reset")
    before = time.monotonic()
    server.stop(how)
    stopped = time.monotonic()
    server.start()
    answers = [simulation.say("wait-online 180s") for simulation in simulations]
    assert all(answer["reached"] for answer in answers), answers
    back = time.monotonic() - stopped
    time.sleep(45 if how == signal.SIGKILL else 5)
    answers = [simulation.say("report") for simulation in simulations]
    figures[name] = {
        "stop_s": round(stopped - before, 2),
        "listening_after_s": round(server.listening_after, 3),
        "all_back_after_s": round(back, 2),
        "full_state_requests": sum(a["full_state_requests"] for a in answers),
        "agents_asked_again": sum(a["agents_asked_again"] for a in answers),
        "offers": sum(a["offers"] for a in answers),
        "enrolled_again": sum(a["enrolled"] for a in answers),
    }


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--agents", type=int, default=5000)
    arguments = arguments.parse_args()
    figures = {"agents": arguments.agents}
    server = Server(arguments.program).start()
    figures["listening_after_s_empty"] = round(server.listening_after, 3)
    server.api("POST", "/api/v1/groups", {"name": "bench", "selectors": ["fact.service.name != nobody"],
                                          "joins_by_facts": True})
    token = server.token(20000)
    simulations = memory(server, token, arguments.agents, figures)
    publish(server, simulations, arguments.agents, figures)
    restart(server, simulations, signal.SIGTERM, "after_sigterm", figures)
    restart(server, simulations, signal.SIGKILL, "after_sigkill", figures)
    for simulation in simulations:
        simulation.quit()
    heartbeats(server, token, arguments.agents, figures)
    figures["stop_code"] = server.stop()
    for name, value in figures.items():
        print(f"{name:45} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
