// Holds the published contract against the official validators of AsyncAPI and JSON Schema. Usage: validate.mjs FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { argv, exit } from "node:process";

import { Parser } from "@asyncapi/parser";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

import { examples, planted, samples } from "./cases.mjs";

const SEVERITIES = ["ERROR", "WARN", "INFO", "HINT"];
// What the parser may say, and why it may. Everything else fails.
const EXPLAINED = {
  "asyncapi-latest-version": "3.0.0 is what generators and viewers read today; 3.1.0 adds nothing that is used here",
};
// Venue fields are text in its documents and numbers in some of its pushes.
const STRICT = { strict: true, allErrors: true, allowUnionTypes: true };
// A condition, and what a message adds to its headers, name fields whose types stand beside them, not again within them.
const CONDITIONAL = { ...STRICT, strictRequired: false, strictTypes: false };
const hasCondition = (name) => /^(place|replace|cancel)-?order(args)?$/i.test(name);
const optionsOf = (name) => (hasCondition(name) ? CONDITIONAL : STRICT);

const folder = argv[2];
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const failures = [];
const fail = (what) => failures.push(what);
const told = (validate) => validate.errors.map((error) => `${error.instancePath || "/"} ${error.message}`).join("; ");

async function parse(document) {
  const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(document));
  return { parsed, diagnostics };
}

async function checkAsyncapi(document) {
  const { parsed, diagnostics } = await parse(document);
  for (const { severity, code, path, message } of diagnostics) {
    const where = `${SEVERITIES[severity]} ${code} at ${path.join("/") || "/"}: ${message}`;
    if (severity > 0 && code in EXPLAINED) console.log(`  ${where}\n    explained: ${EXPLAINED[code]}`);
    else fail(`asyncapi.json: ${where}`);
  }
  if (!parsed) return fail("asyncapi.json: the parser gives no document back");
  const channels = parsed.channels().all();
  console.log(
    `asyncapi.json ${parsed.version()}: ${channels.length} channels, ${parsed.operations().all().length} operations, ` +
      `${parsed.allMessages().all().length} messages, ${parsed.allSchemas().all().length} schemas; ` +
      `${diagnostics.length} diagnostics`,
  );
  // The parser does not look whether a reply's messages are those of its channel.
  for (const [name, { reply }] of Object.entries(document.operations)) {
    for (const { $ref } of reply?.messages ?? []) {
      if (!$ref.startsWith(`${reply.channel.$ref}/messages/`)) fail(`${name}: the reply ${$ref} is of another channel`);
    }
  }
  // That the parser can refuse is shown as well.
  const broken = structuredClone(document);
  broken.channels.orders.address = "{prefix}.{account}.{nobody}";
  if ((await parse(broken)).parsed) fail("the parser takes a parameter that nobody described");
}

/** Return a compiler of AsyncAPI schema objects: each is a JSON Schema (draft 7) and refers to the document's others. */
function compiler(document) {
  const local = (node) => JSON.parse(JSON.stringify(node).replaceAll("#/components/schemas/", "#/definitions/"));
  const definitions = local(document.components.schemas);
  return (schema, options) => addFormats(new Ajv(options)).compile({ allOf: [local(schema)], definitions });
}

function compileAll(document) {
  const schemas = {};
  const messages = {};
  const attempt = (name, compile) => {
    try {
      return compile();
    } catch (error) {
      fail(`${name}: ${error.message}`);
    }
  };
  const compile = compiler(document);
  const components = Object.keys(document.components.schemas);
  for (const name of components) {
    attempt(`asyncapi.json ${name}`, () => compile({ $ref: `#/components/schemas/${name}` }, optionsOf(name)));
  }
  for (const [name, { headers, payload }] of Object.entries(document.components.messages)) {
    messages[name] = {
      headers: attempt(`asyncapi.json headers of ${name}`, () => compile(headers, CONDITIONAL)),
      payload: attempt(`asyncapi.json payload of ${name}`, () => compile(payload, optionsOf(name))),
    };
  }
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".schema.json")).sort()) {
    const name = basename(file, ".schema.json");
    schemas[name] = attempt(file, () => addFormats(new Ajv2020(optionsOf(name))).compile(read(file)));
  }
  console.log(
    `compiled: ${Object.keys(schemas).length} JSON Schemas (2020-12), ${components.length} schemas of asyncapi.json, ` +
      `headers and payload of ${Object.keys(messages).length} messages`,
  );
  return { messages, schemas };
}

function check(cases, what) {
  let count = 0;
  for (const { name, validate, value } of cases) {
    if (!validate) fail(`${name}: no schema to hold it against`);
    else if (!validate(value)) fail(`${name}: ${told(validate)}`);
    else count += 1;
  }
  if (count === 0) fail(`no ${what}`);
  console.log(`valid: ${count} ${what}`);
}

const document = read("asyncapi.json");
await checkAsyncapi(document);
const compiled = compileAll(document);
const golden = readdirSync(join(folder, "samples")).sort();
const records = golden.map((file) => ({ name: basename(file, ".json"), ...read(join("samples", file)) }));
check(samples(records, compiled), `values and headers of ${records.length} golden samples, by JSON Schema and AsyncAPI`);
check(examples(document, compiled), "values and headers of the examples in asyncapi.json");

let refused = 0;
for (const { name, validate, value } of planted(records, compiled)) {
  if (!validate) continue; // told above
  if (validate(value)) fail(`taken, though ${name}`);
  else refused += 1;
}
if (refused === 0) fail("nothing was planted");
console.log(`refused: ${refused} samples with a required field or header taken away`);

for (const failure of failures) console.log(`WRONG ${failure}`);
console.log(failures.length ? `${failures.length} wrong` : "the contract holds");
exit(failures.length ? 1 : 0);
