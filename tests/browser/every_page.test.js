// Every page, with nothing in it and with a fleet: what holds of all of them, how much they weigh, what keys do, and a
// picture of each in both themes and two widths (in the folder results).

import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";

import { launch, reader } from "./lib/browser.js";
import { prepare } from "./lib/fleet.js";
import { claim } from "./lib/flows.js";
import { results, takePicture } from "./lib/picture.js";
import { serve } from "./lib/server.js";

const weight_limit_bytes = 150_000;

let browser, server, me, page, agents = {};

before(async () => {
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  server = await serve({ site: "Example GmbH" });
  browser = await launch();
  me = await reader(browser, server, { width: 1440 });
  page = me.page;
});
after(async () => {
  await Promise.all(Object.values(agents).map((agent) => agent.stop()));
  await browser?.close();
  const code = await server?.stop();
  assert.equal(code, 0);
  assert.deepEqual(server.errors(), []);
});

const picture = (name) => takePicture(page, name);

/** Opens a page, weighs it, reads its policy, and takes its picture. */
async function show(name, to, status = 200) {
  const bodies = [];
  const note = (response) => {
    // What regions fetch again once the page stands is no part of it.
    if (!/\/editor-/.test(response.url()) && response.request().resourceType() !== "fetch") bodies.push(response);
  };
  page.on("response", note);
  const response = await me.go(to, status);
  await page.waitForLoadState("load");
  page.off("response", note);
  const sizes = await Promise.all(bodies.map(async (one) => (await one.body().catch(() => "")).length));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes > 20_000 && bytes < weight_limit_bytes, `${to} weighs ${bytes} bytes`);
  const headers = response.headers();
  const policy = headers["content-security-policy"] ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  await picture(name);
}

test("pages of a server that has nothing yet say what goes there", async () => {
  await show("login", "/login");
  await show("setup", server.setupPath());
  await show("setup-without-token", "/setup");
  await claim(me, server);
  for (const [name, to] of [
    ["overview", "/"], ["agents", "/agents"], ["groups", "/groups"], ["configs", "/configs"], ["enrolment", "/enrolment"],
    ["publish", "/publish"], ["audit", "/audit"], ["account", "/account"], ["users", "/users"], ["system", "/system"],
  ]) await show(`empty-${name}`, to);
});

test("pages of a fleet", async () => {
  agents = await prepare(me, server);
  await page.goto("/agents");
  const href = (host) => page.getByRole("link", { name: host, exact: true }).getAttribute("href");
  const well = await href("web-fra-01"), refused = await href("web-ams-02"), degraded = await href("shop-fra-01");
  await show("overview", "/");
  await show("agents", "/agents");
  await show("agents-filtered", "/agents?q=label.region%20%3D%20ams");
  await show("agents-none", "/agents?q=label.region%20%3D%20tokyo");
  await show("agents-wrong-filter", "/agents?q=label.region%20%3D", 422);
  await show("add-agents", "/agents/add");
  for (const [name, to] of [["refused", refused], ["degraded", degraded], ["well", well]]) await show(`agent-${name}`, to);
  for (const tab of ["configuration", "health", "components", "timeline", "identity", "edit", "group"]) await show(`agent-${tab}`, `${well}/${tab}`);
  await show("agent-refused-configuration", `${refused}/configuration`);
  await show("agent-configuration-wanted", `${well}/configuration?view=wanted`);
  await show("agent-configuration-runs", `${well}/configuration?view=runs`);
  for (const act of ["restart", "hold", "archive", "revoke"]) await show(`agent-act-${act}`, `${well}/act/${act}`);
  await show("groups", "/groups");
  await show("group", "/groups/edge");
  await show("group-new", "/groups/-/new");
  for (const act of ["edit", "delete", "withdraw"]) await show(`group-${act}`, `/groups/edge/${act}`);
  await show("configs", "/configs");
  await show("config", "/configs/edge");
  await show("config-new", "/configs/-/new");
  await show("config-new-files", "/configs/-/new?kind=files");
  for (const act of ["edit", "delete"]) await show(`config-${act}`, `/configs/edge/${act}`);
  await show("config-revision", "/configs/edge/revisions/1");
  await show("config-diff", "/configs/edge/diff?from=1&to=2");
  await show("config-diff-split", "/configs/edge/diff?from=1&to=2&view=split");
  await show("publish", "/publish");
  await show("publish-impact", "/publish?group=edge&config=edge&revision=1");
  await show("group-rendered", "/groups/edge/rendered?layers=edge%401");
  await show("rollouts", "/rollouts");
  await show("rollout", "/rollouts/1");
  await show("secrets", "/secrets");
  await show("secret-set", "/secrets/-/set");
  await show("enrolment", "/enrolment");
  await show("enrolment-token-new", "/enrolment/new");
  await show("audit", "/audit");
  await show("audit-verified", "/audit?verify=1");
  await show("account", "/account");
  await show("users", "/users");
  await show("user-new", "/users/-/new");
  await show("user-own", "/users/ada");
  await show("system", "/system");
  await show("help", "/help");
  for (const topic of ["joining", "configs", "publishing", "troubleshooting", "security", "command-line", "command-line/agents", "api", "settings"]) await show(`help-${topic.replace("/", "-")}`, `/help/${topic}`);
  await show("missing", "/nothing/here", 404);
  await show("missing-agent", "/agents/00000000000000000000000000000000", 404);
  await show("missing-group", "/groups/none", 404);
});

