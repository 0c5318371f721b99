// What a person does, in the words of the pages.

import assert from "node:assert/strict";

export const admin = { name: "ada", password: "seven herons over the harbour" };

/** Claims a fresh server, which signs in. */
export async function claim(reader, server) {
  const { page } = reader;
  await reader.go(server.setupPath());
  await page.getByLabel("Account name").fill(admin.name);
  await page.getByLabel("Password", { exact: true }).fill(admin.password);
  await page.getByLabel("The password again").fill(admin.password);
  await reader.press("Claim this server");
  assert.equal(await reader.heading(), "Overview");
}

export async function logIn(reader, { name, password } = admin) {
  const { page } = reader;
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await reader.press("Sign in");
}

export async function logOut(reader) {
  await reader.page.locator("header").getByRole("button", { name: "Account" }).click();
  await reader.press("Log out");
  assert.equal(await reader.heading(), "Sign in");
}

/** Makes an enrolment token on the page Add agents, which stays open, and returns its secret. */
export async function addAgents(reader, { hosts = 1, group, labels, behind } = {}) {
  const { page } = reader;
  await reader.go("/agents/add");
  await page.getByLabel("Any other OpAMP client").check();
  await page.getByLabel("How many hosts").fill(String(hosts));
  if (group) await page.getByLabel("Group").selectOption(group);
  if (labels) await page.getByLabel("Labels").fill(labels);
  if (behind) {
    await page.getByText("Gateways, networks, note").click();
    await page.getByRole("textbox", { name: "Agents behind one credential" }).fill(String(behind));
  }
  await reader.press("Make the line to paste");
  const secret = /mst_enrol[a-z]*_[a-z0-9]+/.exec(await page.locator("main").innerText());
  assert.ok(secret, "no token on the page");
  return secret[0];
}

/** Types a document into the form of a config, in the editor where there is script and in the text area otherwise. */
export async function typeConfig(reader, text) {
  const { page } = reader;
  const area = page.locator("textarea[name=content]");
  if (!reader.script) return area.fill(text);
  const editor = page.locator(".cm-content");
  await editor.waitFor();
  await editor.fill(text);
  assert.equal((await area.inputValue()).trimEnd(), text.trimEnd(), "the text area follows the editor");
}

export async function makeConfig(reader, name, text, description = "") {
  const { page } = reader;
  await reader.go("/configs/-/new");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Description").fill(description);
  await typeConfig(reader, text);
  await reader.press("Make config");
}

export async function saveRevision(reader, name, text, message) {
  const { page } = reader;
  await reader.go(`/configs/${name}/edit`);
  await typeConfig(reader, text);
  await page.getByLabel("Why").fill(message);
  await reader.press(/^Save revision/);
}

export async function makeGroup(reader, name, { selectors = "", config = "", description = "", priority = "10", byFacts = false } = {}) {
  const { page } = reader;
  await reader.go("/groups/-/new");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Description").fill(description);
  await page.getByLabel("Selectors").fill(selectors);
  await page.getByLabel("Priority").fill(priority);
  if (byFacts) await page.getByLabel("Let agents join by their facts").check();
  if (config) await page.getByLabel("Layers").fill(config);
  await reader.press("Make group");
}

/** Fills in that it goes out in stages: rows of how far, how long each stays well, and how long it may take. */
export async function inStages(reader, rows, { atRisk, tolerate, onFailure, silence, grace } = {}) {
  const { page } = reader;
  await page.getByRole("radio", { name: /^In these stages/ }).check();
  const shown = await page.getByLabel(/^How far of stage/).count();
  for (let at = 0; at < shown; at += 1) {
    const cells = rows[at] ?? ["", "", ""];
    for (const [which, label] of ["How far", "How long each stays well", "How long each may take"].entries()) {
      await page.getByLabel(`${label} of stage ${at + 1}`, { exact: true }).fill(cells[which] ?? "");
    }
  }
  if (atRisk) await page.getByLabel("At risk at once").fill(atRisk);
  if (tolerate) await page.getByLabel("Failures that are tolerated").fill(tolerate);
  if (onFailure) await page.getByLabel("When more fail").selectOption(onFailure);
  if (silence || grace) {
    await page.getByText("When an agent counts as failed").click();
    if (silence) await page.getByLabel("Silent for").fill(silence);
    if (grace) await page.getByLabel("Unhealthy for").fill(grace);
  }
}

/** Types the number of agents, where the page asks for it. */
export async function confirmNumber(reader) {
  const confirm = reader.page.getByLabel("Number of agents");
  if (!(await confirm.isVisible())) return;
  const words = await reader.page.locator("#confirm-help").innerText();
  await confirm.fill(/[Tt]ype (?:that number, )?(\d+)|, (\d+), to go on/.exec(words).slice(1).find(Boolean));
}

/** Publishes a revision to a group, to everybody at once, by way of the page that shows what it does. */
export async function publish(reader, group, config, revision, message = "") {
  const { page } = reader;
  await reader.go(`/publish?group=${group}&config=${config}&revision=${revision}`);
  await page.getByLabel("Why").fill(message);
  await page.getByRole("radio", { name: /^All at once/ }).check();
  await confirmNumber(reader);
  await reader.press(new RegExp(`^Send revision ${revision} of `));
}

/** A collector's configuration that says something of its own. */
export const collector = (endpoint) => `receivers:
  otlp:
    protocols:
      grpc:
        endpoint: ${endpoint}
exporters:
  debug:
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
`;
