// Two people: one makes an account for the other, protects a group and publishes to it; the other looks at what it does and
// approves it. Only then is an agent sent anything.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, reader } from "./lib/browser.js";
import { addAgents, claim, collector, confirmNumber, logIn, makeConfig, makeGroup } from "./lib/flows.js";
import { takePicture } from "./lib/picture.js";
import { serve } from "./lib/server.js";
import { simulate } from "./lib/simulation.js";

const bert = { name: "bert", password: "nine grey boats at anchor" };

let browser, server, ada, other, simulation;

before(async () => {
  server = await serve({ site: "Harbour" });
  browser = await launch();
  ada = await reader(browser, server, { width: 1440 });
  other = await reader(browser, server, { width: 390 });
  await claim(ada, server);
});
after(async () => {
  await simulation?.stop();
  await browser?.close();
  const code = await server?.stop();
  assert.equal(code, 0);
  assert.deepEqual(server.errors(), []);
});

test("an admin makes an account for somebody else, who chooses a password", async () => {
  const { page } = ada;
  await ada.go("/users");
  await takePicture(page, "approval-users-alone");
  await ada.follow("Make an account");
  await page.getByLabel("Name", { exact: true }).fill(bert.name);
  await page.getByLabel("Role").selectOption("deployer");
  await takePicture(page, "approval-user-new");
  await ada.press("Make the account");
  const first = (await page.locator("main pre, main code").first().innerText()).trim();
  assert.match(first, /^[\w-]{20}$/);

  await other.go("/login");
  await logIn(other, { ...bert, password: first });
  assert.match(await other.page.locator("main").innerText(), /you only look for now/);
  await other.go("/account");
  await other.page.getByLabel("Present password").fill(first);
  await other.page.getByLabel("New password", { exact: true }).fill(bert.password);
  await other.page.getByLabel("The new password again").fill(bert.password);
  await other.press("Change password");
  await other.go("/");
  assert.doesNotMatch(await other.page.locator("main").innerText(), /you only look for now/);
  await ada.go("/users/bert");
  await takePicture(page, "approval-user");
});

test("what is published to a protected group is proposed, and its author can't approve it", async () => {
  const { page } = ada;
  await makeConfig(ada, "edge", collector("localhost:4317"));
  await makeGroup(ada, "edge", { config: "edge" });
  await ada.go("/groups/edge/edit");
  await page.getByLabel("Approvals").fill("1");
  await ada.press("Save group", page.locator("main"));
  const token = await addAgents(ada, { behind: 3, group: "edge" });
  simulation = await simulate(server, token, 3, []);
  await ada.go("/agents");
  await ada.sees(() => page.locator(".page-head .state").getByText(/^3\b/));
  await ada.go("/publish?group=edge&config=edge&revision=1");
  await page.getByLabel("Why").fill("the first of all");
  await page.getByRole("radio", { name: /^All at once/ }).check();
  await confirmNumber(ada);
  await takePicture(page, "approval-propose");
  await ada.press(/^Propose to send/);
  assert.match(await ada.heading(), /^Rollout 1$/);
  const text = await page.locator("main").innerText();
  assert.match(text, /whoever proposed it can't approve it/i);
  assert.equal(await page.getByRole("link", { name: "Approve", exact: true }).count(), 0);
  assert.match(text, /Withdraw/);
  await takePicture(page, "approval-own-proposal");
  await ada.go("/");
  assert.match(await page.locator("main").innerText(), /waits for somebody else to approve it/);
});

test("somebody else sees what it does and approves it, and then it is sent", async () => {
  const { page } = other;
  await other.go("/");
  await page.getByRole("link", { name: "Rollout 1" }).first().click();
  await page.waitForURL(/rollouts\/1$/);
  await takePicture(page, "approval-proposal");
  await other.follow("Approve");
  const text = await page.locator("main").innerText();
  assert.match(text, /localhost:4317/, "the change is in sight where it is decided");
  assert.match(text, /3 agents/);
  await takePicture(page, "approval-approve");
  await other.press(/^Approve, and send to 3 agents/);
  await ada.go("/groups/edge");
  await ada.sees(() => ada.page.locator(".status-line").first().getByText("In sync"), 60_000);
  await ada.go("/audit");
  const told = await ada.page.locator("main").innerText();
  for (const act of ["group.propose", "rollout.approve"]) assert.match(told, new RegExp(act.replace(".", "\\.")));
});
