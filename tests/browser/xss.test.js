// A hundred payloads in everything that agents and people can say: none becomes markup, none fires.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { join } from "./lib/agent.js";
import { launch, reader } from "./lib/browser.js";
import { addAgents, claim, collector, publish } from "./lib/flows.js";
import { payloads } from "./lib/payloads.js";
import { serve } from "./lib/server.js";

let browser, server, me, page, fleet, formToken, agents;

/** Goes to a page and holds that nothing in it came from a payload: no element, no attribute, no script. */
async function harmless(path) {
  await page.goto(path);
  await unharmed(path);
}

async function unharmed(where) {
  const found = await page.evaluate(() => {
    const wrong = [...document.querySelectorAll("script:not([src^='/assets/']), img, iframe, style, base, object, embed, math, svg[onload], [style], [hx-on\\:load], [hx-get='/logout']")];
    for (const element of document.querySelectorAll("*")) {
      if (element.getAttributeNames().some((name) => name.startsWith("on"))) wrong.push(element);
      for (const name of ["href", "src", "action", "srcdoc"]) {
        const value = element.getAttribute(name);
        if (value !== null && new URL(value, location).origin !== location.origin) wrong.push(element);
      }
    }
    return { fired: window.fired, wrong: wrong.map((element) => element.outerHTML.slice(0, 200)) };
  });
  assert.deepEqual(found, { fired: undefined, wrong: [] }, where);
  assert.deepEqual(me.faults, [], where);
}

async function post(path, fields) {
  const response = await me.context.request.post(path, {
    form: { form_token: formToken, ...fields }, headers: { origin: server.origin }, maxRedirects: 0,
  });
  if (response.status() !== 429) return response.status();
  await new Promise((resolve) => setTimeout(resolve, 1000 * Number(response.headers()["retry-after"])));
  return post(path, fields);
}

before(async () => {
  assert.ok(payloads.length >= 100 && new Set(payloads).size === payloads.length);
  server = await serve({ site: payloads[1] });
  browser = await launch();
  me = await reader(browser, server, { userAgent: payloads[13] });
  page = me.page;
  await claim(me, server);
  formToken = await page.locator("input[name=form_token]").first().inputValue();
});
after(async () => {
  await fleet?.stop();
  await browser?.close();
  await server?.stop();
});

test("what agents say of themselves is text", async () => {
  const token = await addAgents(me, { behind: payloads.length });
  fleet = await join(server, token, "host", { flags: ["--count", String(payloads.length), "--fail-on", payloads[13]] });
  payloads.forEach((payload, at) => {
    fleet.tell(`#${at} attr host.name=${payload}`);
    fleet.tell(`#${at} attr os.description=${payload}`);
    fleet.tell(`#${at} attr ${payload.replaceAll("=", "")}=${payload}`);
    fleet.tell(`#${at} health bad ${payload}`);
    fleet.tell(`#${at} effective ${payload}\\n# ${payload}`);
  });
  await page.goto("/agents");
  // The page follows by itself while the agents come and tell more and more.
  await page.locator(".page-head").getByText(new RegExp(`^${payloads.length}\\b`)).first().waitFor();
  agents = new Map();
  for (let next = "/agents"; next;) {
    await harmless(next);
    for (const link of await page.locator("main td a[href^='/agents/']").all()) {
      agents.set(await link.getAttribute("href"), await link.innerText());
    }
    const more = page.locator("main").getByRole("link", { name: /^Next/ });
    next = (await more.count()) ? await more.first().getAttribute("href") : null;
  }
  assert.ok(agents.size >= payloads.length, `${agents.size} agents are listed`);
  await harmless("/");
  const tabs = ["", "/configuration?view=runs", "/health", "/timeline"];
  for (const [at, path] of [...agents.keys()].entries()) await harmless(path + tabs[at % tabs.length]);
});

test("a page that follows by itself takes in payloads as text", async () => {
  const [path] = agents.keys();
  await page.goto(`${path}/health`);
  for (const payload of payloads.slice(0, 5)) {
    const words = `now ${payload}`;
    payloads.forEach((_, at) => fleet.tell(`#${at} health bad ${words}`));
    await page.getByText(words.trim()).first().waitFor();
    await unharmed(payload);
  }
});

test("what people type is text", async () => {
  const everything = payloads.map((payload) => `# ${payload}`).join("\n");
  for (const [at, payload] of payloads.entries()) {
    const content = `${collector("localhost:4317")}# ${payload}\n`;
    assert.equal(await post("/configs/-/new", { name: `c${at}`, kind: "collector", description: payload, content }), 303, payload);
    assert.equal(await post("/groups/-/new", { name: `g${at}`, description: payload, selectors: "", priority: "1", layers: `c${at}` }), 303, payload);
  }
  for (const [at, path] of [...agents.keys()].entries()) {
    const payload = payloads[at % payloads.length];
    assert.equal(await post(`${path}/edit`, { name: payload, labels: `a = ${payload}` }), 303, payload);
  }
  assert.equal(await post("/configs/c0/edit", { base: "1", kind: "collector", content: `${collector("localhost:4318")}${everything}\n`, message: payloads.join(" ") .slice(0, 1000) }), 303);
  for (const path of ["/configs", "/groups", "/configs/c0", "/configs/c0/revisions/2", "/configs/c0/diff?from=1&to=2", "/configs/c0/diff?from=1&to=2&view=split", "/configs/c0/edit", "/publish?group=g0&config=c0", "/groups/g0", "/groups/g0/edit", "/groups/g0/delete", "/configs/c0/delete", "/audit", "/enrolment", "/account", "/system", "/rollouts", "/secrets", "/groups/g0/rendered"]) {
    await harmless(path);
  }
  await publish(me, "g0", "c0", 2, payloads[2]);
  await unharmed("after publishing");
  for (const path of ["/groups/g0", "/agents", ...[...agents.keys()].slice(0, 12).flatMap((path) => [path, `${path}/edit`, `${path}/timeline`, `${path}/identity`, `${path}/act/archive`])]) {
    await harmless(path);
  }
});

test("what an address or a form asks for is text", async () => {
  for (const payload of payloads) {
    const text = encodeURIComponent(payload);
    for (const path of [`/agents?q=${text}`, `/audit?q=${text}`, `/publish?group=${text}&config=${text}&revision=${text}`, `/${text}`]) {
      await harmless(path);
    }
  }
  for (const payload of payloads) {
    const wrong = { name: payload, description: payload, selectors: payload, priority: payload, layers: payload, strategy: payload, labels: payload, note: payload };
    for (const [path, more] of [["/groups/-/new", {}], ["/configs/-/new", { kind: "collector", content: `a: [${payload}` }], ["/enrolment/new", { uses: payload }]]) {
      const response = await me.context.request.post(path, { form: { form_token: formToken, ...wrong, ...more }, headers: { origin: server.origin }, maxRedirects: 0 });
      const html = await response.text();
      assert.ok(response.status() < 500, `${path} answered ${response.status()} to ${payload}`);
      assert.ok(!html.includes(payload) || !/[<>"&]/.test(payload), `${path} gives back ${payload}`);
    }
  }
  assert.deepEqual(server.errors(), []);
});
