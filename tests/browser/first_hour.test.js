// The whole path, from the setup link to a configuration that agents run and what is done to them every day: once with
// JavaScript, where pages follow by themselves, and once without.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { join } from "./lib/agent.js";
import { launch, reader } from "./lib/browser.js";
import {
  addAgents, admin, claim, collector, logIn, logOut, makeConfig, makeGroup, publish, saveRevision, typeConfig,
} from "./lib/flows.js";
import { serve } from "./lib/server.js";

for (const script of [true, false]) {
  describe(script ? "with JavaScript" : "without JavaScript", () => firstHour(script));
}

function firstHour(script) {
  let browser, server, me, page, agent, path;
  const status = () => page.locator(".status-line").first();

  before(async () => {
    server = await serve({ site: "Harbour" });
    browser = await launch();
    me = await reader(browser, server, { script });
    page = me.page;
  });
  after(async () => {
    await agent?.stop();
    await browser?.close();
    const code = await server?.stop();
    assert.equal(code, 0);
    assert.deepEqual(server.errors(), []);
  });

  test("whoever comes first is led to the setup, and the link makes the first account", async () => {
    await me.go("/agents");
    assert.equal(await me.heading(), "Claim this server");
    await me.go(server.setupPath());
    await page.getByLabel("Account name").fill(admin.name);
    await page.getByLabel("Password", { exact: true }).fill(admin.password);
    await page.getByLabel("The password again").fill("something else altogether");
    await me.press("Claim this server");
    assert.equal(await page.getByLabel("Account name").inputValue(), admin.name, "what was typed is kept");
    assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), "", "but no password");
    await claim(me, server);
    await me.go("/setup?token=mst_setup_again");
    assert.match(await me.heading(), /claimed/);
  });

  test("one signs out and in again, and is led to the page that was asked for", async () => {
    await me.go("/");
    await logOut(me);
    await me.go("/groups");
    await logIn(me, { ...admin, password: "not the password" });
    assert.equal(await me.heading(), "Sign in");
    assert.match(await page.getByRole("alert").innerText(), /name|password/i);
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), admin.name);
    await logIn(me);
    assert.equal(await me.heading(), "Groups");
  });

  test("an agent joins with a token and appears on the page that waits for it", async () => {
    // A list that was empty when it was opened takes in the first agent whole: its row, its counts, its filters.
    const list = await me.context.newPage();
    await list.goto("/agents");
    assert.equal(await list.getByText("No agents yet").isVisible(), true);
    assert.equal(await list.getByRole("search", { name: "Filter this list" }).isVisible(), false);
    const token = await addAgents(me);
    agent = await join(server, token, "web-01", { flags: ["--fail-on", "BROKEN", "--apply-delay", "1"] });
    if (!script) await me.follow("Look again");
    await me.sees(() => page.getByRole("link", { name: "web-01" }));
    await me.follow("web-01");
    assert.equal(await me.heading(), "web-01");
    if (!script) await list.reload();
    await list.getByRole("row", { name: /web-01/ }).waitFor();
    await list.locator(".page-head .state").getByText(/^1\b/).waitFor();
    await list.getByRole("search", { name: "Filter this list" }).getByRole("link", { name: "All 1" }).waitFor();
    await list.close();
    path = new URL(page.url()).pathname;
    await me.go("/agents");
    await me.sees(() => page.getByRole("row", { name: /web-01/ }));
  });

  test("a broken document is refused with line and column, and stays as it was typed", async () => {
    const broken = "receivers:\n  otlp:\n    protocols: [grpc\nexporters: {}\n";
    await me.go("/configs/-/new");
    await page.getByLabel("Name", { exact: true }).fill("base");
    await page.getByLabel("Description").fill("What every host runs");
    await typeConfig(me, broken);
    await me.press("Make config");
    assert.equal(new URL(page.url()).pathname, "/configs/-/new");
    assert.match(await page.locator("main").innerText(), /line \d+, column \d+/i);
    assert.equal((await page.locator("textarea[name=content]").inputValue()).trimEnd(), broken.trimEnd());
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "base");
    assert.equal(await page.getByLabel("Description").inputValue(), "What every host runs");
    await typeConfig(me, collector("localhost:4317"));
    await me.press("Make config");
    assert.equal(await me.heading(), "base");
  });

  test("a group takes agents by their label, and publishing shows first what it does", async () => {
    await makeGroup(me, "edge", { selectors: "label.region = eu", config: "base", description: "Hosts at the edge" });
    assert.equal(await me.heading(), "edge");
    await me.go(`${path}/edit`);
    await page.getByLabel("Labels").fill("region");
    await me.press("Save name and labels");
    assert.equal(await page.getByLabel("Labels").inputValue(), "region", "what was typed is kept");
    await page.getByLabel(/^Name/).fill("Web one");
    await page.getByLabel("Labels").fill("region = eu\nteam = shop");
    await me.press("Save name and labels");
    assert.equal(await me.heading(), "Web one");
    await me.go("/publish?group=edge&config=base");
    const rows = page.locator("main table").getByRole("row", { name: "Web one" });
    assert.match(await rows.innerText(), /Changes/);
    assert.match(await page.locator("main").innerText(), /localhost:4317/);
    assert.ok(!agent.events.some((event) => event.event === "remote_config"), "looking sends nothing");
  });

  test("what is published is applied, and the agent's page says so", async () => {
    await publish(me, "edge", "base", 1, "first");
    assert.equal(await me.heading(), "edge");
    await me.sees(() => page.getByText("In sync"));
    await me.go(`${path}/configuration`);
    await me.sees(() => page.getByText("in sync"));
    const sent = await agent.until("remote_config");
    assert.match(sent.entries[0].body, /localhost:4317/);
  });

  test("every tab of the agent opens and says something", async () => {
    await me.go(path);
    const tabs = await page.getByRole("navigation", { name: "Web one" }).getByRole("link").allInnerTexts();
    assert.deepEqual(tabs, ["Overview", "Configuration", "Health", "Components", "Timeline", "Identity", "Messages"]);
    for (const [tab, words] of [["Health", /otelcol-contrib/], ["Components", /otlphttp/], ["Timeline", /appl|connect/i], ["Identity", /ada/], ["Messages", /message/i], ["Overview", /region/]]) {
      await me.follow(tab, page.getByRole("navigation", { name: "Web one" }));
      assert.match(await page.locator("main").innerText(), words, tab);
    }
    agent.tell("health bad the exporter can't reach its backend");
    await me.sees(() => page.getByText("the exporter can't reach its backend"));
    agent.tell("health good");
    await me.sees(() => status().getByText(/Healthy|Online/));
  });

  test("a configuration that agents refuse says why, and an older revision is published again", async () => {
    await saveRevision(me, "base", `${collector("localhost:4318")}# BROKEN on purpose\n`, "a mistake");
    await publish(me, "edge", "base", 2, "the mistake");
    await me.sees(() => page.getByText("Refused"));
    await me.go(`${path}/configuration`);
    await me.sees(() => page.getByText('contains "BROKEN"'));
    await me.go("/");
    await me.sees(() => page.locator("main").getByText(/refused/i));
    const before = agent.events.length;
    await me.go("/groups/edge");
    await me.follow("Publish again", page.locator("main table"));
    assert.match(await me.heading(), /revision 1/);
    await publish(me, "edge", "base", 1, "back");
    await me.sees(() => page.getByText("In sync"));
    const sent = await agent.until("remote_config", () => true, before);
    assert.match(sent.entries[0].body, /localhost:4317/);
    await me.go("/configs/base/diff?from=1&to=2");
    assert.match(await page.locator("main").innerText(), /BROKEN/);
  });

  test("an agent is restarted, pinned, held, archived and brought back", async () => {
    await me.go(path);
    await me.follow(/^Restart/);
    await me.press(/^Restart/, page.locator("main"));
    await agent.until("command", (event) => /Restart/.test(event.type));
    await makeGroup(me, "spare");
    await me.go(`${path}/group`);
    await page.getByLabel("Group").selectOption("spare");
    await me.press(/^Pin/);
    await me.go(path);
    assert.match(await page.locator("main").innerText(), /spare/);
    for (const [act, words] of [["hold", /Held by ada/], ["archive", /archived/i]]) {
      await me.go(`${path}/act/${act}`);
      await me.press(/this agent$/, page.locator("main"));
      assert.match(await page.locator("main").innerText(), words);
    }
    await me.go("/agents");
    assert.equal(await page.getByRole("row", { name: /Web one/ }).count(), 0);
    await me.go(path);
    await me.press("Bring this agent back");
    await me.go("/agents");
    assert.equal(await page.getByRole("row", { name: /Web one/ }).count(), 1);
  });

  test("acts on many agents say what they will do to how many", async () => {
    await me.go("/agents");
    await page.getByRole("row", { name: /Web one/ }).getByRole("checkbox").check();
    await me.press(/^Label/, page.locator("main"));
    await page.getByLabel("Set").fill("ring = canary");
    await me.press("Label 1 agent", page.locator("main"));
    await me.go("/agents?q=label.ring+%3D+canary");
    assert.equal(await page.getByRole("row", { name: /Web one/ }).count(), 1);
    await me.go("/agents?q=label.ring+%3D+stable");
    assert.equal(await page.getByRole("row", { name: /Web one/ }).count(), 0);
    await me.go("/agents?q=label.ring+%3D", 422);
    assert.equal(await page.locator("input[name=q]").last().inputValue(), "label.ring =", "a filter that is wrong is kept");
  });

  test("a token is withdrawn and a credential revoked, which ends the connection", async () => {
    await addAgents(me, { hosts: 3 });
    await me.go("/enrolment");
    await me.follow("Withdraw", page.locator("main"));
    await me.press(/^Withdraw/, page.locator("main"));
    assert.match(await page.locator("main").innerText(), /Withdrawn/);
    await me.follow("Revoke", page.locator("main"));
    const before = agent.events.length;
    await me.press(/^Revoke/, page.locator("main"));
    await agent.until("log", (event) => /401/.test(event.text), before);
    await me.go(path);
    await me.sees(() => page.getByText(/revoked/i));
  });

  test("the audit log names who did what, and finds it again", async () => {
    await me.go("/audit");
    const said = await page.locator("main table").innerText();
    for (const word of ["ada", "revoke", "publish", "archive"]) assert.match(said, new RegExp(word), word);
    await me.go("/audit?q=publish");
    const rows = await page.locator("main tbody").getByRole("row").allInnerTexts();
    assert.ok(rows.length >= 3 && rows.every((row) => /publish/.test(row)), rows.join("\n"));
  });

  test("a changed password is the one that works, and other sessions end", async () => {
    const other = await reader(browser, server, { script });
    await other.go("/login");
    await logIn(other);
    await me.go("/account");
    const changed = "eight herons on the roof";
    await page.getByLabel("Present password").fill("not the password");
    await page.getByLabel("New password", { exact: true }).fill(changed);
    await page.getByLabel("The new password again").fill(changed);
    await me.press("Change password");
    assert.match(await page.getByRole("alert").innerText(), /password/);
    await page.getByLabel("Present password").fill(admin.password);
    await page.getByLabel("New password", { exact: true }).fill(changed);
    await page.getByLabel("The new password again").fill(changed);
    await me.press("Change password");
    assert.equal(await page.getByRole("alert").count(), 0);
    await other.go("/agents");
    assert.equal(await other.heading(), "Sign in");
    await logIn(other, { ...admin, password: changed });
    assert.equal(await other.heading(), "Agents");
    await other.close();
    assert.deepEqual(me.faults, []);
  });
}
