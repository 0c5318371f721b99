// Muster's own script. Every page works without it; it adds the theme switch, the keyboard, live regions that keep what
// the reader did, ticking ages, copying, and counts on bulk buttons.
(() => {
  "use strict";
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // --- Live regions -------------------------------------------------------------------------------------------------
  // Runs at the end of the document, before DOMContentLoaded, when htmx starts.

  const changed = new Set();
  const cells = "td, dd, .status-line, .problems > li, .tally li, .page-head .state, .progress-words, .leaf, summary, .empty";

  /** The text of a cell without its ages, which change by themselves. */
  const settled = (element) => {
    if (!one("time", element)) return element.textContent;
    const copy = element.cloneNode(true);
    all("time", copy).forEach((time) => time.remove());
    return copy.textContent;
  };

  window.htmx?.registerExtension("muster", {
    htmx_before_morph_node: (element, { oldNode, newNode }) => {
      if (!(oldNode instanceof Element)) return true;
      if (oldNode.matches(cells) && settled(oldNode) !== settled(newNode)) changed.add(oldNode);
      // The script's own state on elements that the server knows nothing about.
      if (oldNode.matches("[data-copy], .pick-all")) newNode.hidden = oldNode.hidden;
      return true;
    },
    htmx_before_morph_attr: (element, { attrName }) => {
      // What the reader folded stays folded.
      if (attrName === "open" && element instanceof HTMLDetailsElement) return false;
      // A box that comes to stand for another row must not bring its tick along.
      if (attrName === "value" && element.matches("input[type=checkbox]")) element.checked = false;
      return true;
    },
  });

  const started = Date.now();
  const clock = { offset: Number(document.body.dataset.now || started) - started };
  let heard = Date.now();
  let connected = 0;
  let refused = false; // a region could not be fetched, so the page is not live whatever the stream says

  const state = (name, words, reason) => {
    const lamp = one("#live-state");
    if (!lamp) return;
    lamp.hidden = false;
    lamp.dataset.state = name;
    lamp.firstElementChild.textContent = words;
    const notice = one("#not-live");
    notice.hidden = name !== "broken";
    if (reason) one("span", notice).textContent = reason;
  };
  const broken = (reason) => state("broken", "Not live", reason);
  const hour = (time) => new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const at = () => hour(Date.now() + clock.offset);

  document.addEventListener("htmx:sse:after:connection", () => {
    heard = Date.now();
    if (!refused) state("live", "Live");
    // Events may have been missed since the page was made, or while the stream was away.
    connected += 1;
    all("[data-live]").forEach((region) => htmx.trigger(region, "resync", {}, false));
  });
  document.addEventListener("htmx:sse:before:message", (event) => {
    heard = Date.now();
    const time = Number(event.detail.message.data);
    if (time > 1e12) clock.offset = time - heard;
    if (!refused && one("#live-state")?.dataset.state !== "live") state("live", "Live");
  });
  document.addEventListener("htmx:sse:error", () => {
    broken(`The connection to the server broke at ${at()}; trying again. What you see may be out of date.`);
  });
  // The first connection is an ordinary request of htmx, which doesn't try again by itself.
  const stream = () => one("#stream");
  const retry = () => setTimeout(() => {
    const element = stream();
    if (element && !element._htmx?.sse) htmx.ajax("GET", element.getAttribute("hx-sse:connect"), { source: element, swap: "none" });
  }, 3000 + Math.random() * 2000);
  document.addEventListener("htmx:finally:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement !== stream()) return;
    const type = ctx.response?.headers.get("Content-Type") ?? "";
    if (ctx.response?.status === 200 && type.includes("text/event-stream")) return;
    broken(ctx.response?.status === 401 || ctx.response?.raw.redirected
      ? "You are no longer signed in."
      : "The server does not answer; trying again. What you see may be out of date.");
    retry();
  });
  // An answer that isn't this region (a login page, an error) never replaces it.
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    const region = ctx.sourceElement;
    if (region === stream()) return event.preventDefault();
    if (!region?.matches?.("[data-live]")) return;
    const { raw, status } = ctx.response;
    if (status === 200 && !raw.redirected && ctx.text.includes(`id="${region.id}"`)) {
      if (refused) state("live", "Live");
      refused = false;
      return;
    }
    event.preventDefault();
    refused = true;
    broken(raw.redirected || status === 401 ? "You are no longer signed in." : status === 404
      ? "What this page shows no longer exists." : `The server answered with an error at ${at()}.`);
  });
  document.addEventListener("htmx:error", (event) => {
    if (!event.target.matches?.("[data-live]")) return;
    refused = true;
    broken(`The server did not answer at ${at()}. What you see may be out of date.`);
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const element of changed) {
      if (!element.isConnected) continue;
      element.classList.remove("changed");
      void element.offsetWidth;
      element.classList.add("changed");
      element.addEventListener("animationend", () => element.classList.remove("changed"), { once: true });
    }
    changed.clear();
    enhance();
    tick();
  });

  // --- Ages ---------------------------------------------------------------------------------------------------------

  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const words = (seconds) => {
    const two = (whole, unit, rest, small) => (rest ? `${whole} ${unit} ${rest} ${small}` : `${whole} ${unit}`);
    const floor = Math.floor;
    if (seconds < MINUTE) return `${seconds} s`;
    if (seconds < HOUR) return `${floor(seconds / MINUTE)} min`;
    if (seconds < 6 * HOUR) return two(floor(seconds / HOUR), "h", floor((seconds % HOUR) / MINUTE), "min");
    if (seconds < DAY) return `${floor(seconds / HOUR)} h`;
    if (seconds < 3 * DAY) return two(floor(seconds / DAY), "d", floor((seconds % DAY) / HOUR), "h");
    if (seconds < 60 * DAY) return `${floor(seconds / DAY)} d`;
    if (seconds < 730 * DAY) return `${floor(seconds / (30 * DAY))} months`;
    return `${floor(seconds / (365 * DAY))} years`;
  };
  const tick = () => {
    const now = Date.now() + clock.offset;
    for (const time of all("time[data-time]")) {
      const passed = Math.floor((now - Date.parse(time.dateTime)) / 1000);
      const said = time.dataset.time === "since" ? words(Math.max(passed, 0))
        : passed < 0 ? `in ${words(-passed)}` : passed < 5 ? "just now" : `${words(passed)} ago`;
      if (time.textContent !== said) time.textContent = said;
    }
    if (stream() && connected && !document.hidden && Date.now() - heard > 45000) {
      broken(`Nothing has been heard from the server since ${hour(heard)}. What you see may be out of date.`);
    }
  };
  setInterval(() => document.hidden || tick(), 1000);
  document.addEventListener("visibilitychange", () => { heard = Date.now(); tick(); });

  // --- Theme --------------------------------------------------------------------------------------------------------

  const themes = { system: "Auto", light: "Light", dark: "Dark" };
  const theme = () => document.documentElement.dataset.theme ?? "system";
  const paint = (button) => {
    one("span", button).textContent = themes[theme()];
    button.setAttribute("aria-label", `Theme: ${themes[theme()].toLowerCase()}. Switch.`);
    button.title = "Theme";
  };
  const themeButton = one("#theme");
  if (themeButton) {
    themeButton.hidden = false;
    paint(themeButton);
    themeButton.addEventListener("click", () => {
      const names = Object.keys(themes);
      const next = names[(names.indexOf(theme()) + 1) % names.length];
      if (next === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      try { next === "system" ? localStorage.removeItem("theme") : localStorage.setItem("theme", next); } catch { /* storage is off */ }
      paint(themeButton);
    });
  }

  // --- Keyboard -----------------------------------------------------------------------------------------------------

  const places = { o: "/", a: "/agents", g: "/groups", c: "/configs", r: "/rollouts" };
  const help = one("#help");
  let pending = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.composedPath()[0];
    if (target instanceof Element && (target.matches("input:not([type=checkbox], [type=radio]), textarea, select") || target.isContentEditable)) {
      if (event.key === "Escape" && target.matches("input[type=search]")) target.blur();
      return;
    }
    const second = Date.now() - pending < 1200;
    pending = 0;
    if (second && places[event.key] && help) location.assign(places[event.key]);
    else if (event.key === "g" && help) pending = Date.now();
    else if (event.key === "?" && help) help.open || help.showModal();
    else if (event.key === "/") {
      const field = one("[data-search]") ?? one(".search input");
      if (!field) return;
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
  const keys = one("#keys");
  if (keys) {
    keys.hidden = false;
    keys.addEventListener("click", () => { one("#account").hidePopover(); help.showModal(); });
  }

  // --- Copying ------------------------------------------------------------------------------------------------------

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    let done = true;
    try { await navigator.clipboard.writeText(button.dataset.copy); } catch { done = false; }
    const label = one("span", button);
    label.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => { label.textContent = "Copy"; }, 1600);
  });

  // --- Bulk selection -----------------------------------------------------------------------------------------------

  const recount = (form) => {
    const picks = all(".pick", form);
    const ticked = picks.filter((pick) => pick.checked).length;
    const matching = one(".pick-matching", form);
    const number = matching?.checked ? Number(matching.dataset.total) : ticked;
    const noun = number === 1 ? form.dataset.one : form.dataset.many;
    const said = `${number.toLocaleString("en")} ${noun}`;
    one("[data-count]", form).textContent = `${said} selected`;
    all("[data-verb]", form).forEach((button) => {
      button.textContent = `${button.dataset.verb} ${said}`;
      button.disabled = number === 0;
    });
    const head = one(".pick-all", form);
    if (head) {
      head.hidden = false;
      head.checked = ticked > 0 && ticked === picks.length;
      head.indeterminate = ticked > 0 && ticked < picks.length;
    }
  };
  let last = null;
  document.addEventListener("click", (event) => {
    const pick = event.target.closest?.(".pick");
    if (!pick) return;
    // With shift, everything from the last ticked box to this one.
    if (event.shiftKey && last?.isConnected && last.form === pick.form) {
      const picks = all(".pick", pick.form);
      const [from, to] = [picks.indexOf(last), picks.indexOf(pick)].sort((a, b) => a - b);
      picks.slice(from, to + 1).forEach((between) => { between.checked = pick.checked; });
    }
    last = pick;
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-bulk]");
    if (!form) return;
    if (event.target.matches(".pick-all")) all(".pick", form).forEach((pick) => { pick.checked = event.target.checked; });
    recount(form);
  });

  // --- What is done to new content ----------------------------------------------------------------------------------

  const enhance = () => {
    all("[data-copy][hidden]").forEach((button) => { button.hidden = !navigator.clipboard; });
    all("form[data-bulk]").forEach(recount);
    // The reader's own time beside the server's, which is UTC.
    all("time[data-time]:not([data-here])").forEach((time) => {
      time.dataset.here = "";
      time.title = `${new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })} here, ${time.title}`;
    });
  };
  enhance();
  tick();
  one("[data-focus]")?.focus();
  window.addEventListener("pageshow", enhance);
})();
