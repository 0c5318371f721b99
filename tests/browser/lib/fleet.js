// A small fleet as one finds it on a working day: most of it well, some of it not.

import { join } from "./agent.js";
import { addAgents, makeConfig, makeGroup, publish, saveRevision } from "./flows.js";

const edge = (more) => `# Every host at the edge: its own metrics and logs, to the gateway of its region.
receivers:
  hostmetrics:
    collection_interval: 30s
    scrapers:
      cpu:
      memory:
      disk:
  otlp:
    protocols:
      grpc:
        endpoint: localhost:4317
processors:
  batch:
exporters:
  otlphttp:
    endpoint: https://gateway.example.net:4318
${more}service:
  pipelines:
    metrics:
      receivers: [hostmetrics, otlp]
      processors: [batch]
      exporters: [otlphttp]
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlphttp]
`;

const gateway = `# Gateways take what the edge sends and pass it on.
receivers:
  otlp:
    protocols:
      http:
        endpoint: 0.0.0.0:4318
processors:
  batch:
exporters:
  otlphttp:
    endpoint: https://telemetry.example.com
service:
  pipelines:
    metrics:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlphttp]
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlphttp]
`;

const machines = {
  "os.description": "Debian GNU/Linux 13 (trixie)", "host.arch": "amd64", "service.version": "0.140.0",
};

/** Makes configs, groups and twelve agents in different states; returns the agents by host name. */
export async function prepare(reader, server) {
  await makeConfig(reader, "edge", edge(""), "Metrics and traces of hosts at the edge");
  await makeConfig(reader, "gateway", gateway, "What gateways take in and pass on");
  await makeGroup(reader, "edge", { selectors: "label.role = edge", config: "edge", description: "Web and shop hosts in both regions" });
  await makeGroup(reader, "gateways", { selectors: "label.role = gateway", config: "gateway", priority: "20", description: "One gateway for each region" });

  const agents = {};
  const add = async (token, host, more = {}) => {
    agents[host] = await join(server, token, host, { ...more, attributes: { ...machines, ...more.attributes } });
  };
  const fra = await addAgents(reader, { hosts: 4, labels: "role = edge\nregion = fra" });
  const ams = await addAgents(reader, { hosts: 4, labels: "role = edge\nregion = ams" });
  const gateways = await addAgents(reader, { hosts: 2, labels: "role = gateway" });
  const others = await addAgents(reader, { hosts: 2 });
  const refuses = ["--fail-on", "encoding", "--fail-with", "exporters::otlphttp has invalid keys: encoding (line 18)"];
  await Promise.all([
    ...["web-fra-01", "web-fra-02", "web-fra-03", "shop-fra-01"].map((host) => add(fra, host)),
    ...["web-ams-01", "web-ams-03", "shop-ams-01"].map((host) => add(ams, host)),
    add(ams, "web-ams-02", { flags: refuses, attributes: { "service.version": "0.121.0" } }),
    add(gateways, "gateway-ams"),
    add(gateways, "gateway-fra", { flags: ["--apply-delay", "3600"] }),
    add(others, "build-07", { attributes: { "os.description": "Ubuntu 24.04.3 LTS" } }),
    add(others, "nas-cellar", { attributes: { "os.description": "Alpine Linux v3.22", "host.arch": "arm64" } }),
  ]);

  await publish(reader, "edge", "edge", 1, "everybody starts here");
  await publish(reader, "gateways", "gateway", 1, "take in what the edge sends");
  const edges = Object.values(agents).filter(({ host }) => /^(web|shop)/.test(host));
  await Promise.all(edges.map((agent) => agent.until("status_sent", ({ status }) => status === "APPLIED")));
  await saveRevision(reader, "edge", edge("    encoding: json\n"), "send JSON, which the gateway's log shows readably");
  await publish(reader, "edge", "edge", 2, "JSON to the gateways");
  await Promise.all(edges.map((agent) => agent.until("status_sent", ({ status }) => status !== "APPLYING", agent.events.length - 3)));
  agents["shop-fra-01"].tell("health bad exporter otlphttp: Post \"https://gateway.example.net:4318/v1/metrics\": connection refused");
  await agents["web-ams-03"].stop();
  delete agents["web-ams-03"];
  return agents;
}
