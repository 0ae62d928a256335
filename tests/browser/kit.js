// What the browser tests share: a browser, an authenticator app, a mailbox, and the checks that every page must pass.

import { createHmac } from "node:crypto";
import { readFileSync, readdirSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const VIEWPORTS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
export const base = process.env.BASE_URL;
export const password = process.env.DEMO_PASSWORD;
const screenshots = process.env.SCREENSHOTS;

let passed = 0;
let failed = 0;

/** Runs a test and counts it. */
export async function test(name, body) {
  try {
    await body();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}

/** The last line, and the exit code. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** A person with a browser of their own: by keyboard only, without scripts. What the console says is an error. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ viewport: VIEWPORTS.desktop, javaScriptEnabled: false, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  return {
    page,
    context,
    go: (path) => page.goto(path.startsWith("http") ? path : base + path),
    heading: () => page.locator("h1").innerText(),
    text: () => page.locator("main").innerText(),
    /** Moves to a control by the tabulator key, as often as it takes, and fails when it is never reached. */
    async tabTo(selector) {
      const wanted = await page.locator(selector).first().elementHandle();
      check(wanted, `no ${selector}`);
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press("Tab");
        if (await wanted.evaluate((element) => element === document.activeElement)) return;
      }
      throw new Error(`${selector} is not reached by the keyboard`);
    },
    async type(selector, text) {
      await this.tabTo(selector);
      await page.keyboard.type(text);
    },
    async press(key) {
      await Promise.all([page.waitForLoadState("load"), page.keyboard.press(key)]);
      await page.waitForLoadState("load");
    },
    /** Sends a form from the field that has the focus. */
    async send() {
      await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
    },
    async signIn(name, secret = password) {
      await this.go("/accounts/login/");
      await this.type("#username", `${name}@example.com`);
      await this.type("#password", secret);
      await this.send();
    },
    async shot(name) {
      if (!screenshots) return;
      mkdirSync(screenshots, { recursive: true });
      for (const [device, size] of Object.entries(VIEWPORTS)) {
        await page.setViewportSize(size);
        await page.screenshot({ path: join(screenshots, `${name}-${device}.png`) });
      }
      await page.setViewportSize(options.viewport ?? VIEWPORTS.desktop);
    },
    /** No violation of WCAG 2.2 that a program can see, in light and in dark, and nothing wider than the screen. */
    async accessible(name) {
      await this.shot(name);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(axe);
        const result = await page.evaluate(() => globalThis.axe.run());
        const found = result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
        check(found.length === 0, `${name}, ${colorScheme}: ${found.join("\n")}`);
      }
      await page.emulateMedia({ colorScheme: "light" });
      for (const [device, size] of Object.entries(VIEWPORTS)) {
        await page.setViewportSize(size);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
        check(!wide, `${name} scrolls sideways on a ${device}`);
      }
    },
    async close() {
      await context.close();
      check(complaints.length === 0, `the console says: ${complaints.join("\n")}`);
    },
  };
}

/** RFC 6238, as an app does it. */
export function totp(secret, stepsFromNow = 0) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replaceAll(" ", "")].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + stepsFromNow));
  const tag = createHmac("sha1", key).update(counter).digest();
  const offset = tag[19] & 15;
  return String((tag.readUInt32BE(offset) & 0x7fffffff) % 1000000).padStart(6, "0");
}

/** The link in the last mail. */
export function mailedLink() {
  const directory = process.env.MAIL_DIRECTORY;
  const newest = readdirSync(directory).sort().at(-1);
  const text = readFileSync(join(directory, newest), "utf8").replaceAll("=\r\n", "").replaceAll("=3D", "=");
  return text.match(/https?:\/\/\S+token=\S+/)[0];
}
