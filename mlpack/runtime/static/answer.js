// Shows one prediction: a sentence that is read out, and a chart or table for the eye and the ear.

import { byId, el, table } from "./common.js";

const MOST = 10; // bars at once; the others are folded away

const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** A number to read, with all of its digits in the element's value. */
export function figure(value, shown = short(value)) {
  return el("data", { value: String(value), title: String(value) }, shown);
}

function short(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(6)));
}

/** Show an answer of the server to one row. */
export function showAnswer(model, prediction) {
  byId("status").replaceChildren(...sentence(model, prediction));
  byId("chart").replaceChildren(...details(prediction));
}

/** Show that there is none, and why. */
export function showRefusal(message, others) {
  byId("status").replaceChildren(message);
  byId("chart").replaceChildren(others.length ? el("ul", {}, others.map((text) => el("li", {}, text))) : "");
}

function sentence(model, { label, value, probabilities, score }) {
  const target = model.target ?? "The prediction";
  if (label === undefined) {
    if (Array.isArray(value)) return [`${target}: ${value.length} values.`];
    return [`${target} is `, el("strong", {}, value === null ? "not a finite number" : figure(value))];
  }
  if (score !== undefined) {
    return [el("strong", {}, label === -1 ? "An outlier" : "Not an outlier"), `Label ${label}, score `, figure(score), "; the lower, the more of an outlier."];
  }
  if (Array.isArray(label)) return [`${target}: `, el("strong", {}, label.map(String).join(", "))];
  const share = probabilities?.[String(label)];
  const how = share === undefined ? [] : [` with a probability of ${percent(share)}`];
  if (model.task === "clusters") return ["It belongs to ", el("strong", {}, `Cluster ${label}`), ...how];
  return [`${target} is `, el("strong", {}, String(label)), ...how];
}

function details({ label, value, probabilities }) {
  if (Array.isArray(value)) {
    return [table("Values", ["output", "value"], value.map((each, place) => [String(place), figure(each)]))];
  }
  if (!probabilities) return [];
  if (Array.isArray(label)) {
    const each = label.map((chosen, place) => [chosen, probabilities[place], `Probabilities of label ${place}`]);
    return each.flatMap(([chosen, shares, title]) => charts(title, shares, chosen));
  }
  return charts("Probabilities", probabilities, label);
}

function charts(title, probabilities, label) {
  let entries = Object.entries(probabilities);
  if (entries.length > MOST) entries = entries.sort((one, other) => other[1] - one[1]);
  const chosen = String(label);
  const shown = [bars(title, entries.slice(0, MOST), chosen)];
  if (entries.length > MOST) {
    const rest = entries.slice(MOST);
    shown.push(el("details", {}, el("summary", {}, `${rest.length} more`), bars(`Other ${title.toLowerCase()}`, rest, chosen)));
  }
  return shown;
}

function bars(title, entries, chosen) {
  return el(
    "ul",
    { class: "bars", "aria-label": title },
    entries.map(([name, share]) => {
      const fill = el("span");
      fill.style.width = `${share * 100}%`;
      return el(
        "li",
        { class: name === chosen ? "chosen" : null },
        el("span", {}, name),
        figure(share, share === null ? "not finite" : percent(share)),
        el("span", { class: "bar", "aria-hidden": "true" }, fill),
      );
    }),
  );
}
