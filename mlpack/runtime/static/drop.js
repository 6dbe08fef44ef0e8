// The place where a CSV file is dropped or chosen, and what comes of it.

import { ask, byId, el, table } from "./common.js";
import { line } from "./csv.js";
import { Join } from "./joined.js";

const SHOWN = 100; // refusals in the page; all of them are in the file beside
const EVERY = 1000; // milliseconds between two words on how far it is

let running = null;
let links = [];

export function offerFiles(model) {
  const zone = byId("drop");
  const input = byId("file");
  input.addEventListener("change", () => {
    if (input.files.length) predictFile(model, input.files[0]);
    input.value = ""; // the same file can be chosen again
  });
  for (const kind of ["dragover", "dragenter"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) predictFile(model, event.dataTransfer.files[0]);
  });
  byId("cancel").addEventListener("click", () => running?.abort());
  // A file that misses the place must not take the page's own.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}

async function predictFile(model, file) {
  running?.abort();
  const abort = new AbortController();
  running = abort;
  const status = byId("file-status");
  for (const link of links) URL.revokeObjectURL(link);
  links = [];
  byId("downloads").replaceChildren();
  byId("file-result").replaceChildren();
  byId("cancel").hidden = false;
  status.classList.remove("error");
  status.textContent = `Reading ${file.name} ...`;
  let last = Date.now();
  const join = new Join(
    model.columns.map(({ name }) => name),
    (text) => post(text, abort.signal),
    (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    ({ rows }) => {
      if (Date.now() - last > EVERY) {
        last = Date.now();
        status.textContent = `${rows.toLocaleString("en")} rows so far ...`;
      }
    },
  );
  try {
    await join.read(file.stream());
    if (running === abort) showResult(join, file.name);
  } catch (error) {
    if (running !== abort) return; // another file is on its way
    status.textContent = abort.signal.aborted ? "Stopped." : `${file.name}: ${error.message}.`;
    status.classList.toggle("error", !abort.signal.aborted);
  } finally {
    if (running === abort) {
      running = null;
      const focused = document.activeElement === byId("cancel");
      byId("cancel").hidden = true;
      if (focused) byId("file").focus();
    }
  }
}

async function post(text, signal) {
  signal.throwIfAborted();
  const headers = { "Content-Type": "text/csv", Accept: "text/csv" };
  return (await ask("predict", { method: "POST", headers, body: text, signal })).text();
}

function showResult(join, name) {
  const good = join.rows - join.bad;
  const said = [`${count(good, "row")} predicted, ${join.bad.toLocaleString("en")} refused.`];
  if (join.ignored.length) said.push(`Not looked at: ${join.ignored.join(", ")}.`);
  byId("file-status").textContent = said.join(" ");
  const base = name.replace(/\.csv$/i, "");
  const blob = join.blob();
  if (blob) offer(blob, `${base}-predictions.csv`, "Download the rows with their predictions");
  if (join.refused.length) {
    const lines = join.refused.map((each) => line([String(each.line), each.column ?? "", each.expected, each.got]));
    const text = ["line,column,expected,got", ...lines, ""].join("\n");
    offer(new Blob([text], { type: "text/csv" }), `${base}-refused.csv`, "Download what was refused");
  }
  const result = byId("file-result");
  if (join.refused.length) {
    const title = join.refused.length > SHOWN ? `The first ${SHOWN} values that were refused` : "Values that were refused";
    const rows = join.refused.slice(0, SHOWN);
    result.append(
      table(title, ["line", "column", "expected", "got"], rows.map((each) => [String(each.line), each.column ?? "the row", each.expected, each.got])),
    );
  }
  if (join.header && join.sample.length) {
    result.append(table("The first rows", join.header, join.sample));
  }
}

function offer(blob, name, text) {
  const href = URL.createObjectURL(blob);
  links.push(href);
  byId("downloads").append(el("a", { class: "button", href, download: name }, text), " ");
}

const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
