// Writing a config: begun with a starter, problems by line while it is typed where there is script, and after it was
// sent where there is none.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { launch, reader } from "./lib/browser.js";
import { claim, collector, makeConfig, typeConfig } from "./lib/flows.js";
import { serve } from "./lib/server.js";

const unknown = collector("localhost:4317").replace("exporters: [debug]", "exporters: [debgu]");
const nameless = collector("localhost:4317").replace("exporters: [debug]", "exporters: [debug, 3]");
const broken = "receivers:\n  otlp:\n    protocols: [grpc\nexporters: {}\n";

describe("with JavaScript", () => {
  let browser, server, me, page;
  const problems = () => page.locator(".editor-problems li");
  const state = () => page.locator(".editor-state");

  before(async () => {
    server = await serve();
    browser = await launch();
    me = await reader(browser, server);
    page = me.page;
    await claim(me, server);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    assert.deepEqual(server.errors(), []);
  });

  test("problems appear by line while it is typed, and go when they are mended", async () => {
    await me.go("/configs/-/new");
    await state().getByText("No problems found.").waitFor();
    await typeConfig(me, unknown);
    await state().getByText("0 errors, 2 other remarks.").waitFor();
    const said = await problems().allInnerTexts();
    assert.match(said[0], /Warning[\s\S]*Line 7:3[\s\S]*"debug" is defined, but not used/);
    assert.match(said[1], /Incomplete[\s\S]*Line 12:19[\s\S]*"debgu" is not defined here/);
    assert.equal(await page.locator(".cm-lint-marker-info").count(), 1, "the line is marked");
    assert.equal(await page.locator(".cm-lintRange-info").innerText(), "debgu");
    await typeConfig(me, broken);
    await problems().getByText(/^Line [34]:/).waitFor();
    await typeConfig(me, collector("localhost:4317"));
    await state().getByText("No problems found.").waitFor();
    assert.equal(await problems().count(), 0);
    await me.look();
  });

  test("a problem leads to its place", async () => {
    await typeConfig(me, unknown);
    await problems().getByText("Line 12:19").click();
    await page.keyboard.type("x");
    assert.match(await page.locator("textarea[name=content]").inputValue(), /exporters: \[xdebgu\]/);
  });

  test("fast typing asks once, when the hands rest", async () => {
    const asked = [];
    page.on("request", (request) => { if (request.url().endsWith("/configs/-/check")) asked.push(request.postData()); });
    await page.locator(".cm-content").press("Control+End");
    await page.keyboard.type("# a comment of forty characters or so.\n", { delay: 15 });
    await page.waitForResponse(/configs\/-\/check/);
    assert.equal(asked.length, 1, asked.join("\n----\n"));
    assert.match(asked[0], /or so\.\n$/);
  });

  test("when the server doesn't answer it says so, and saving still checks", async () => {
    await page.route("**/configs/-/check", (route) => route.fulfill({ status: 429, body: "" }));
    await typeConfig(me, broken);
    await state().getByText(/^Not checked/).waitFor();
    me.faults.length = 0; // the console tells the 429, which is the test's own
    await page.unroute("**/configs/-/check");
    await page.getByLabel("Name", { exact: true }).fill("edge");
    await me.press("Make config");
    assert.match(await page.locator("main").innerText(), /line \d+, column \d+/i);
    await problems().getByText(/^Line [34]:/).waitFor();
  });

  flow(() => me);
});

describe("without JavaScript", () => {
  let browser, server, me, page;

  before(async () => {
    server = await serve();
    browser = await launch();
    me = await reader(browser, server, { script: false });
    page = me.page;
    await claim(me, server);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    assert.deepEqual(server.errors(), []);
  });

  test("problems stand by line below the text after it was sent, and what was typed stays", async () => {
    await makeConfig(me, "edge", nameless);
    assert.equal(new URL(page.url()).pathname, "/configs/-/new");
    const said = await page.locator(".problems li").allInnerTexts();
    assert.equal(said.length, 1, said.join("\n"));
    assert.match(said[0], /Error[\s\S]*The name of a exporter belongs here[\s\S]*Line 12/);
    assert.equal((await page.locator("textarea[name=content]").inputValue()).trimEnd(), nameless.trimEnd());
    await typeConfig(me, collector("localhost:4317"));
    await me.press("Make config");
    assert.equal(await me.heading(), "edge");
  });

  flow(() => me);
});

/** What both have. */
function flow(who) {
  test("a starter fills the form, and is saved once its endpoint was changed", async () => {
    const me = who();
    const { page } = me;
    await me.go("/configs/-/new");
    const starters = page.locator("details.starters");
    assert.equal(await starters.getByRole("link").count(), 8);
    await me.follow("Gateway", starters);
    assert.match(await page.locator("main").innerText(), /Begun with: Gateway[\s\S]*Needs[\s\S]*Change/);
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "gateway");
    const text = await page.locator("textarea[name=content]").inputValue();
    assert.match(text, /^# Gateway: /);
    await typeConfig(me, text.replace("otlp.example.com", "otlp.harbour.test"));
    await me.press("Make config");
    assert.equal(await me.heading(), "gateway");
    assert.match(await page.locator("main").innerText(), /otlp\.harbour\.test/);
    await me.go("/configs/-/new?starter=nothing", 404);
  });

  test("the description is changed where a revision is saved, with or without one", async () => {
    const me = who();
    const { page } = me;
    await me.go("/configs/gateway/edit");
    await page.getByLabel("Description").fill("In front of the backend");
    await me.press(/^Save revision/);
    assert.match(await page.locator("main").innerText(), /The description is changed[\s\S]*In front of the backend/);
  });
}
