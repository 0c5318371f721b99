// Many agents at once: `muster simulate`, which enrols them with a token and misbehaves as it is told.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { binary } from "./server.js";

/** Starts so many agents. `flags` say how they behave. */
export async function simulate(server, token, agents, flags = []) {
  const child = spawn(binary, [
    "simulate", "--server", `https://localhost:${server.agents.port}`, "--ca", server.ca, "--agents", String(agents),
    "--ramp-up", "0s", "--heartbeat", "1s", "--duration", "30m", "--seed", "7", "--longest-wait", "1s", "--control", ...flags,
  ], { env: { ...process.env, MUSTER_TOKEN: token }, stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const simulation = {
    /** Says a line of its control, and gives the figures that answer it. */
    say: async (line) => {
      child.stdin.write(`${line}\n`);
      const { value, done } = await answers.next();
      assert.ok(!done, `the simulation ended at ${line}`);
      return JSON.parse(value);
    },
    stop: async () => {
      child.stdin.end();
      assert.equal(await exited, 0);
    },
  };
  assert.equal((await simulation.say("wait-online 60s")).reached, true);
  return simulation;
}
