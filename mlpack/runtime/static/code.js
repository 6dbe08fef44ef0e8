// The request of the form, for a shell and for Python.

import { byId, guarded, scrollable } from "./common.js";

const url = () => new URL("predict", document.baseURI).href;
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// A JSON string is a Python string as well, but for halves of characters, which no row has.
const NAMES = { true: "True", false: "False", null: "None" };

/** A row's JSON as Python: its names for true, false and null, outside of strings. */
export function python(row) {
  const indented = row.replaceAll("\n  ", "\n    "); // between columns; within strings none is raw
  return indented.replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (found) => NAMES[found] ?? found);
}

export function showCode(row) {
  const headers = ["-H 'Content-Type: application/json'"];
  if (guarded()) headers.push('-H "X-API-Key: $API_KEY"');
  byId("curl").textContent = `curl ${shell(url())} \\\n  ${headers.join(" \\\n  ")} \\\n  -d ${shell(row)}\n`;
  const more = guarded() ? ', "X-API-Key": os.environ["API_KEY"]' : "";
  byId("python").textContent = `import json
${guarded() ? "import os\n" : ""}from urllib.request import Request, urlopen

row = ${python(row)}
request = Request(
    ${JSON.stringify(url())},
    json.dumps(row).encode(),
    {"Content-Type": "application/json"${more}},
)
with urlopen(request) as answer:
    print(json.load(answer)["predictions"][0])
`;
}

/** Let the buttons copy, where the browser allows it: not on pages without TLS on other hosts. */
export function offerCopies() {
  for (const name of ["curl", "python"]) {
    scrollable(byId(name), `The request for ${name}`);
    const button = byId(`copy-${name}`);
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(byId(name).textContent);
        byId("copied").textContent = "Copied.";
      } catch {
        byId("copied").textContent = "The browser does not let this page copy: select the text.";
      }
    });
  }
}
