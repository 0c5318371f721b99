// Real agents: the published opamp-go client with flags and events of ours (tests/interop).

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";

import { enrol } from "./server.js";

const here = import.meta.dirname;
const folders = process.env.MUSTER_INTEROP_BIN
  ? [process.env.MUSTER_INTEROP_BIN]
  : [path.resolve(here, "../../interop/bin"), path.resolve(here, "../../../target/interop-peers")];

function program() {
  const found = folders.map((folder) => path.join(folder, "opamp-client")).find((file) => existsSync(file));
  if (!found) {
    throw new Error(`no opamp-client in ${folders.join(" or ")}: build it with tests/interop/build.sh, or name its folder in MUSTER_INTEROP_BIN`);
  }
  return found;
}

/** Enrols a host with a token and starts its agent. `attributes` go into its description. */
export async function join(server, token, host, { attributes = {}, flags = [] } = {}) {
  const { credential } = await enrol(server, token, host);
  const told = Object.entries({ "host.name": host, ...attributes }).flatMap(([key, value]) => ["--attr", `${key}=${value}`]);
  const child = spawn(program(), [
    "--endpoint", server.agents.endpoint, "--ca", server.ca, "--header", `Authorization=Bearer ${credential}`,
    "--name", "otelcol-contrib", "--effective", "--components", "--heartbeat", "5", "--stop-on-eof", ...told, ...flags,
  ], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const events = [];
  const waiting = new Set();
  createInterface({ input: child.stdout }).on("line", (line) => {
    events.push(JSON.parse(line));
    waiting.forEach((look) => look());
  });
  const agent = {
    host,
    credential,
    events,
    /** Tells the agent something: see the README of tests/interop for the verbs. */
    tell: (line) => child.stdin.write(`${line}\n`),
    /** Waits for an event that fits, from the beginning or from the number of events given. */
    until: (event, fits = () => true, from = 0, limit_ms = 10_000) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(new Error(`${host} had no ${event} in ${limit_ms} ms; the last events: ${JSON.stringify(events.slice(-5))}`));
      }, limit_ms);
      const look = () => {
        const found = events.slice(from).find((one) => one.event === event && fits(one));
        if (!found) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    }),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
  await agent.until("connected");
  return agent;
}
