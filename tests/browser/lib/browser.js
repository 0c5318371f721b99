// A Chromium, and a reader in it who notices everything that a page must not do.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { structure } from "./structure.js";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

export const launch = () => chromium.launch({ executablePath, args });

/** Opens a context of its own, as a new person would: `script` says whether JavaScript runs. */
export async function reader(browser, server, { script = true, width = 1280, height = 900, theme = "light", userAgent } = {}) {
  const context = await browser.newContext({
    baseURL: server.origin,
    colorScheme: theme,
    ignoreHTTPSErrors: true, // the server's own authority; what is tested here is the pages
    javaScriptEnabled: script,
    reducedMotion: "reduce",
    userAgent,
    viewport: { width, height },
  });
  context.setDefaultTimeout(5_000);
  const page = await context.newPage();
  const faults = [];
  const refused = new Set(); // documents that the server answered with 4xx, which the console mentions too
  context.on("request", (request) => {
    if (!request.url().startsWith(`${server.origin}/`)) faults.push(`a request left the origin: ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 500) faults.push(`${response.url()} answered ${response.status()}`);
    if (response.status() >= 400 && response.request().isNavigationRequest()) refused.add(response.url());
  });
  page.on("console", (message) => {
    // Chromium keeps the look of what is typed over in the editor as an inline style, which the policy blocks rightly.
    if (message.text().startsWith("Applying inline style") && /\/configs\/(-\/new|[^/]+\/edit)(\?.*)?$/.test(page.url())) return;
    const known = message.text().startsWith("Failed to load resource") && refused.has(message.location().url);
    if (["error", "warning"].includes(message.type()) && !known) faults.push(`the console says at ${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`a script failed at ${page.url()}: ${error.message}`));
  page.on("dialog", (dialog) => {
    faults.push(`a dialog opened at ${page.url()}: ${dialog.message()}`);
    return dialog.dismiss();
  });

  const self = {
    context,
    page,
    faults,
    script,
    /** Goes to a path, which has to answer with `status`, and looks the page over. */
    go: async (to, status = 200) => {
      const response = await page.goto(to);
      assert.equal(response.status(), status, `${to} answered ${response.status()}`);
      await self.look();
      return response;
    },
    /** Presses a button, which leads to another page, and looks that over. */
    press: async (name, within = page) => {
      await self.leave(() => within.getByRole("button", { name, exact: typeof name === "string" }).click());
    },
    /** Follows a link. */
    follow: async (name, within = page) => {
      await self.leave(() => within.getByRole("link", { name, exact: typeof name === "string" }).first().click());
    },
    leave: async (act) => {
      // A new document, even at the same address.
      const left = page.waitForEvent("framenavigated", { predicate: (frame) => frame === page.mainFrame() });
      await Promise.all([left, act()]);
      await page.waitForLoadState();
      await self.look();
    },
    /** What holds of every page. */
    look: async () => {
      const found = await structure(page, { script });
      assert.deepEqual([...found, ...faults.splice(0)], [], `at ${page.url()}`);
    },
    heading: () => page.getByRole("heading", { level: 1 }).innerText(),
    /** Waits until something is in sight: by itself where there is script, and by loading again where there is none. */
    sees: async (locate, limit_ms = 15_000) => {
      const until = Date.now() + limit_ms;
      if (script) {
        await page.evaluate(() => { window.sameDocument = true; });
        await locate().first().waitFor({ timeout: limit_ms });
        assert.equal(await page.evaluate(() => window.sameDocument), true, "the page was loaded again");
        return;
      }
      while (!(await locate().first().isVisible())) {
        assert.ok(Date.now() < until, `not in sight after ${limit_ms} ms at ${page.url()}: ${locate()}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
        await page.reload();
      }
    },
    close: async () => {
      await context.close();
      assert.deepEqual(faults, []);
    },
  };
  return self;
}
