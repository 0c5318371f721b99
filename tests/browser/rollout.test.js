// From what a host runs already to a change of all of them: adopted, mistyped, sent to a first agent that it breaks,
// brought back by itself, mended, and gone through. Stages are of seconds here; agents are simulated.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, reader } from "./lib/browser.js";
import { addAgents, claim, confirmNumber, inStages, makeConfig, makeGroup, typeConfig } from "./lib/flows.js";
import { takePicture } from "./lib/picture.js";
import { serve } from "./lib/server.js";
import { simulate } from "./lib/simulation.js";

const agents = 12;
const patience_ms = 60_000;
const stages = [["1", "6s", "1m"], ["all", "2s", "1m"]];
const times = { silence: "20s", grace: "2s" };

let browser, server, me, page, simulation;

before(async () => {
  server = await serve({ site: "Harbour" });
  browser = await launch();
  me = await reader(browser, server, { width: 1440 });
  page = me.page;
  await claim(me, server);
});
after(async () => {
  await simulation?.stop();
  await browser?.close();
  const code = await server?.stop();
  assert.equal(code, 0);
  assert.deepEqual(server.errors(), []);
});

const picture = (name) => takePicture(page, `rollout-${name}`);
const main = () => page.locator("main");
const state = () => page.locator(".status-line").first();

const base = (note) => `receivers:
  nop:
    note: ${note}
exporters:
  nop:
service:
  pipelines:
    metrics:
      receivers: [nop]
      exporters: [nop]
`;

/** Types another text for the next revision of the base. */
async function edit(text) {
  await me.go("/configs/base/edit");
  await typeConfig(me, text);
}

/** Publishes revision `base` of the config base, with the other layer as it is, in stages; the address of its rollout. */
async function begin(base, message) {
  await me.go("/publish?group=edge");
  assert.match(await page.locator("#revision-0 option:checked").innerText(), new RegExp(`^${base}, newest`));
  await page.getByLabel("Why").fill(message);
  await inStages(me, stages, times);
  await confirmNumber(me);
  await me.press(/^Send base@/);
  assert.match(await me.heading(), /^Rollout \d+$/);
  return new URL(page.url()).pathname;
}

test("what a host runs is kept as the base of its group", async () => {
  await makeGroup(me, "edge", { description: "Hosts at the edge" });
  const token = await addAgents(me, { behind: agents, labels: "region = fra", group: "edge" });
  simulation = await simulate(server, token, agents, ["--behaviour", "lies=1", "--only-with", "BREAK"]);
  await me.go("/agents");
  await me.sees(() => page.locator(".page-head .state").getByText(/^12\b/));
  await me.leave(() => page.locator("main table .name a").first().click());
  await me.go(`${new URL(page.url()).pathname}/configuration?view=runs`);
  await me.follow("Keep it as a revision");
  await page.getByLabel("Name of the new config").fill("base");
  await me.press("Keep it");
  await me.go("/configs/base");
  assert.match(await main().innerText(), /receivers:\s+- nop/);
});

test("a second layer with a secret and a label is put on top, and is seen before it is sent", async () => {
  await me.go("/secrets/-/set");
  await page.getByLabel("Name", { exact: true }).fill("vendor-token");
  await page.getByLabel("Value").fill("hunter2-hunter2");
  await me.press("Set secret");
  await me.go("/secrets");
  assert.match(await main().innerText(), /vendor-token/);
  await picture("secrets");
  await makeConfig(me, "vendor", `receivers:
  nop/vendor:
exporters:
  nop/vendor:
    region: \${muster:label.region}
    token: \${muster:secret.vendor-token}
service:
  pipelines:
    metrics:
      receivers: !append [nop/vendor]
      exporters: !append [nop/vendor]
`, "What goes to the vendor besides");
  await me.go("/groups/edge/edit");
  await page.getByLabel("Layers").fill("base\nvendor");
  await me.press("Save group", main());
  await me.go("/groups/edge/rendered");
  const text = await main().innerText();
  assert.match(text, /region: fra/);
  assert.doesNotMatch(text, /hunter2/);
  await picture("layers");
  await me.go("/publish?group=edge");
  assert.equal(await page.getByLabel("How far of stage 1").isVisible(), false, "stages are folded away until they are chosen");
  await picture("publish-first");
  await page.getByRole("radio", { name: /^All at once/ }).check();
  await page.getByLabel("Why").fill("everybody starts here");
  await confirmNumber(me);
  await me.press(/^Send base@1 \+ vendor@1/);
  await me.sees(() => state().getByText("In sync"), patience_ms);
});

