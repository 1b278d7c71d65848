// A headless Chromium that does what it reads, one JSON line at a time, and answers each with one JSON line.
//
// {"do": "open", "url", "dark", "width", "height"}   another page; each station has an origin of its own
// {"do": "reload"}                                    {"do": "scheme", "dark"}
// {"do": "evaluate", "code"}                          the value of an expression on the page
// {"do": "until", "code", "seconds"}                  wait until an expression holds
// {"do": "press", "keys": ["a", "Shift+ArrowLeft"]}  {"do": "type", "text"}
// {"do": "click", "selector"}                         {"do": "drag", "points": [[x, y], …], "shift"}
// {"do": "screenshot", "path"}                        {"do": "told"}: what the page logged, requested and was refused

import { existsSync, mkdirSync } from "node:fs";
import { createInterface } from "node:readline";

const [, , folder] = process.argv;
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-zygote"];
const DEBIAN = "/usr/bin/chromium";

mkdirSync(folder, { recursive: true });
process.env.TMPDIR = folder; // where the browser is unpacked, once, and keeps its profiles
const { default: chromium } = await import("@sparticuz/chromium");
const { default: puppeteer } = await import("puppeteer-core");

const launch = (executablePath) => puppeteer.launch({ executablePath, headless: "shell", args: ARGUMENTS });

async function start() {
  try {
    return await launch(await chromium.executablePath());
  } catch (error) {
    if (existsSync(DEBIAN)) return launch(DEBIAN);
    throw error;
  }
}

const browser = await start();
const page = await browser.newPage();
let told = {};
listen();

function listen() {
  page.on("pageerror", (error) => told.errors.push(String(error)));
  // Answers with an error status are what some tests are about; Chromium remarks on each.
  const remark = (line) => line.text().startsWith("Failed to load resource");
  page.on("console", (line) => { if (line.type() === "error" && !remark(line)) told.errors.push(line.text()); });
  page.on("dialog", (dialog) => { told.dialogs.push(dialog.type()); dialog.accept(); });
  page.on("request", (request) => told.requests.push(request.url()));
}

const evaluate = (code) => page.evaluate(`(async () => (${code}))()`);

const commands = {
  async open({ url, dark = false, width = 1280, height = 720 }) {
    await page.goto("about:blank");
    told = { errors: [], requests: [], dialogs: [] };
    await page.setViewport({ width, height });
    await commands.scheme({ dark });
    const response = await page.goto(url, { waitUntil: "load" });
    return response.status();
  },
  scheme: ({ dark }) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]),
  async reload() { await page.reload({ waitUntil: "load" }); },
  evaluate: ({ code }) => evaluate(code),
  async until({ code, seconds }) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await new Promise((next) => setTimeout(next, 10))) {
      if (await evaluate(code)) return true;
    }
    throw new Error(`not within ${seconds} s: ${code}; the page says: ${await evaluate("document.body.innerText")}`);
  },
  async press({ keys }) {
    for (const name of keys) {
      const [key, ...held] = name === "+" ? ["+"] : name.split("+").reverse();
      for (const modifier of held) await page.keyboard.down(modifier);
      await page.keyboard.press(key);
      for (const modifier of held) await page.keyboard.up(modifier);
    }
  },
  type: ({ text }) => page.keyboard.type(text),
  click: ({ selector }) => page.click(selector),
  async drag({ points: [[x, y], ...rest], shift = false }) {
    if (shift) await page.keyboard.down("Shift");
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (const [toX, toY] of rest) await page.mouse.move(toX, toY, { steps: 3 });
    await page.mouse.up();
    if (shift) await page.keyboard.up("Shift");
  },
  async screenshot({ path }) { await page.screenshot({ path, type: "png" }); },
  told: () => told,
};

const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
answer({ result: await browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...given } = JSON.parse(line);
  try {
    answer({ result: (await commands[name](given)) ?? null });
  } catch (error) {
    answer({ error: String(error.message ?? error) });
  }
}
await browser.close();
