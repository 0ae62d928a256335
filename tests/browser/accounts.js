// The pages of accounts in headless Chromium: without scripts, by keyboard only, on a phone and on a desktop.

import { base, check, finish, launch, mailedLink, password, person, test, totp } from "./kit.js";

const NEW_PASSWORD = "tangerine otter 93";
const browser = await launch();
let secret;
let recovery;

await test("a wrong password is said in words and linked to its field", async () => {
  const visitor = await person(browser);
  await visitor.signIn("viewer_victor", "not the password");
  check((await visitor.text()).includes("There is a problem"), "a summary");
  await visitor.tabTo(".alert a");
  await visitor.page.keyboard.press("Enter");
  await visitor.page.keyboard.press("Tab");
  check(visitor.page.url().endsWith("#password"), "the link leads to the field");
  check((await visitor.page.locator("#username").inputValue()) === "viewer_victor@example.com", "the name is kept");
  check((await visitor.page.locator("#password").getAttribute("aria-invalid")) === "true", "the field says so");
  await visitor.close();
});

await test("a person signs in, sees the sessions, ends another one and signs out", async () => {
  const other = await person(browser);
  await other.signIn("viewer_victor");
  const visitor = await person(browser);
  await visitor.signIn("viewer_victor");
  await visitor.go("/accounts/sessions/");
  check((await visitor.text()).includes("This browser"), "the own session");
  await visitor.tabTo("button[aria-label^='End the session']");
  await visitor.send();
  check((await visitor.text()).includes("That access has ended"), "it is said");
  await other.go("/accounts/sessions/");
  check((await other.heading()) === "Sign in", "the other one has ended");
  await visitor.tabTo("a[href='/accounts/logout/']");
  await visitor.send();
  await visitor.tabTo("form button");
  await visitor.send();
  check((await visitor.heading()) === "Sign in", "signed out");
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sign in", "and really so");
  await visitor.close();
  await other.close();
});

await test("a super admin sets up an authenticator before anything else", async () => {
  const visitor = await person(browser);
  await visitor.signIn("admin");
  check((await visitor.heading()) === "Set up an authenticator app", await visitor.heading());
  secret = await visitor.page.locator("p.code").innerText();
  await visitor.type("#code", "000000");
  await visitor.send();
  check((await visitor.text()).includes("This code is not right"), "a wrong code");
  check((await visitor.page.locator("p.code").innerText()) === secret, "the secret stays");
  await visitor.type("#code", totp(secret, -1));
  await visitor.send();
  recovery = await visitor.page.locator("ul.code li").allInnerTexts();
  check(recovery.length === 10, "ten recovery codes");
  await visitor.tabTo(".links a");
  await visitor.send();
  await visitor.go("/accounts/second-factor/manage/");
  check((await visitor.text()).includes("Authenticator app"), "it is on");
  await visitor.close();
});

await test("the second step takes a code of the app once, or a recovery code", async () => {
  const visitor = await person(browser);
  await visitor.signIn("admin");
  check((await visitor.heading()) === "Second step", await visitor.heading());
  await visitor.type("#code", "123");
  await visitor.send();
  check((await visitor.text()).includes("This code is not right"), "a wrong code");
  await visitor.type("#code", totp(secret));
  await visitor.send();
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sessions and apps", "signed in");
  await visitor.close();
  const again = await person(browser);
  await again.signIn("admin");
  await again.type("#code", recovery[0]);
  await again.send();
  await again.go("/accounts/sessions/");
  check((await again.heading()) === "Sessions and apps", "signed in");
  await again.close();
});

await test("a forgotten password is replaced by a link that came by e-mail", async () => {
  const visitor = await person(browser);
  await visitor.go("/accounts/login/");
  await visitor.tabTo("a[href='/accounts/reset/']");
  await visitor.send();
  await visitor.type("#email", "member_megan@example.com");
  await visitor.send();
  check((await visitor.text()).includes("Look into your mailbox"), await visitor.text());
  await visitor.go(mailedLink());
  await visitor.type("#new_password", "password12345");
  await visitor.type("#repeated", "password12345");
  await visitor.send();
  check((await visitor.text()).includes("among the first"), "a common one is refused");
  await visitor.type("#new_password", NEW_PASSWORD);
  await visitor.type("#repeated", NEW_PASSWORD);
  await visitor.send();
  check((await visitor.text()).includes("Your new password is saved"), await visitor.text());
  await visitor.signIn("member_megan", NEW_PASSWORD);
  await visitor.go("/accounts/sessions/");
  check((await visitor.heading()) === "Sessions and apps", "signed in");
  await visitor.close();
});

await test("a password is changed by keyboard", async () => {
  const visitor = await person(browser);
  await visitor.signIn("viewer_victor");
  await visitor.go("/accounts/password/");
  await visitor.type("#password", password);
  await visitor.type("#new_password", NEW_PASSWORD);
  await visitor.type("#repeated", NEW_PASSWORD);
  await visitor.send();
  check((await visitor.text()).includes("Your password is changed"), await visitor.text());
  await visitor.close();
});

// The check itself is a script, so these pages are loaded with scripts on.
const OPEN = ["/", "/accounts/login/", "/accounts/reset/", "/accounts/sign-up/", "/accounts/verify/?token=x"];
const OWN = [
  "sessions/",
  "password/",
  "second-factor/manage/",
  "second-factor/enrol/",
  "second-factor/passkey/enrol/",
  "email-code/",
  "logout/",
];

for (const path of OPEN) {
  await test(`${path} is accessible`, async () => {
    const visitor = await person(browser, { javaScriptEnabled: true });
    await visitor.go(path);
    await visitor.accessible(path.split("?")[0].replaceAll("/", "_"));
    await visitor.context.close();
  });
}

await test("the pages of an account are accessible", async () => {
  const visitor = await person(browser, { javaScriptEnabled: true });
  await visitor.signIn("manager_mary");
  for (const path of OWN) {
    await visitor.go(`/accounts/${path}`);
    await visitor.accessible(`_accounts_${path.replaceAll("/", "_")}`);
  }
  await visitor.close();
});

await test("a page with a problem, the second step and an error are accessible", async () => {
  const visitor = await person(browser, { javaScriptEnabled: true });
  await visitor.signIn("manager_mary", "not the password");
  await visitor.accessible("problem");
  await visitor.context.clearCookies();
  await visitor.signIn("admin");
  await visitor.accessible("second-step");
  await visitor.context.close();
  const lost = await person(browser, { javaScriptEnabled: true });
  await lost.go("/accounts/login/");
  await lost.page.evaluate(() => document.querySelector("[name=csrfmiddlewaretoken]").remove());
  await lost.type("#password", "x");
  await lost.send();
  check((await lost.text()).includes("This form has expired"), await lost.text());
  await lost.accessible("error");
  await lost.context.close();
});

check(base, "BASE_URL is set");
await browser.close();
finish();
