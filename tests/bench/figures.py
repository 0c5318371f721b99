"""The figures of performance: memory and CPU time per agent, publishing, restarts; and the same load on a bare TLS
WebSocket echo server (tests/bench/echo.rs), for comparison. Prints a table and JSON.

    cargo build --release --bin muster --example echo
    python3 tests/bench/figures.py target/release/muster [--agents 5000]

CPU times and resident memory are the server's own; times are those of the clock and depend on what else runs here.
"""

import argparse
import json
import os
import signal
import time

from server import Echo, Server, Simulation

CONFIG = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    traces: {receivers: [nop], exporters: [nop]}\n"
FEW = 500


def config(size):
    """A configuration of about `size` bytes."""
    lines = [f"# {number:06d} {'filler ' * 8}\n" for number in range(size // 70)]
    return CONFIG + "".join(lines)


def settle(seconds=15):
    """Waits until every agent had a heartbeat and late writes are over."""
    time.sleep(seconds)


def memory(program, server, token, agents, cache_kib):
    """Resident memory for each agent between a few and all, after a full status of 6.4 KB and a heartbeat."""
    few = Simulation(program, server, FEW, token, "--ramp-up", "3s", "--seed", "1", "--heartbeat", "10s")
    assert few.say("wait-online 120s")["reached"], f"{FEW} agents don't come online"
    settle()
    base, base_cache = server.resident_kib(), cache_kib()
    cpu = server.cpu_seconds()
    many = Simulation(program, server, agents - FEW, token, "--ramp-up", "20s", "--seed", "2", "--heartbeat", "10s")
    assert many.say("wait-online 300s")["reached"], f"{agents} agents don't come online"
    joined = server.cpu_seconds() - cpu
    settle()
    full, full_cache = server.resident_kib(), cache_kib()
    more = agents - FEW
    return [few, many], {
        "resident_kib_at_500": base,
        "resident_kib_at_all": full,
        "resident_kib_per_agent": round((full - base) / more, 2),
        "of_it_store_cache_kib_per_agent": round((full_cache - base_cache) / more, 2),
        "cpu_us_per_join": round(joined * 1e6 / more, 1),
    }


def heartbeats(program, server, token, agents, commits):
    """CPU time for each heartbeat, TLS included."""
    beating = Simulation(program, server, agents, token, "--ramp-up", "15s", "--seed", "3", "--heartbeat", "1s")
    assert beating.say("wait-online 300s")["reached"]
    settle(8)
    beating.say("reset")
    before, cpu = commits(), server.cpu_seconds()
    time.sleep(20)
    counted = beating.say("report")
    cpu, written = server.cpu_seconds() - cpu, commits() - before
    beating.quit()
    return {
        "heartbeats": counted["heartbeats_answered"],
        "cpu_us_per_heartbeat": round(cpu * 1e6 / max(counted["heartbeats_answered"], 1), 1),
        "heartbeat_p99_ms": counted["heartbeat"].get("p99_ms"),
        "store_commits_meanwhile": written,
    }


def reference(program, echo, agents):
    """Memory and heartbeats of the bare server."""
    server = Echo(echo)
    simulations, figures = memory(program, server, "mst_agent_any", agents, lambda: 0)
    for simulation in simulations:
        simulation.quit()
    figures |= heartbeats(program, server, "mst_agent_any", agents, lambda: 0)
    server.stop(signal.SIGINT)
    return {name: figures[name] for name in (
        "resident_kib_per_agent", "cpu_us_per_join", "cpu_us_per_heartbeat", "heartbeat_p99_ms")}


def publish(server, simulations, agents):
    """A publication of 5 KB to all, answers included."""
    server.api("POST", "/api/v1/configs", {"name": "bench", "yaml": config(5000)})
    for simulation in simulations:
        simulation.say("reset")
    before, cpu, resident = server.metrics(), server.cpu_seconds(), server.resident_kib()
    server.api("POST", "/api/v1/groups/bench/publish", {
        "layers": [{"config": "bench", "revision": 1}], "confirm": agents, "strategy": "all at once"})
    counts = [FEW, agents - FEW]
    answers = [s.say(f"wait-verdicts {count} 120s") for s, count in zip(simulations, counts)]
    assert all(answer["reached"] for answer in answers), answers
    cpu, after = server.cpu_seconds() - cpu, server.metrics()
    grown = lambda name: after[name] - before[name]
    return {
        "publish_cpu_us_per_agent": round(cpu * 1e6 / agents, 1),
        "publish_first_offer_to_last_applied_ms": answers[1]["first_offer_to_last_applied_ms"],
        "publish_memory_growth_kib": server.resident_kib() - resident,
        "publish_repeated_offers": sum(answer["offers_repeated"] for answer in answers),
        "publish_store_commits": int(grown("muster_store_commits_total")),
        "publish_store_rows": int(grown("muster_store_rows_total")),
    }


def restart(server, simulations, how):
    """A stop and a start: how long until all are back, and who was asked for its full state."""
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
    return {
        "stop_s": round(stopped - before, 2),
        "listening_after_s": round(server.listening_after, 3),
        "all_back_after_s": round(back, 2),
        "full_state_requests": sum(a["full_state_requests"] for a in answers),
        "agents_asked_again": sum(a["agents_asked_again"] for a in answers),
        "offers": sum(a["offers"] for a in answers),
        "enrolled_again": sum(a["enrolled"] for a in answers),
    }


def compare(figures):
    """The server beside the reference."""
    bare = figures["reference"]
    ratio = figures["cpu_us_per_heartbeat"] / bare["cpu_us_per_heartbeat"]
    figures["heartbeat_cpu_to_reference"] = round(ratio, 2)
    figures["kib_per_agent_above_reference"] = round(
        figures["resident_kib_per_agent"] - bare["resident_kib_per_agent"], 2)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--agents", type=int, default=5000)
    arguments.add_argument("--echo", help="the reference; beside the program in examples/ unless named")
    arguments = arguments.parse_args()
    program, agents = arguments.program, arguments.agents
    echo = arguments.echo or os.path.join(os.path.dirname(program), "examples", "echo")
    server = Server(program).start()
    figures = {"agents": agents, "listening_after_s_empty": round(server.listening_after, 3)}
    server.api("POST", "/api/v1/groups", {"name": "bench", "selectors": ["fact.service.name != nobody"],
                                          "joins_by_facts": True})
    token = server.token(20000)
    cache_kib = lambda: server.metrics()["muster_store_cache_bytes"] / 1024
    simulations, found = memory(program, server, token, agents, cache_kib)
    figures |= found
    figures |= publish(server, simulations, agents)
    figures["after_sigterm"] = restart(server, simulations, signal.SIGTERM)
    figures["after_sigkill"] = restart(server, simulations, signal.SIGKILL)
    for simulation in simulations:
        simulation.quit()
    figures |= heartbeats(program, server, token, agents, server.commits)
    figures["stop_code"] = server.stop()
    if os.path.exists(echo):
        figures["reference"] = reference(program, echo, agents)
        compare(figures)
    else:
        print(f"no reference to compare with: {echo} is not built\n")
    for name, value in figures.items():
        if isinstance(value, dict):
            for part, number in value.items():
                print(f"{name + ': ' + part:45} {number}")
        else:
            print(f"{name:45} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
