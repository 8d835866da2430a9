// The status page in a real browser: `look` tries how it shows itself, `tabs` holds some open until its input ends.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const BEGUN_MS = 45_000, GAP_MS = 120_000, SILENCE_MS = 20_000;
const DESKTOP = { viewport: { width: 1180, height: 900 } };
const LOOKS = { desktop: DESKTOP, phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, dark: { ...DESKTOP, colorScheme: "dark" } };
const HOSTILE = `"'><img src=x onerror="document.title='owned'"><b class=owned>\u202e \u0000`;

const [mode, address, chromiumPath, ...rest] = process.argv.slice(2);
const problems = [];
const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
try {
  await { look, tabs }[mode](...rest);
} finally {
  await browser.close();
}
for (const problem of problems) console.log(`PROBLEM: ${problem}`);
process.exitCode = problems.length ? 1 : 0;

function expect(holds, what) {
  if (!holds) problems.push(what);
}

async function open(name, options, prepare = async () => {}) {
  const page = await (await browser.newContext({ locale: "en-GB", ...options })).newPage();
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  page.on("console", (message) => expect(!["error", "warning"].includes(message.type()), `${name}: the console has: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`${name}: the script failed: ${error.message}`));
  await prepare(page);
  await page.goto(address);
  return page;
}

async function audit(name, page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run({ preload: false }));
  const told = found.violations.map((one) => `${one.id} (${one.impact}): ${one.help}: ${one.nodes[0].target}`);
  console.log(`${name}: axe-core passes ${found.passes.length} rules, ${told.length} violated ${told.join("; ")}`);
  for (const one of found.violations) expect(!["serious", "critical"].includes(one.impact), `${name}: axe-core: ${one.id}: ${one.help}`);
}

async function fits(name, page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wide <= 0, `${name}: the page is ${wide} px wider than the screen`);
}

async function look(folder) {
  const pages = {};
  for (const [name, options] of Object.entries(LOOKS)) pages[name] = await open(name, options);
  await pages.desktop.waitForTimeout(BEGUN_MS);
  await pages.desktop.locator(".urgent", { hasText: "link_failed" }).waitFor({ timeout: GAP_MS });
  for (const [name, page] of Object.entries(pages)) {
    await page.screenshot({ path: `${folder}/${name}.png`, fullPage: name !== "desktop" });
    await audit(name, page);
    await fits(name, page);
    const own = [...new Set(page.asked)].sort();
    expect(own.every((url) => [address, `${address}events`].includes(url)), `${name}: asked for ${own.join(" ")}`);
    console.log(`${name}: ${page.asked.length} requests, all to ${own.join(" and ")}`);
  }
  await lookAtHostileTexts(folder);
  await lookAtSilence(folder);
}

async function lookAtHostileTexts(folder) {
  const state = await (await fetch(`${address}status.json`)).json();
  const now = state.at_ms, [account] = state.accounts;
  Object.assign(state.process, { environment: HOSTILE, instance: HOSTILE });
  Object.assign(account, { ready: false, phase: "stopped", detail: HOSTILE, missing: [{ what: "operator", since_ms: now - 5000, detail: HOSTILE.repeat(20) }] });
  account.owned.alarms = [{ alarm: HOSTILE, meaning: HOSTILE, runbook: HOSTILE, subject: HOSTILE, detail: HOSTILE, since_ms: now - 90_000_000 }];
  account.owned.alarm_count = 70;
  account.owned.gaps = [{ gap_id: HOSTILE, cause: HOSTILE, meaning: HOSTILE, from_ms: now - 9000, to_ms: 0, recovered: 0 }];
  account.owned.gap_count = 60;
  Object.assign(account.owned, { endpoint: HOSTILE, unknown: 2, oldest_unknown_s: 70, waiting: 3, oldest_waiting_s: 1.5, venue_skew: null });
  for (const one of account.results) Object.assign(one, { action: HOSTILE, outcome: HOSTILE, reason: HOSTILE, message: HOSTILE, command_id: HOSTILE, order_id: HOSTILE });
  const told = `retry: 2000\ndata: ${JSON.stringify(state)}\n\n`;
  const fulfil = (page) => page.route("**/events", (route) => route.fulfill({ contentType: "text/event-stream", body: told }));
  for (const name of ["desktop", "phone"]) {
    const page = await open(`hostile, ${name}`, LOOKS[name], fulfil);
    await page.locator("#accounts section").first().waitFor();
    expect((await page.locator("img, .owned").count()) === 0, `hostile, ${name}: a text became an element`);
    expect(!(await page.title()).includes("owned"), `hostile, ${name}: a text became a program`);
    expect((await page.locator("#summary").textContent()).startsWith("0 of 1 account ready"), `hostile, ${name}: the summary is wrong`);
    await page.screenshot({ path: `${folder}/hostile-${name}.png`, fullPage: true });
    await audit(`hostile, ${name}`, page);
    await fits(`hostile, ${name}`, page);
  }
}

async function lookAtSilence(folder) {
  const page = await open("silence", DESKTOP);
  await page.locator("#accounts section").first().waitFor();
  page.removeAllListeners("console"); // a browser notes there that nothing answers
  await page.route("**/events", (route) => route.abort());
  await page.locator("#summary", { hasText: "no answer since" }).waitFor({ timeout: SILENCE_MS });
  await page.screenshot({ path: `${folder}/silence.png` });
  await audit("silence", page);
  await page.unroute("**/events");
  await page.locator("#summary", { hasText: "ready" }).waitFor({ timeout: SILENCE_MS });
  console.log("silence: told, and over when the bridge answers again");
}

async function tabs(count) {
  for (let number = 1; number <= Number(count); number += 1) await open(`tab ${number}`, DESKTOP);
  console.log("open");
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
}
