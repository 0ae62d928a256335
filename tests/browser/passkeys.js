// Passkeys in headless Chromium with its virtual authenticator: added, used, managed, by keyboard only.

import { check, finish, launch, password, person, test } from "./kit.js";

const ENROL = "/accounts/second-factor/passkey/enrol/";
const MANAGE = "/accounts/second-factor/manage/";
const browser = await launch();

/** A person with scripts on and a device that keeps passkeys. What it keeps can be taken to another browser. */
async function withDevice(credentials = [], options = {}) {
  const visitor = await person(browser, { javaScriptEnabled: true });
  const cdp = await visitor.context.newCDPSession(visitor.page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      ...options,
    },
  });
  for (const credential of credentials) await cdp.send("WebAuthn.addCredential", { authenticatorId, credential });
  return {
    ...visitor,
    kept: async () => (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
    verified: (isUserVerified) => cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    /** Presses the button that has the focus and waits for the page that the browser's answer leads to. */
    async ceremony(to) {
      await visitor.page.keyboard.press("Enter");
      await visitor.page.waitForURL(to);
      await visitor.page.waitForLoadState("load");
    },
  };
}

const at = (path) => (url) => url.pathname === path;
let device;
let recovery;

await test("a passkey is added by keyboard and the recovery codes are shown", async () => {
  const visitor = await withDevice();
  await visitor.signIn("manager_mary");
  await visitor.go(MANAGE);
  await visitor.accessible("manage-none");
  await visitor.tabTo(`a[href^='${ENROL}']`);
  await visitor.send();
  check((await visitor.heading()) === "Add a passkey", await visitor.heading());
  await visitor.tabTo("#name");
  await visitor.page.keyboard.press("Control+A");
  await visitor.page.keyboard.type("Mary's phone");
  await visitor.page.keyboard.press("Enter");
  await visitor.page.locator("ul.code").waitFor();
  check((await visitor.text()).includes("Your passkey is added"), await visitor.text());
  recovery = await visitor.page.locator("ul.code li").allInnerTexts();
  check(recovery.length === 10, "ten recovery codes");
  await visitor.accessible("passkey-added");
  await visitor.tabTo(".links a");
  await visitor.send();
  check((await visitor.text()).includes("Mary's phone"), await visitor.text());
  await visitor.accessible("manage-passkey");
  device = await visitor.kept();
  check(device.length === 1 && device[0].isResidentCredential, "it is kept by the device");
  await visitor.close();
});

await test("the passkey alone signs in, by keyboard", async () => {
  const visitor = await withDevice(device);
  await visitor.go("/accounts/login/?next=/accounts/sessions/");
  await visitor.accessible("login-passkey");
  await visitor.tabTo("form[action='/accounts/passkey/'] button");
  await visitor.ceremony(at("/accounts/sessions/"));
  check((await visitor.heading()) === "Sessions and apps", await visitor.heading());
  await visitor.tabTo("a[href='/accounts/logout/']");
  await visitor.send();
  await visitor.tabTo("form button");
  await visitor.send();
  check((await visitor.heading()) === "Sign in", "signed out");
  device = await visitor.kept();
  await visitor.close();
});

await test("the passkey completes a sign-in with a password", async () => {
  const visitor = await withDevice(device);
  await visitor.signIn("manager_mary");
  check((await visitor.heading()) === "Second step", await visitor.heading());
  await visitor.accessible("second-step-passkey");
  await visitor.tabTo("form[action='/accounts/second-factor/passkey/'] button");
  await visitor.ceremony(at("/"));
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sessions and apps", await visitor.heading());
  device = await visitor.kept();
  await visitor.close();
});

await test("who the device does not know is told, and can try again or go another way", async () => {
  const visitor = await withDevice(device);
  await visitor.verified(false);
  await visitor.go("/accounts/login/?next=/accounts/sessions/");
  await visitor.tabTo("form[action='/accounts/passkey/'] button");
  await visitor.send();
  const button = visitor.page.getByRole("button", { name: "Try again" });
  await button.waitFor();
  check((await visitor.text()).includes("That did not work, or it was cancelled."), await visitor.text());
  check(await button.evaluate((element) => element === document.activeElement), "the button has the focus");
  await visitor.accessible("passkey-failed");
  await visitor.verified(true);
  await button.focus();
  await visitor.ceremony(at("/accounts/sessions/"));
  check((await visitor.heading()) === "Sessions and apps", await visitor.heading());
  device = await visitor.kept();
  await visitor.close();
});

await test("a device that knows no person is enough after the password, but not alone", async () => {
  const visitor = await withDevice([], { hasResidentKey: false, hasUserVerification: false, isUserVerified: false, transport: "usb" });
  await visitor.signIn("manager_mark");
  await visitor.go(`${ENROL}?next=${MANAGE}`);
  await visitor.tabTo("form button");
  await visitor.page.keyboard.press("Enter");
  await visitor.page.locator("ul.code").waitFor();
  await visitor.context.clearCookies();
  await visitor.signIn("manager_mark");
  await visitor.tabTo("form[action='/accounts/second-factor/passkey/'] button");
  await visitor.ceremony(at("/"));
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sessions and apps", await visitor.heading());
  await visitor.close();
});

await test("without scripts a recovery code still signs in, and the page says why a passkey does not", async () => {
  const visitor = await person(browser);
  await visitor.signIn("manager_mary");
  await visitor.tabTo("form[action='/accounts/second-factor/passkey/'] button");
  await visitor.send();
  check((await visitor.text()).includes("Passkeys need JavaScript"), await visitor.text());
  await visitor.shot("passkey-no-script");
  await visitor.tabTo(".links a");
  await visitor.send();
  await visitor.type("#code", recovery[0]);
  await visitor.send();
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sessions and apps", await visitor.heading());
  await visitor.close();
});

await test("a change after some time asks for a new sign-in and comes back", async () => {
  const visitor = await withDevice(device);
  await visitor.go(`/accounts/login/?next=${MANAGE}&again=1`);
  check((await visitor.heading()) === "Sign in again", await visitor.heading());
  await visitor.accessible("sign-in-again");
  await visitor.tabTo("form[action='/accounts/passkey/'] button");
  await visitor.ceremony(at(MANAGE));
  device = await visitor.kept();
  await visitor.close();
});

await test("the passkey is removed by keyboard, and then the password is enough", async () => {
  const visitor = await withDevice(device);
  await visitor.go(`/accounts/login/?next=${MANAGE}`);
  await visitor.tabTo("form[action='/accounts/passkey/'] button");
  await visitor.ceremony(at(MANAGE));
  await visitor.tabTo("button[aria-label=\"Remove the passkey Mary's phone\"]");
  await visitor.send();
  check((await visitor.text()).includes("The second factor is off"), await visitor.text());
  await visitor.context.clearCookies();
  await visitor.signIn("manager_mary", password);
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sessions and apps", await visitor.heading());
  await visitor.context.clearCookies();
  await visitor.go("/accounts/login/");
  await visitor.tabTo("form[action='/accounts/passkey/'] button");
  await visitor.ceremony(at("/accounts/passkey/"));
  await visitor.page.getByText("This passkey could not be used").waitFor();
  await visitor.accessible("passkey-refused");
  await visitor.close();
});

await browser.close();
finish();