test("pages that answer forms", async () => {
  await me.go("/agents/add");
  await me.press("Make the line to paste");
  await picture("add-agents-waiting");
  await me.go("/agents");
  await page.locator(".pick").first().check();
  await page.locator(".pick").nth(1).check();
  await picture("agents-picked");
  await me.press(/^Restart/, page.locator("main"));
  await picture("agents-bulk-restart");
  await me.go("/agents");
  await page.locator(".pick-all").check();
  await me.press(/^Revoke/, page.locator("main"));
  await picture("agents-bulk-revoke");
  await me.go("/configs/edge/edit");
  await page.locator(".cm-content").fill("receivers:\n  otlp:\n    protocols: [grpc\n");
  await me.press(/^Save revision/);
  await picture("config-edit-refused");
  await me.go("/groups/-/new");
  await page.getByLabel("Name", { exact: true }).fill("Not A Name");
  await page.getByLabel("Selectors").fill("label.region =");
  await page.getByLabel("Priority").fill("high");
  await me.press("Make group");
  await picture("group-new-refused");
});

test("keys lead to search, places and help, and the first stop leads to the content", async () => {
  const focused = (selector) => page.evaluate((wanted) => document.activeElement?.matches(wanted), selector);
  await me.go("/");
  await page.keyboard.press("Tab");
  assert.ok(await focused("a.skip"), "the first stop is the way to the content");
  assert.ok((await page.locator("a.skip").boundingBox()).y >= 0, "in sight while it has the focus");
  await page.keyboard.press("Enter");
  assert.ok(await focused("main"), "which has the focus then");
  await page.keyboard.press("/");
  assert.ok(await focused("input[type=search]"));
  await page.keyboard.type("g a");
  assert.equal(await page.locator("input[type=search]:focus").inputValue(), "g a", "keys in a field are text");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  // Every way that the list of keys promises, the overview last.
  const promised = await page.locator("#help dt").evaluateAll((terms) => terms.map((term) => [term.textContent.trim().split(/\s+/), term.nextElementSibling.textContent]));
  const ways = promised.filter(([keys]) => keys[0] === "g").map(([keys, words]) => [keys[1], words === "Overview" ? "/" : `/${words.toLowerCase()}`]);
  assert.ok(ways.length >= 5);
  for (const [key, place] of [...ways.filter(([, place]) => place !== "/"), ["o", "/"]]) {
    await me.leave(async () => {
      await page.keyboard.press("g");
      await page.keyboard.press(key);
    });
    assert.equal(new URL(page.url()).pathname, place);
  }
  // Whatever can have the focus shows that it has it.
  await me.go("/agents");
  for (let stop = 0; stop < 25; stop += 1) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return { what: document.activeElement.outerHTML.slice(0, 120), outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
    });
    assert.ok(seen.outline || seen.what.startsWith("<body"), `no outline: ${seen.what}`);
  }
});

test("a chosen theme stays", async () => {
  await me.go("/");
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  const button = page.locator("#theme");
  for (let presses = 0; presses < 3 && (await button.innerText()) !== "Dark"; presses += 1) await button.click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await me.go("/groups");
  assert.equal(await ground(), dark);
});

test("a page that is no longer live says so", async (t) => {
  const own = await serve();
  t.after(own.stop);
  const other = await reader(browser, own);
  await claim(other, own);
  await other.go("/agents");
  await other.page.getByText("Live", { exact: true }).waitFor();
  await own.stop();
  await other.page.getByText("Not live", { exact: true }).waitFor();
  await other.page.locator("#not-live").getByRole("link", { name: "Reload" }).waitFor();
  assert.ok(other.faults.every((fault) => /ERR_CONNECTION|Failed to fetch/.test(fault)), other.faults.join("\n"));
  await other.context.close();
  assert.deepEqual(me.faults, []);
});
