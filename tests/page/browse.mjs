// The status page in a real browser: `look` tries how it shows itself, `tabs` holds some open until its input ends.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import * as scenes from "./scenes.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CALM_MS = 30_000, GAP_MS = 240_000, SOON_MS = 20_000, TIMES_LIVE = 3;
const DESKTOP = { viewport: { width: 1180, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const LOOKS = {
  desktop: DESKTOP, dark: { ...DESKTOP, colorScheme: "dark" }, phone: PHONE, "phone-dark": { ...PHONE, colorScheme: "dark" },
  small: { viewport: { width: 320, height: 640 }, isMobile: true },
};

// What the summary says of each scene.
const SUMMARIES = {
  Standby: ["All is well", "1 standby"], Joining: ["Not ready", "0 of 1 account ready"], Stopped: ["Not ready", "1 recent alarm"], Empty: ["No account", "0 of 0 accounts ready"],
  Trouble: ["Not ready", "60 open gaps, 70 alarms, 1 recent alarm, 3 commands in doubt"], Fifty: ["Some accounts are not ready", "48 of 50 accounts ready"],
  Hostile: ["Not ready", "60 open gaps"], Outage: ["Not ready", "0 of 50 accounts ready"],
};
const CROWDED = new Set(["Trouble", "Fifty", "Hostile", "Outage"]);

const [mode, address, chromiumPath, ...rest] = process.argv.slice(2);
const problems = [];
// A root may not use Chromium's sandbox.
const browser = await chromium.launch({ executablePath: chromiumPath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
try {
  await { look, tabs }[mode](...rest);
} catch (error) {
  problems.push(String(error));
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
  await page.locator("#summary strong").waitFor({ timeout: SOON_MS }).catch(() => problems.push(`${name}: nothing is shown`));
  return page;
}

async function openScene(name, options, document) {
  const event = { contentType: "text/event-stream", body: `retry: 1000\ndata: ${JSON.stringify(document)}\n\n` };
  return open(name, options, (page) => page.route("**/events", (route) => route.fulfill(event)));
}

// Takes a picture of a page, and requires that a screen reader can use it and that it is not wider than the screen.
async function inspect(name, page, shot) {
  if (shot) await page.screenshot({ path: `${shot}/${name}.png`, fullPage: true });
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run({ preload: false }));
  for (const one of found.violations) expect(!["serious", "critical"].includes(one.impact), `${name}: axe-core: ${one.id}: ${one.help}: ${one.nodes[0].target}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wide <= 0, `${name}: the page is ${wide} px wider than the screen`);
  const told = found.violations.map((one) => `${one.id} (${one.impact})`).join(", ") || "none violated";
  console.log(`${name}: axe-core passes ${found.passes.length} rules, ${told}`);
}

async function look(folder) {
  const pages = {};
  for (const [name, options] of Object.entries(LOOKS)) pages[name] = await open(name, options);
  const real = await (await fetch(`${address}status.json`)).json();
  await lookWhetherLive(pages.desktop);
  await lookAtKeyboard(real);
  await lookAtSilence(real, folder);
  await pages.desktop.waitForTimeout(CALM_MS);
  for (const [name, page] of Object.entries(pages)) await inspect(name, page, folder);
  await pages.desktop.screenshot({ path: `${folder}/desktop.png` });
  await lookAtScenes(real, folder);
  await pages.desktop.locator(".urgent", { hasText: "link_failed" }).waitFor({ timeout: GAP_MS });
  for (const name of ["desktop", "phone"]) await inspect(`gap-${name}`, pages[name], folder);
  for (const [name, page] of Object.entries(pages)) {
    const own = [...new Set(page.asked)].sort();
    expect(own.every((url) => [address, `${address}events`].includes(url)), `${name}: asked for ${own.join(" ")}`);
    console.log(`${name}: ${page.asked.length} requests, all to ${own.join(" and ")}`);
  }
}

async function lookWhetherLive(page) {
  const read = () => page.evaluate(() => [document.querySelector("#as-of").textContent, document.querySelector("tbody").textContent].join());
  const begun = Date.now();
  for (let number = 0; number < TIMES_LIVE; number += 1) {
    const before = await read();
    await page.waitForFunction((told) => [document.querySelector("#as-of").textContent, document.querySelector("tbody").textContent].join() !== told, before, { timeout: SOON_MS });
  }
  console.log(`live: ${TIMES_LIVE} changes in ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

async function lookAtScenes(real, folder) {
  for (const [scene, wanted] of Object.entries(SUMMARIES)) {
    for (const look of CROWDED.has(scene) ? ["desktop", "dark", "phone", "small"] : ["desktop", "phone"]) {
      const name = `${scene.toLowerCase()}-${look}`, page = await openScene(name, LOOKS[look], scenes[`make${scene}`](real));
      const told = await page.locator("#summary").textContent();
      for (const words of wanted) expect(told.includes(words), `${name}: the summary says ${told}`);
      expect((await page.locator("img, .owned").count()) === 0, `${name}: a text became an element`);
      expect(!(await page.title()).includes("owned"), `${name}: a text became a program`);
      const shown = await page.locator("body").innerText();
      expect(!/[\u0000-\u0008\u202e]|undefined|NaN|\[object/.test(shown), `${name}: a character that cannot be seen, or no value, is shown`);
      await inspect(name, page, look === "small" ? null : folder);
      await page.context().close();
    }
  }
}

// Fifty accounts are folded; without a mouse each can be reached and opened, and stays open.
async function lookAtKeyboard(real) {
  const page = await openScene("keyboard", DESKTOP, scenes.makeFifty(real));
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  expect((await focused()).startsWith("desk-0"), `keyboard: the first stop is ${await focused()}`);
  await page.keyboard.press("Tab");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  expect(outline !== "none", "keyboard: what has the focus is not marked");
  await page.keyboard.press("Enter");
  const account = page.locator("#account-desk-1");
  await account.locator(".stats").waitFor({ timeout: SOON_MS });
  await account.locator("summary").focus();
  await page.waitForTimeout(2500);
  expect((await focused()).startsWith("desk-1"), "keyboard: the focus is lost when the page is updated");
  expect(await account.evaluate((node) => node.open), "keyboard: an open account folds itself");
  await page.keyboard.press("Enter");
  await account.locator(".stats").waitFor({ state: "detached", timeout: SOON_MS });
  await page.evaluate(() => { location.hash = "#account-desk-7"; });
  const troubled = page.locator("#account-desk-7");
  await troubled.locator(".urgent").waitFor({ timeout: SOON_MS });
  const told = await troubled.innerText();
  expect(told.includes("RUNBOOK.md#no-session") && !told.includes("undefined"), `keyboard: an open account does not say what it needs: ${told}`);
  console.log("keyboard: every account is reached, opened and folded");
  await page.context().close();
}

async function lookAtSilence(real, folder) {
  let answer = { contentType: "text/event-stream", body: `retry: 1000\ndata: ${JSON.stringify(real)}\n\n` };
  const page = await open("silence", DESKTOP, (made) => made.route("**/events", (route) => (answer ? route.fulfill(answer) : route.abort())));
  page.removeAllListeners("console"); // a browser notes there that nothing answers
  answer = null;
  await page.locator("#summary", { hasText: "No answer of the bridge" }).waitFor({ timeout: SOON_MS });
  await inspect("silence", page, folder);
  answer = { contentType: "text/event-stream", body: `retry: 1000\ndata: ${JSON.stringify(scenes.makeNextProcess(real))}\n\n` };
  await page.locator("#process", { hasText: "next:1" }).waitFor({ timeout: SOON_MS });
  const told = await page.locator("#summary").textContent();
  expect(told.includes("1 of 1 account ready"), `silence: after it the summary says ${told}`);
  expect((await page.locator(".stat", { hasText: "Command to result" }).textContent()).includes("–"), "silence: latencies of the process before are shown");
  console.log("silence: told, and over when the next process answers");
  await page.context().close();
}

async function tabs(count) {
  for (let number = 1; number <= Number(count); number += 1) await open(`tab ${number}`, DESKTOP);
  console.log("open");
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
}
