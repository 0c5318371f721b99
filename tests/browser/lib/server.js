// A server of our own with an empty data folder, and what its log says.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const here = import.meta.dirname;
export const binary = process.env.MUSTER_BIN ?? path.resolve(here, "../../../target/debug/muster");

// The server takes every variable that begins so for a setting of its own.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MUSTER_")));

/** Starts `muster serve` on ports of the system's choice. */
export async function serve({ site = "Muster" } = {}) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run cargo build, or say where it is in MUSTER_BIN`);
  const data = mkdtempSync(path.join(tmpdir(), "muster-browser-"));
  const flags = ["--data", data, "--agent-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--site-name", site, "--name", "localhost"];
  const child = spawn(binary, ["serve", ...flags], { env: environment, stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const log = [];
  const listening = new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      const record = parsed(line);
      log.push(record);
      // The link for the setup is told last.
      if (record.message?.includes("has claimed this server")) resolve(log.find((one) => one.message === "listening"));
    });
    exited.then((code) => reject(new Error(`muster serve ended with ${code}:\n${log.map((one) => JSON.stringify(one)).join("\n")}`)));
  });
  const { agent_address, admin_address } = await listening;
  const port = (address) => Number(address.slice(address.lastIndexOf(":") + 1));
  return {
    data,
    log,
    origin: `https://localhost:${port(admin_address)}`,
    agents: { port: port(agent_address), endpoint: `wss://localhost:${port(agent_address)}/v1/opamp` },
    ca: path.join(data, "ca.pem"),
    /** The path of the setup link, which a person is told by the terminal or this file. */
    setupPath: () => {
      const link = new URL(readFileSync(path.join(data, "setup-link"), "utf8").trim());
      return link.pathname + link.search;
    },
    /** What the server itself thought was wrong. */
    errors: () => log.filter((record) => record.level === "ERROR"),
    stop: async () => {
      child.kill("SIGTERM");
      const code = await exited; // at once, when it was stopped before
      rmSync(data, { recursive: true, force: true });
      return code;
    },
  };
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return { level: "ERROR", message: `not a line of JSON: ${line}` };
  }
}

/** What a host does with an enrolment token: exchanges it for a credential. */
export function enrol(server, token, host) {
  const body = JSON.stringify({ host });
  const request = {
    host: "127.0.0.1",
    port: server.agents.port,
    servername: "localhost",
    path: "/v1/enroll",
    method: "POST",
    ca: readFileSync(server.ca),
    headers: { authorization: `Bearer ${token}`, "content-length": Buffer.byteLength(body) },
  };
  return new Promise((resolve, reject) => {
    const sent = https.request(request, (response) => {
      let text = "";
      response.on("data", (piece) => { text += piece; });
      response.on("end", () => {
        if (response.statusCode === 201) resolve(JSON.parse(text));
        else reject(new Error(`enrolment of ${host} answered ${response.statusCode}: ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
