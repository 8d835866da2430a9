// Documents that the demo does not make by itself: each is made of a real one, and has its fields and no others.

export const HOSTILE = `"'><img src=x onerror="document.title='owned'"><b class=owned>\u202e \u0000 x\u0301\u0301\u0301\u0301 ${"w".repeat(80)}`;

const clone = (document) => structuredClone(document);
const NOTHING = { publish_s: 0, publish_count: 0, commit_s: 0, commit_count: 0, command_s: 0, command_count: 0 };

export function makeStandby(real) {
  const document = clone(real);
  for (const account of document.accounts) Object.assign(account, { phase: "standby", owned: null, results: [], latencies: { ...NOTHING } });
  return document;
}

export function makeJoining(real) {
  const document = makeStandby(real), detail = "no broker answers: [Errno 111] Connect call failed ('10.2.3.4', 9092)";
  for (const account of document.accounts) makeUnready(account, "joining", "kafka", "no-owner", detail, document.at_ms - 5000);
  return Object.assign(document, { ready: false });
}

export function makeStopped(real) {
  const document = makeStandby(real), detail = "ltp.main.commands no longer holds the next command (offset 120): retention removed it";
  for (const account of document.accounts) {
    makeUnready(account, "stopped", "operator", "no-owner", detail, document.at_ms - 500_000);
    account.recent_alarms = [makeAlarm("offset_lost", document.at_ms - 500_000, { detail })];
  }
  return Object.assign(document, { ready: false });
}

export function makeTrouble(real) {
  const document = clone(real), [account] = document.accounts, owned = account.owned, now = document.at_ms;
  makeUnready(account, "owner", "session", "no-session", "AZ4: link_failed: [Errno 111] Connect call failed ('10.2.3.4', 443)", now - 14_000);
  Object.assign(account, { buffer_bytes: 50e6, oldest_record_s: 6.2, detail: "" });
  Object.assign(owned, { logged_in_ms: 0, is_recovered: false, has_lease: false, waiting: 14, oldest_waiting_s: 12.5, in_flight: 2, oldest_in_flight_s: 3.2, unknown: 3, oldest_unknown_s: 71 });
  Object.assign(owned, { venue_skew: { low_ms: 5200, high_ms: 5400 }, broker_skew: null });
  owned.gaps = [{ gap_id: "1-2", cause: "link_failed", meaning: "The connection broke, could not be opened, or was not read.", runbook: "gap-open", from_ms: now - 14_300, to_ms: 0, recovered: 0 }];
  owned.gap_count = 60;
  owned.alarms = [makeAlarm("clock_skew", now - 600_000, { detail: "this machine's clock is 5.2 to 5.4 s ahead of the venue's" }), makeAlarm("topic_lost", now - 90_000_000, { subject: "ltp.main.orders" })];
  owned.alarm_count = 70;
  account.recent_alarms = [makeAlarm("late_landed", now - 120_000, { detail: "order 1796093044697621" })];
  Object.assign(owned.budgets[2], { usable: Math.floor(owned.budgets[2].limit / 2), free: 0, waiting: 12 });
  const outcomes = ["accepted", "rejected", "denied", "expired", "superseded", "not_found", "unknown"];
  account.results.forEach((one, index) => {
    const outcome = outcomes[index % outcomes.length], isAccepted = outcome === "accepted";
    Object.assign(one, { outcome, code: outcome === "rejected" ? 401018 : null, reason: outcome === "denied" ? "bad_value" : "", repeated: index === 7 });
    Object.assign(one, { message: isAccepted ? "" : "Order does not exist or has been canceled by the system", total_s: outcome === "unknown" ? null : 12.345 });
  });
  return Object.assign(document, { ready: false });
}

export function makeHostile(real) {
  const document = makeTrouble(real), [account] = document.accounts;
  Object.assign(document.process, { environment: HOSTILE, instance: HOSTILE });
  Object.assign(account, { detail: HOSTILE, phase: HOSTILE });
  Object.assign(account.missing[0], { what: HOSTILE, detail: HOSTILE.repeat(5) });
  Object.assign(account.owned, { endpoint: HOSTILE });
  for (const one of [...account.owned.alarms, ...account.recent_alarms]) Object.assign(one, { alarm: HOSTILE, meaning: HOSTILE, runbook: HOSTILE, subject: HOSTILE, detail: HOSTILE });
  for (const one of account.owned.gaps) Object.assign(one, { gap_id: HOSTILE, cause: HOSTILE, meaning: HOSTILE });
  for (const one of account.results) Object.assign(one, { action: HOSTILE, outcome: HOSTILE, reason: HOSTILE, message: HOSTILE, command_id: HOSTILE, order_id: HOSTILE });
  return document;
}

export function makeFifty(real) {
  const [trouble, standby, stopped] = [makeTrouble, makeStandby, makeStopped].map((make) => make(real).accounts[0]);
  const accounts = Array.from({ length: 50 }, (_, index) => {
    const account = clone(index === 7 ? trouble : index === 23 ? stopped : index % 5 === 2 ? standby : real.accounts[0]);
    return Object.assign(account, { name: `desk-${index}${index % 9 ? "" : "-market-making-binance-perpetuals"}` });
  });
  return { ...clone(real), ready: false, accounts };
}

// The venue is away: what all have in common is told once.
export function makeOutage(real) {
  const [trouble] = makeTrouble(real).accounts;
  const accounts = Array.from({ length: 50 }, (_, index) => Object.assign(clone(trouble), { name: `desk-${index}` }));
  return { ...clone(real), ready: false, accounts };
}

export function makeEmpty(real) {
  return { ...clone(real), ready: false, accounts: [] };
}

export function makeNextProcess(real) {
  const document = clone(real);
  Object.assign(document.process, { instance: "next:1", started_ms: document.at_ms - 1000 });
  for (const account of document.accounts) Object.assign(account, { results: [], latencies: { ...NOTHING } });
  return document;
}

function makeUnready(account, phase, what, runbook, detail, since_ms) {
  Object.assign(account, { ready: false, phase, detail, missing: [{ what, runbook, since_ms, detail }] });
}

function makeAlarm(alarm, since_ms, texts) {
  return { alarm, meaning: "What it means, with a `setting`.", runbook: `alarm-${alarm}`, subject: "", detail: "", since_ms, ...texts };
}
