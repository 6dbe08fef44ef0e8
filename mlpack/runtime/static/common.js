// What both pages share: making elements, asking the server, and the API key.

const STORE = "mlpack-api-key";
let key = stored();

function stored() {
  try {
    return sessionStorage.getItem(STORE);
  } catch {
    return null; // storage may be forbidden
  }
}

/** Whether the server wanted a key. */
export function guarded() {
  return key !== null;
}

/** An element. Texts become text, never markup. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    // Only what can be scrolled needs to be reached by keyboard, and a name when it is.
    const wide = target.scrollWidth > target.clientWidth;
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", target.dataset.name]]) {
      if (wide) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});

/** Let an element be scrolled by keyboard where it is wider than its place. */
export function scrollable(element, name) {
  element.dataset.name = name;
  sizes.observe(element);
  return element;
}

/** A table that scrolls by itself where it is wider than the screen. */
export function table(title, head, rows) {
  const body = rows.map((row) =>
    el("tr", {}, row.map((cell, place) => (place ? el("td", {}, cell) : el("th", { scope: "row" }, cell)))),
  );
  const made = el(
    "table",
    {},
    el("caption", {}, title),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, body),
  );
  return scrollable(el("div", { class: "scroll" }, made), title);
}

/** What the server refused, or that it did not answer (status 0). */
export class Refused extends Error {
  constructor(status, problem, retryAfter = null) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
    this.retryAfter = retryAfter;
  }
}

/** Ask the server; anything but a success is thrown as Refused. */
export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key !== null) headers["X-API-Key"] = key;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { detail: "the server does not answer" });
  }
  if (answer.ok) return answer;
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // a proxy in between may answer with a page of its own
  }
  throw new Refused(answer.status, problem, answer.headers.get("Retry-After"));
}

/** JSON, with whole numbers that are too large for JavaScript kept as the text that they are. */
export function parse(text) {
  return JSON.parse(text, (_name, value, context) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source ? context.source : value,
  );
}

/** The JSON at a path; asks the reader for a key for as long as the server wants another. */
export async function load(path) {
  for (;;) {
    try {
      const value = parse(await (await ask(path)).text());
      if (!byId("key-form").hidden) {
        byId("key-form").hidden = true;
        byId("main").focus(); // the field that had the focus is gone
      }
      for (const link of document.querySelectorAll(".unguarded")) link.hidden = guarded();
      return value;
    } catch (error) {
      if (error.status !== 401) throw error;
      await wanted();
    }
  }
}

function wanted() {
  const form = byId("key-form");
  const field = byId("key");
  const again = !form.hidden || key !== null;
  form.hidden = false;
  field.setAttribute("aria-invalid", String(again));
  byId("key-error").textContent = again ? "The server does not take this key." : "";
  field.focus();
  return new Promise((resolve) => {
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        // A header holds visible ASCII only; anything else is no key, which the server then says.
        key = field.value.replace(/[^\x21-\x7e]/g, "");
        try {
          sessionStorage.setItem(STORE, key);
        } catch {
          // then it holds until the page is left
        }
        resolve();
      },
      { once: true },
    );
  });
}

/** Run a page; what goes wrong is told in it. */
export async function start(run) {
  try {
    await run();
    byId("content").hidden = false;
  } catch (error) {
    byId("failure").textContent = `This page cannot be shown: ${error.message}.`;
  }
}
