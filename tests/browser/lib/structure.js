// What holds of every page: its parts have names, nothing is inline, nothing sticks out.

/** What is wrong with the document that a page shows, in words; empty when nothing is. */
export async function structure(page, { script }) {
  const found = await page.evaluate(inPage);
  const policy = await page.evaluate(() => document.querySelector("meta[http-equiv]")?.outerHTML);
  if (policy) found.push(`a policy in the document: ${policy}`);
  found.push(...(await sticksOut(page)));
  if (!script && (await page.locator("[hidden]:visible").count()) > 0) found.push("something hidden is in sight");
  return found;
}

/** Whether the page scrolls sideways on a phone. */
async function sticksOut(page) {
  const { width, height } = page.viewportSize();
  const found = [];
  for (const narrow of new Set([390, width])) {
    if (narrow !== width) await page.setViewportSize({ width: narrow, height });
    const wide = await page.evaluate(() => {
      const root = document.documentElement;
      if (root.scrollWidth <= root.clientWidth) return null;
      const boxed = (element) => element.parentElement?.closest("*") && (function scrolls(up) {
        return up && up !== document.body && (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(up).overflowX) || scrolls(up.parentElement));
      })(element.parentElement);
      const out = [...document.body.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > root.clientWidth + 1 && !boxed(element));
      const say = (element) => `${element.tagName.toLowerCase()}.${element.className}`;
      return `the page is ${root.scrollWidth} px wide of ${root.clientWidth}: ${out.slice(0, 3).map(say).join(", ")}`;
    });
    if (wide) found.push(wide);
    if (narrow !== width) await page.setViewportSize({ width, height });
  }
  return found;
}

function inPage() {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const say = (element) => element.outerHTML.slice(0, 160);
  const fault = (what, element) => found.push(element ? `${what}: ${say(element)}` : what);
  const text = (element) => (element?.textContent ?? "").trim();
  const named = (element) => element.getAttribute("aria-label")?.trim()
    || (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => text(document.getElementById(id))).join("")
    || [...(element.labels ?? [])].map(text).join("");

  // The document and its landmarks.
  if (document.documentElement.lang !== "en") fault("no language");
  if (!/\S · \S/.test(document.title)) fault(`a title without page or site: ${document.title}`);
  if (all("main").length !== 1) fault("not one main");
  const titles = all("h1");
  if (titles.length !== 1 || !text(titles[0])) fault(`${titles.length} first headings`);
  if (/^[0-9a-f]{8}-?[0-9a-f]{4}-/.test(text(titles[0]))) fault("an identifier as title", titles[0]);
  let level = 0;
  for (const heading of all("main h1, main h2, main h3, main h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) fault(`a heading of level ${own} after one of ${level}`, heading);
    level = own;
  }
  if (document.querySelector("header.topbar")) {
    const first = document.querySelector("a[href], button, input, select, textarea, [tabindex]");
    const target = document.getElementById(first?.getAttribute("href")?.slice(1));
    if (!first?.matches("a.skip") || !target?.matches("main")) fault("the first thing in the page is no way to its content", first);
  }

  // Nothing inline, nothing from elsewhere.
  all("script:not([src]), style").forEach((element) => fault("inline", element));
  all("[style]").forEach((element) => fault("inline style", element));
  for (const element of all("*")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on")) fault("an inline handler", element);
      if (["href", "src", "action", "formaction"].includes(name) && !["http:", "https:"].includes(new URL(value, location).protocol)) fault("a strange address", element);
      if (["href", "src", "action", "formaction"].includes(name) && new URL(value, location).origin !== location.origin) fault("leads elsewhere", element);
    }
  }

  // Names.
  all("input:not([type=hidden]), select, textarea").forEach((element) => named(element) || fault("a field without a label", element));
  all("a[href], button").forEach((element) => named(element) || text(element) || fault("no name", element));
  all("table").forEach((element) => text(element.caption) || named(element) || fault("a table without a caption", element));
  all("th:not([scope])").forEach((element) => fault("a heading cell without a scope", element));
  all("svg").forEach((element) => element.getAttribute("aria-hidden") === "true" || element.getAttribute("role") === "img" || fault("a picture that is neither named nor hidden", element));
  all("nav, dialog, [role=search]").forEach((element) => named(element) || fault("a landmark without a name", element));
  all("form[method=post]").forEach((form) => form.querySelector("input[type=hidden][name=form_token][value]") || fault("a form without its token", form));
  all("time").forEach((element) => {
    if (Number.isNaN(Date.parse(element.dateTime))) fault("a time without a date", element);
    if (!element.title) fault("a time without the absolute one", element);
    if (element.dateTime.startsWith("1970")) fault("a time that nobody reported", element);
  });

  // References.
  const ids = all("[id]").map((element) => element.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => fault(`two elements are called ${id}`));
  for (const attribute of ["for", "aria-labelledby", "aria-describedby", "aria-controls", "popovertarget"]) {
    for (const element of all(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(/\s+/)) document.getElementById(id) || fault(`nothing is called ${id}`, element);
    }
  }
  all("a[href^='#']").forEach((link) => document.getElementById(link.getAttribute("href").slice(1)) || fault("a link to nothing", link));
  all("ul > :not(li), ol > :not(li)").forEach((element) => fault("a list with something else in it", element));
  if (all("[autofocus]").length > 1) fault("two fields want the cursor");
  return found;
}
