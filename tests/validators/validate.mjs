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
const AJV = {
  strict: true,
  allErrors: true,
  // Venue fields are text in its documents and numbers in some of its pushes.
  allowUnionTypes: true,
  // The conditions of a command name fields that are described beside them, not again within them.
  strictRequired: false,
  // As above: a condition constrains a field whose type stands beside it.
  strictTypes: false,
};

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

/** Compile what an AsyncAPI schema object says, as the JSON Schema (draft 7) that it is a superset of. */
function compiler(document) {
  const ajv = addFormats(new Ajv(AJV));
  const definitions = JSON.parse(
    JSON.stringify(document.components.schemas).replaceAll("#/components/schemas/", "#/definitions/"),
  );
  return (schema) => {
    const own = JSON.parse(JSON.stringify(schema).replaceAll("#/components/schemas/", "#/definitions/"));
    return ajv.compile({ allOf: [own], definitions });
  };
}

function compileAll(document) {
  const compile = compiler(document);
  const messages = {};
  for (const name of Object.keys(document.components.schemas)) compile({ $ref: `#/components/schemas/${name}` });
  for (const [name, { headers, payload }] of Object.entries(document.components.messages)) {
    messages[name] = { headers: compile(headers), payload: compile(payload) };
  }
  const schemas = {};
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".schema.json")).sort()) {
    try {
      schemas[basename(file, ".schema.json")] = addFormats(new Ajv2020(AJV)).compile(read(file));
    } catch (error) {
      fail(`${file}: ${error.message}`);
    }
  }
  console.log(
    `compiled: ${Object.keys(schemas).length} JSON Schemas (2020-12), ` +
      `${Object.keys(document.components.schemas).length} schemas of asyncapi.json, ` +
      `headers and payload of ${Object.keys(messages).length} messages`,
  );
  return { messages, schemas };
}

function check(cases, what) {
  let count = 0;
  for (const { name, validate, value } of cases) {
    count += 1;
    if (!validate) fail(`${name}: there is no schema for it`);
    else if (!validate(value)) fail(`${name}: ${told(validate)}`);
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
  if (validate(value)) fail(`taken, though ${name}`);
  else refused += 1;
}
if (refused === 0) fail("nothing was planted");
console.log(`refused: ${refused} samples with a required field or header taken away`);

for (const failure of failures) console.log(`WRONG ${failure}`);
console.log(failures.length ? `${failures.length} wrong` : "the contract holds");
exit(failures.length ? 1 : 0);
