// The model's page: what it is, a form to ask it, a place for files.

import { ask, byId, el, load, parse, start, table } from "./common.js";
import { figure, showAnswer, showRefusal } from "./answer.js";
import { offerCopies, showCode } from "./code.js";
import { offerFiles } from "./drop.js";
import { makeField, refuseUnread, toRow } from "./form.js";

const TASKS = {
  classification: "A classification",
  regression: "A regression",
  outliers: "A detection of outliers",
  clusters: "A clustering",
};

start(async () => {
  const model = await load("model.json");
  document.title = `${model.name} ${model.version}`;
  byId("title").textContent = document.title;
  byId("about").textContent = about(model);
  byId("what").replaceChildren(...description(model));
  offerForm(model);
  offerCopies();
  offerFiles(model);
});

function about(model) {
  const target = model.target ? ` of ${model.target}` : "";
  const labels = model.labels.length ? ` Labels: ${[...new Set(model.labels)].join(", ")}.` : "";
  return `${TASKS[model.task]}${target}.${labels}`;
}

function offerForm(model) {
  let quiet = true;
  const fields = model.columns.map((column, index) => makeField(column, index, () => quiet || update()));
  const update = () => showCode(toRow(fields));
  const fill = (text) => {
    quiet = true;
    for (const field of fields) field.fill(text(field.column));
    quiet = false;
    update();
  };
  byId("fields").replaceChildren(...fields.map(({ element }) => element));
  byId("example").addEventListener("click", () => fill(({ example }) => example));
  byId("clear").addEventListener("click", () => fill(() => null));
  byId("row").addEventListener("submit", (event) => {
    event.preventDefault();
    predict(model, fields);
  });
  fill(({ example }) => example);
}

let latest = 0;

async function predict(model, fields) {
  for (const field of fields) field.fail(null);
  if (refuseUnread(fields)) {
    showRefusal("Some values cannot be read: see the fields.", []);
    return;
  }
  latest += 1;
  const mine = latest; // of two answers on their way, the last request's counts
  byId("answer").setAttribute("aria-busy", "true");
  try {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    const answer = await ask("predict", { method: "POST", headers, body: toRow(fields) });
    const [prediction] = parse(await answer.text()).predictions;
    if (mine === latest) showAnswer(model, prediction);
  } catch (error) {
    if (mine === latest) refuse(fields, error);
  } finally {
    if (mine === latest) byId("answer").removeAttribute("aria-busy");
  }
}

/** Say what is wrong at the fields that are at fault, and the rest beside them. */
function refuse(fields, error) {
  const others = [];
  let first = null;
  for (const { column, expected, got } of error.errors ?? []) {
    const message = `Expected ${expected}, got ${got}.`;
    const field = fields.find((each) => each.column.name === column);
    if (field) {
      field.fail(message);
      if (!first || fields.indexOf(field) < fields.indexOf(first)) first = field;
    } else {
      others.push(column === null ? message : `${column}: ${message}`);
    }
  }
  const id = error.requestId && error.status >= 500 ? ` (request ${error.requestId})` : "";
  showRefusal(`No answer: ${error.message}${id}.`, others);
  first?.input.focus();
}

function description(model) {
  const parity = model.parity;
  const facts = [
    ["Name", model.name],
    ["Version", model.version],
    ["Form", model.form + (model.reason ? `: ${model.reason}` : "")],
    ["Learned from", model.rows ? `${model.rows.toLocaleString("en")} rows` : "rows that were not counted"],
    ["Proof", parity ? `${parity.equal ? "equal" : "not equal"} to the original on ${parity.rows.toLocaleString("en")} rows` : "none"],
    ["Model", el("code", {}, `sha256:${model.digests.model}`)],
    ["Lock", el("code", {}, model.digests.lock)],
    ["Server", el("code", {}, model.digests.runtime)],
    ["Made with", Object.entries(model.versions).map((pair) => pair.join(" ")).join(", ")],
  ];
  const known = facts.filter(([, value]) => value !== "");
  const shown = [
    el("dl", { class: "panel" }, known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    table("Columns", ["column", "type", "required", "allowed", "observed", "about"], model.columns.map(columnRow)),
  ];
  const metrics = Object.entries(model.metrics);
  if (metrics.length) {
    shown.push(table("Metrics of training", ["metric", "value"], metrics.map(([name, value]) => [name, figure(value)])));
  }
  if (parity?.checks.length) {
    const rows = parity.checks.map((each) => [
      each.name,
      String(each.rows),
      String(each.different),
      each.largest === 0 ? "exact" : each.largest === null ? "not finite" : each.largest.toExponential(1),
      String(each.refused),
    ]);
    shown.push(table("The proof", ["rows", "asked", "different", "largest difference", "refused by both"], rows));
  }
  return shown;
}

function columnRow(column) {
  const { observed } = column;
  const allowed = [];
  if (column.categories !== null) allowed.push(column.categories.join(", "));
  if (column.minimum !== null) allowed.push(`at least ${column.minimum}`);
  if (column.maximum !== null) allowed.push(`at most ${column.maximum}`);
  if (column.pattern !== null) allowed.push(`matches ${column.pattern}`);
  const seen = [];
  if (observed.range) seen.push(observed.range.join(" to "));
  if (observed.categories) {
    const more = observed.categories.length > 20 ? " ..." : "";
    seen.push(observed.categories.slice(0, 20).join(", ") + more);
  }
  if (observed.missing) seen.push(`${(observed.missing * 100).toFixed(1)} % missing`);
  return [
    el("code", {}, column.name),
    column.type + (column.zone ? `, ${column.zone}` : ""),
    column.required ? "yes" : "no",
    allowed.join("; "),
    seen.join("; "),
    column.description ?? "",
  ];
}
