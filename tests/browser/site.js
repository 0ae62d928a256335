// The other side of the exchange's pages: a site of its own, on a port of its own, with an app in it that uses a client
// library as it is published. There is no bundler: the libraries' browser builds are served as they are.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { base, check, password, person } from "./kit.js";

const resolve = createRequire(import.meta.url).resolve;
const inPackage = (name, ...path) => readFileSync(join(dirname(resolve(`${name}/package.json`)), ...path));
const SCRIPTS = {
  "/oidc-client-ts.js": inPackage("oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js"),
  "/fhirclient.js": inPackage("fhirclient", "build", "fhir-client.min.js"),
};

/** Serves an app: every path is its page, which loads the library and runs `script` with `settings`. */
export async function serve(host, library, script) {
  const app = { settings: {} };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://app");
    const isPage = !(pathname in SCRIPTS);
    response.setHeader("content-type", isPage ? "text/html" : "text/javascript");
    response.setHeader("cache-control", "no-store");
    response.end(isPage ? page(library, script, app.settings) : SCRIPTS[pathname]);
  });
  // A test that fails must not keep the process.
  await new Promise((ready) => server.listen(0, host, ready).unref());
  app.origin = `http://${host}:${server.address().port}`;
  app.close = () => server.close();
  return app;
}

function page(library, script, settings) {
  return `<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><h1>App</h1>
    <script src="${library}"></script>
    <script>const settings = ${JSON.stringify(settings)}; (${script})(settings);</script></html>`;
}

/** Registers a public client as a super admin does. */
export async function register(client) {
  const response = await fetch(`${base}/api/v1/clients`, {
    method: "POST",
    headers: { authorization: `Bearer ${process.env.ADMIN_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ tokenEndpointAuthMethod: "none", skipAuthorization: true, ...client }),
  });
  const registered = await response.json();
  check(response.status === 201, JSON.stringify(registered));
  return registered.clientId;
}

/** A person with a browser that runs scripts. */
export const visitor = (browser) => person(browser, { javaScriptEnabled: true });

/** Types name and password into the sign-in page that an app led to. */
export async function enterPassword(someone, name) {
  await someone.page.waitForURL(`${base}/accounts/login/**`);
  await someone.type("#username", `${name}@example.com`);
  await someone.type("#password", password);
  await someone.page.keyboard.press("Enter");
}

/** Presses a button of the exchange's page by keyboard. */
export async function press(someone, selector) {
  await someone.tabTo(selector);
  await someone.page.keyboard.press("Enter");
}

/** What a promise of the page comes to: its value, or its error in `error`. */
export async function settled(page, expression, argument) {
  return page.evaluate(
    async ([text, given]) => {
      try {
        return { value: await new Function("given", `return (${text})`)(given) };
      } catch (error) {
        return { error: error.error ?? error.message, status: error.status };
      }
    },
    [expression, argument],
  );
}
