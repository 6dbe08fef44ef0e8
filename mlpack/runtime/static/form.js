// One field per column. Each reads as a JSON literal, so that no digit is lost on the way.

import { el } from "./common.js";

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;
const MISSING = "missing"; // the value of the option that stands for none; others have their place

/** A column's field: its element, what it holds, and what is wrong with it. */
export function makeField(column, index, changed) {
  const id = `field-${index}`;
  const note = el("p", { class: "hint", id: `note-${index}` });
  const error = el("p", { class: "error", id: `error-${index}` });
  const hint = el("p", { class: "hint", id: `hint-${index}` }, hints(column));
  const shared = {
    id,
    "aria-describedby": `hint-${index} note-${index} error-${index}`,
    required: column.required,
  };
  const control = controlOf(column, shared);
  const element = el(
    "div",
    { class: "field" },
    el("label", { for: id }, column.name),
    control.element,
    control.extra,
    hint,
    note,
    error,
  );
  const { input } = control;
  const field = {
    column,
    element,
    input,
    read: control.read,
    fill(text) {
      control.fill(text);
      field.fail(null);
      update();
    },
    fail(message) {
      error.textContent = message ?? "";
      if (message === null) input.removeAttribute("aria-invalid");
      else input.setAttribute("aria-invalid", "true");
    },
  };
  function update() {
    note.textContent = [control.tell?.(), unseen(column, control.read())].filter(Boolean).join(" ");
    changed();
  }
  element.addEventListener("input", () => {
    field.fail(null);
    update();
  });
  return field;
}

/** What is demanded, then what training saw. */
function hints(column) {
  const { observed } = column;
  const said = [];
  if (column.description) said.push(column.description);
  const bounds = [];
  if (column.minimum !== null) bounds.push(`at least ${column.minimum}`);
  if (column.maximum !== null) bounds.push(`at most ${column.maximum}`);
  if (bounds.length) said.push(bounds.join(", "));
  if (column.pattern !== null) said.push(`matches ${column.pattern}`);
  if (column.type === "integer") said.push("a whole number");
  if (column.zone !== null) said.push("a time in UTC");
  if (observed.range) said.push(`observed ${observed.range.join(" to ")}`);
  if (column.required) said.push("required");
  else if (["number", "integer", "date", "datetime"].includes(column.type) && !column.categories) {
    said.push("empty for a missing value");
  }
  return said.join("; ");
}

/** A word about values that training never saw: they are served all the same. */
function unseen(column, { literal }) {
  const { range, categories } = column.observed;
  if (literal === null || literal === undefined || column.type === "boolean") return "";
  if (range && (Number(literal) < range[0] || Number(literal) > range[1])) {
    return "Training saw no such value.";
  }
  const text = column.type === "string" ? JSON.parse(literal) : literal;
  return categories?.length && !categories.includes(text) ? "Training saw no such value." : "";
}

function controlOf(column, shared) {
  if (column.type === "boolean") return choice(column, shared, ["true", "false"]);
  if (column.categories !== null) return choice(column, shared, column.categories);
  if (column.type === "string") return text(column, shared);
  if (column.type === "date") return moment(column, shared, "date");
  if (column.type === "datetime") return moment(column, shared, "datetime-local");
  return number(column, shared);
}

const quoted = (column, value) => (column.type === "string" ? JSON.stringify(value) : value);

function choice(column, shared, values) {
  const options = values.map((value, place) => el("option", { value: place }, value === "" ? "(empty text)" : value));
  options.unshift(
    column.required
      ? el("option", { value: MISSING, disabled: true, hidden: true }, "choose")
      : el("option", { value: MISSING }, "missing"),
  );
  const input = el("select", shared, options);
  return {
    element: input,
    input,
    read: () => ({ literal: input.value === MISSING ? null : quoted(column, values[input.value]) }),
    fill(value) {
      const place = values.indexOf(value);
      input.value = place < 0 ? MISSING : place;
    },
  };
}

function text(column, shared) {
  const known = column.observed.categories;
  const long = !known && column.pattern === null;
  const input = long ? el("textarea", { ...shared, rows: "2" }) : el("input", { ...shared, type: "text" });
  input.setAttribute("autocomplete", "off");
  const parts = [input];
  if (known) {
    const list = `${shared.id}-known`;
    input.setAttribute("list", list);
    parts.push(el("datalist", { id: list }, known.map((value) => el("option", { value }))));
  }
  let extra = null;
  let none = null;
  if (!column.required) {
    none = el("input", { type: "checkbox", "aria-label": `missing: ${column.name}` });
    none.addEventListener("change", () => {
      input.disabled = none.checked;
    });
    extra = el("label", { class: "inline" }, none, "missing");
  }
  return {
    element: el("div", {}, parts),
    extra,
    input,
    read: () => ({ literal: none?.checked ? null : JSON.stringify(input.value) }),
    fill(value) {
      input.value = value ?? "";
      if (none) {
        none.checked = value === null;
        input.disabled = none.checked;
      }
    },
  };
}

function number(column, shared) {
  const input = el("input", {
    ...shared,
    type: "number",
    step: column.type === "integer" ? "1" : "any",
    min: column.minimum,
    max: column.maximum,
    inputmode: column.minimum >= 0 && column.minimum !== null ? "decimal" : null,
  });
  return {
    element: input,
    input,
    read() {
      // Of what is no number, the browser tells nothing but that it is there.
      if (input.validity.badInput) return { problem: column.expected };
      const { value } = input;
      if (value === "") return { literal: null };
      return { literal: JSON_NUMBER.test(value) ? value : String(Number(value)) };
    },
    fill(value) {
      input.value = value ?? "";
    },
  };
}

function moment(column, shared, type) {
  const input = el("input", { ...shared, type, step: type === "date" ? null : "any" });
  const zoned = column.zone !== null;
  return {
    element: input,
    input,
    read() {
      if (input.validity.badInput) return { problem: column.expected };
      return { literal: input.value === "" ? null : JSON.stringify(input.value + (zoned ? "Z" : "")) };
    },
    fill(value) {
      input.value = (value ?? "").replace(/Z$/, "");
    },
    tell: () => (zoned && input.value ? there(input.value, column.zone) : ""),
  };
}

/** The time in the column's own zone; nothing where the browser does not know the zone. */
function there(value, zone) {
  try {
    const shown = new Intl.DateTimeFormat("sv-SE", {
      dateStyle: "short",
      timeStyle: "medium",
      timeZone: zone.replace(/^UTC(?=[+-])/, ""),
    });
    return `${shown.format(new Date(`${value}Z`))} in ${zone}.`;
  } catch {
    return `The column's zone is ${zone}.`;
  }
}

/** The fields as a JSON object, one line each; what is no value stands as null. */
export function toRow(fields) {
  const parts = fields.map((field) => `  ${JSON.stringify(field.column.name)}: ${field.read().literal ?? "null"}`);
  return `{\n${parts.join(",\n")}\n}`;
}

/** Tell at the fields that hold what is no value, and go to the first; whether there is one. */
export function refuseUnread(fields) {
  const wrong = fields.filter((field) => field.read().problem);
  for (const field of wrong) field.fail(`Expected ${field.read().problem}.`);
  wrong[0]?.input.focus();
  return wrong.length > 0;
}
