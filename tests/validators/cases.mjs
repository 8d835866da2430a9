// What is validated: each value with the validator that must take it, or, where something is taken away, refuse it.

const COMMANDS = new Set(["place-order", "replace-order", "cancel-order", "cancel-orders"]);
const OWN_HEADERS = new Set(["result", "dead-letter"]);

/** Name the message of a sample: what stands before the first dot of its file's name. */
const message = ({ name }) => name.split(".")[0];

function headersSchema(name) {
  if (COMMANDS.has(name)) return "command-headers";
  return OWN_HEADERS.has(name) ? `${name}-headers` : "event-headers";
}

/** Yield the ways in which one sample is described: by a JSON Schema each, and by its message in AsyncAPI. */
function* described(sample, { messages, schemas }) {
  const name = message(sample);
  const hasValue = sample.value !== null && !("base64" in sample);
  yield { of: "headers", by: "JSON Schema", validate: schemas[headersSchema(name)], value: sample.headers };
  yield { of: "headers", by: "AsyncAPI", validate: messages[name]?.headers, value: sample.headers };
  if (hasValue) yield { of: "value", by: "JSON Schema", validate: schemas[name], value: sample.value };
  if (!("base64" in sample)) {
    yield { of: "value", by: "AsyncAPI", validate: messages[name]?.payload, value: sample.value };
  }
}

export function* samples(records, compiled) {
  for (const record of records) {
    for (const { of, by, validate, value } of described(record, compiled)) {
      yield { name: `sample ${record.name}, ${of} by ${by}`, validate, value };
    }
  }
}

export function* examples(document, { messages }) {
  for (const [name, { examples: shown = [] }] of Object.entries(document.components.messages)) {
    // A message that nobody can see an example of is not described well.
    if (shown.length === 0) yield { name: `${name} has no example`, validate: undefined };
    for (const example of shown) {
      for (const part of ["headers", "payload"].filter((one) => one in example)) {
        yield { name: `example ${name} ${example.name}, ${part}`, validate: messages[name][part], value: example[part] };
      }
    }
  }
}

/** Yield each sample without one of the fields, or headers, that its schema requires: all of them must be refused. */
export function* planted(records, compiled) {
  for (const record of records) {
    for (const { of, by, validate, value } of described(record, compiled)) {
      for (const field of required(record, of, value, compiled)) {
        const { [field]: _, ...rest } = value;
        yield { name: `${record.name} has no ${field} in its ${of} (${by})`, validate, value: rest };
      }
    }
  }
}

/** Return what the JSON Schema of a sample requires; of a union, what the event at hand cannot be without. */
function required(record, of, value, { schemas }) {
  const name = of === "headers" ? headersSchema(message(record)) : message(record);
  const { $defs = {}, anyOf = [], ...root } = schemas[name]?.schema ?? {};
  const branches = anyOf.map(({ $ref = "" }) => $defs[$ref.split("/").at(-1)]).filter(Boolean);
  const own = anyOf.length ? branches.find(({ properties }) => isOf(properties.type, value)) : root;
  return (own?.required ?? []).filter((field) => field in (value ?? {}));
}

const isOf = (type, value) => type.const === value?.type;