test("an edit with an error is refused with its line, and is mended in place", async () => {
  await edit(base("BREAK").replace("receivers: [nop]", "receivers: [nop"));
  await page.getByLabel("Why").fill("faster");
  await me.press(/^Save revision/);
  assert.match(await main().innerText(), /line \d+, column \d+/i);
  assert.equal(await page.getByLabel("Why").inputValue(), "faster");
  await picture("edit-refused");
  const typed = await page.locator("textarea[name=content]").inputValue();
  await typeConfig(me, typed.replace("receivers: [nop", "receivers: [nop]"));
  await me.press(/^Save revision/);
  assert.equal(await me.heading(), "base");
});

test("what is wrong with a strategy is told at its field, and the impact shows what is sent to whom", async () => {
  await me.go("/publish?group=edge");
  assert.match(await main().innerText(), /in force: revision 1/);
  assert.match(await page.locator("#affected").innerText(), /Changes/);
  await inStages(me, [["1", "soon"], ["50%"]], { atRisk: "many" });
  await page.getByLabel("Why").fill("faster");
  await confirmNumber(me);
  await me.press(/^Send base@2/);
  const summary = page.getByRole("alert");
  assert.match(await summary.innerText(), /"soon" is not a time[^]*"many" is not a number of agents/);
  assert.equal(await page.getByLabel("Why").inputValue(), "faster");
  assert.equal(await page.getByLabel("How long each stays well of stage 1").inputValue(), "soon");
  await picture("publish-wrong");
  await me.go("/publish?group=edge");
  await page.locator("#revision-0").selectOption("1");
  await inStages(me, stages, times);
  await me.press("Show what it does");
  assert.match(await main().innerText(), /Just this is published to the group already/);
  assert.equal(await page.getByLabel("How long each stays well of stage 1").inputValue(), "6s", "the strategy is kept");
});

test("a first agent that it breaks stops it, and everybody is brought back by itself", async () => {
  await begin(2, "faster");
  await picture("first-agent");
  await me.sees(() => state().getByText(/^Rolled back$/), patience_ms);
  assert.match(await state().innerText(), /brought back to what it had: 1 agent failed, and 0 are tolerated/);
  await picture("rolled-back");
  const { configurations_failed, ...figures } = await simulation.say("report");
  assert.equal(configurations_failed ?? 0, 0, JSON.stringify(figures));
  await me.go("/");
  await me.sees(() => main().getByText("Brought back"));
  assert.match(await main().innerText(), /failed, and its agents are brought back/);
  await picture("overview");
  await me.go("/agents?q=status+%3D+healthy");
  await me.sees(() => page.locator(".page-head .state").getByText(/12/), patience_ms);
});

test("the mended revision is paused, goes on, and reaches everybody", async () => {
  await edit(base("mended"));
  await page.getByLabel("Why").fill("faster, and right");
  await me.press(/^Save revision/);
  const path = await begin(3, "faster, and right");
  await me.sees(() => state().getByText(/^Running$/));
  await me.sees(() => main().getByText(/1 agent proves the new content/));
  await picture("running");
  await me.follow("Pause", main());
  await page.getByLabel("Why").fill("let me look first");
  await me.press(/^Pause/, main());
  await me.go(path);
  assert.match(await state().innerText(), /Paused/);
  await picture("paused");
  await me.go("/groups/edge");
  assert.match(await state().innerText(), /12 agents run what is wanted of them/);
  await picture("group");
  await me.go("/");
  await me.sees(() => main().getByText(/is paused and waits for a decision/));
  // Another publication meanwhile says what becomes of this one.
  await me.go("/publish?group=edge");
  assert.equal(await page.getByLabel("The rollout under way").isVisible(), true);
  await page.locator("#revision-0").selectOption("1");
  await me.press("Show what it does");
  await inStages(me, stages, times);
  await confirmNumber(me);
  await me.press(/^Send base@1/);
  assert.match(await page.getByRole("alert").innerText(), /rollout \d+ to this group is paused/i);
  await picture("publish-under-way");
  await me.go(path);
  await me.follow("Resume", main());
  await me.press("Resume the rollout");
  await me.go(path);
  await me.sees(() => state().getByText(/^Succeeded$/), patience_ms);
  await picture("succeeded");
  await me.go("/rollouts");
  await picture("list");
  await me.go("/groups/edge");
  await me.sees(() => page.getByText("In sync"), patience_ms);
  await picture("group-in-sync");
});

test("a label that changes is told on the overview until it is published", async () => {
  await me.go("/agents");
  await me.leave(() => page.locator("main table .name a").first().click());
  await me.go(`${new URL(page.url()).pathname}/edit`);
  await page.getByLabel("Labels").fill("region = ams");
  await me.press("Save name and labels");
  await me.go("/");
  await me.sees(() => main().getByText("Inputs changed"));
  await picture("inputs-changed");
  await me.follow("publish to deliver", main());
  assert.match(await me.heading(), /base@3 \+ vendor@1/);
  await page.getByRole("radio", { name: /^All at once/ }).check();
  await confirmNumber(me);
  await me.press(/^Send base@3/);
  await me.go("/");
  assert.equal(await main().getByText("Inputs changed").count(), 0);
});
