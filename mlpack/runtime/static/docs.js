// The OpenAPI document as a page.

import { byId, el, load, scrollable, start, table } from "./common.js";

start(async () => {
  const api = await load("openapi.json");
  document.title = `${api.info.title} ${api.info.version}: API`;
  byId("title").textContent = `${api.info.title} ${api.info.version}`;
  byId("about").textContent = api.info.description ?? "";
  const routes = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => typeof operation === "object" && operation.responses)
      .map(([method, operation]) => route(api, path, method, operation)),
  );
  const schemas = Object.entries(api.components?.schemas ?? {});
  byId("content").replaceChildren(
    el("h2", {}, "Columns"),
    columns(api),
    el("h2", {}, "Routes"),
    ...routes,
    el("h2", {}, "Schemas"),
    ...schemas.map(([name, schema]) => fold(name, json(schema, `The schema ${name}`))),
  );
});

/** What a reference of this document points at; anything else as it is. */
function resolved(api, value) {
  const path = value?.$ref;
  if (typeof path !== "string" || !path.startsWith("#/")) return value ?? {};
  const names = path.slice(2).split("/").map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  return names.reduce((found, name) => found?.[name], api) ?? {};
}

/** A schema in a few words. */
function words(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(words).join(" or ");
  if (schema.type === "array" || schema.prefixItems) return `list of ${words(schema.items) || "values"}`;
  return [schema.type ?? (schema.enum ? "value" : "")].flat().join(" or ");
}

function allowed(schema) {
  const parts = [];
  if (schema.minimum !== undefined) parts.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) parts.push(`at most ${schema.maximum}`);
  if (schema.pattern !== undefined) parts.push(`matches ${schema.pattern}`);
  if (schema.format !== undefined) parts.push(schema.format);
  const listed = (schema.enum ?? schema.allOf?.[0].enum)?.filter((value) => value !== null);
  if (listed) parts.push(`one of ${listed.map((value) => JSON.stringify(value)).join(", ")}`);
  return parts.join(", ");
}

function columns(api) {
  const row = api.components?.schemas?.Row ?? {};
  const required = new Set(row.required);
  return table(
    "Columns of a row",
    ["column", "type", "required", "allowed", "about"],
    Object.entries(row.properties ?? {}).map(([name, schema]) => [
      el("code", {}, name),
      [schema.type].flat().filter((type) => type !== "null").join(" or "),
      required.has(name) ? "yes" : "no",
      allowed(schema),
      schema.description ?? "",
    ]),
  );
}

const fold = (title, ...children) => el("details", {}, el("summary", {}, title), ...children);

function json(value, label) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return scrollable(el("pre", {}, text), label);
}

function route(api, path, method, operation) {
  const name = `${method.toUpperCase()} ${path}`;
  const shown = [el("h3", {}, el("code", {}, name))];
  if (operation.summary) shown.push(el("p", {}, operation.summary));
  if (operation.description) shown.push(el("p", {}, operation.description));
  const parameters = (operation.parameters ?? []).map((each) => resolved(api, each));
  if (parameters.length) {
    const rows = parameters.map((each) => [el("code", {}, each.name), each.in, each.required ? "yes" : "no", words(each.schema), each.description ?? ""]);
    shown.push(table(`Parameters of ${name}`, ["name", "in", "required", "type", "about"], rows));
  }
  const content = Object.entries(resolved(api, operation.requestBody).content ?? {});
  if (content.length) {
    shown.push(table(`Bodies of ${name}`, ["content type", "what"], content.map(([type, media]) => [el("code", {}, type), words(media.schema)])));
  }
  for (const [type, media] of content) {
    const examples = Object.entries(media.examples ?? (media.example === undefined ? {} : { example: { value: media.example } }));
    for (const [title, each] of examples) {
      shown.push(fold(`An example in ${type}: ${title}`, json(resolved(api, each).value, `${name}, ${type}: ${title}`)));
    }
  }
  const answers = Object.entries(operation.responses).map(([status, given]) => {
    const response = resolved(api, given);
    const kinds = Object.entries(response.content ?? {}).map(([type, media]) => [type, words(media.schema)].filter(Boolean).join(": "));
    return [status, response.description ?? "", kinds.join(", ")];
  });
  shown.push(table(`Answers of ${name}`, ["status", "when", "what"], answers));
  return el("div", { class: "panel route" }, ...shown);
}
