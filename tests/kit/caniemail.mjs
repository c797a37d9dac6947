// Print which features of an email on standard input which mail programs do not support, as JSON:
// {feature: [client, ...]}, by the table of caniemail.com.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const entry = createRequire(process.argv[2] + "/").resolve("caniemail");
const { caniemail } = await import(pathToFileURL(entry));
const { issues } = caniemail({ clients: ["*"], html: readFileSync(0, "utf8") });
const missing = {};
for (const [client, found] of issues.errors) {
  for (const { title } of found) (missing[title] ??= []).push(client);
}
console.log(JSON.stringify(missing));
