// A browser app with oidc-client-ts, as it is published, on an origin of its own.

import { base, check, finish, launch, test } from "./kit.js";
import { enterPassword, press, register, serve, settled, visitor } from "./site.js";

const SCOPE = "openid profile email offline_access user/Observation.rs user/Patient.r";
const OBSERVATIONS = `${base}/FHIR/R5/Observation?patient=40001`;
const browser = await launch();

/** The whole app: one page, which finishes what brought the browser to it. */
function start(settings) {
  const store = settings.dpop && { ...settings.dpop, store: new oidc.IndexedDbDPoPStore() };
  const manager = new oidc.UserManager({ ...settings, ...(store && { dpop: store }) });
  const arrive = {
    "/callback": () => manager.signinCallback(),
    "/silent": () => manager.signinSilentCallback(),
    "/signed-out": () => manager.signoutCallback(),
  }[location.pathname];
  // An error is a value here: the page's console stays clean, and the test reads it.
  const arrived = Promise.resolve(arrive?.()).catch((error) => ({ error: error.error ?? error.message }));
  const call = async (url, headers) => {
    const user = await manager.getUser();
    const response = await fetch(url, { headers: { authorization: `${user.token_type} ${user.access_token}`, ...headers } });
    return { status: response.status, body: await response.json(), challenge: response.headers.get("www-authenticate") };
  };
  Object.assign(globalThis, { manager, arrived, call });
}

/** An app at `host`, registered with `client`, with the settings that docs/clients.md names and `more`. */
async function app({ host = "localhost", client = {}, more = {} } = {}) {
  const site = await serve(host, "/oidc-client-ts.js", start);
  const at = (path) => `${site.origin}${path}`;
  const client_id = await register({
    name: "An app with oidc-client-ts",
    grantTypes: ["authorization_code", "refresh_token"],
    scopes: SCOPE.split(" "),
    redirectUris: [at("/callback"), at("/silent")],
    postLogoutRedirectUris: [at("/signed-out")],
    ...client,
  });
  site.settings = {
    authority: `${base}/o`,
    client_id,
    scope: SCOPE,
    redirect_uri: at("/callback"),
    silent_redirect_uri: at("/silent"),
    post_logout_redirect_uri: at("/signed-out"),
    loadUserInfo: true,
    automaticSilentRenew: false,
    ...more,
  };
  return site;
}

/** From the app to the sign-in page, and back to the app with what `signinCallback` gives. */
async function signIn(someone, site, name = "manager_mary") {
  await someone.go(`${site.origin}/`);
  await someone.page.evaluate(() => void manager.signinRedirect({ state: "where I was" }));
  await enterPassword(someone, name);
  return arrived(someone, site, "/callback");
}

async function arrived(someone, site, path) {
  await someone.page.waitForURL(`${site.origin}${path}**`);
  return someone.page.evaluate(() => arrived);
}

const user = (someone) => someone.page.evaluate(() => manager.getUser());
const renew = (someone) => settled(someone.page, "manager.signinSilent()");
const observations = (someone) => someone.page.evaluate((url) => call(url), OBSERVATIONS);

await test("a person signs in, and the app knows who it is and reads with the token", async () => {
  const site = await app();
  const mary = await visitor(browser);
  const signedIn = await signIn(mary, site);
  check(signedIn.profile?.sub === "10002", JSON.stringify(signedIn));
  check(signedIn.profile.email === "manager_mary@example.com", "the id_token and userinfo say the address");
  check(signedIn.profile.given_name === "ManagerMary", "userinfo says the name");
  check(signedIn.scope === SCOPE && signedIn.token_type === "Bearer", signedIn.scope);
  check(signedIn.state === "where I was", "the app's state comes back");
  const read = await observations(mary);
  check(read.status === 200 && read.body.entry?.length === 2, JSON.stringify(read.body));
  await mary.close();
  site.close();
});

await test("tokens are renewed by themselves before they expire, by the refresh token", async () => {
  const site = await app({ more: { automaticSilentRenew: true } });
  const mary = await visitor(browser);
  // The browser's own time moves; the server's does not.
  await mary.page.clock.install();
  const first = await signIn(mary, site);
  const renewed = mary.page.evaluate(() => new Promise((done) => manager.events.addUserLoaded(done)));
  await mary.page.clock.fastForward("14:10");
  const second = await renewed;
  check(second.access_token && second.access_token !== first.access_token, "another access token");
  check(second.refresh_token !== first.refresh_token, "another refresh token");
  check(second.profile.sub === first.profile.sub, "the same person");
  check((await observations(mary)).status === 200, "and it opens what the first one did");
  await mary.close();
  site.close();
});

await test("an app of the same site renews in a hidden frame without a refresh token", async () => {
  const site = await app({ client: { grantTypes: ["authorization_code"] } });
  const mary = await visitor(browser);
  const first = await signIn(mary, site);
  check(!first.refresh_token, "no refresh token");
  const { value: second, error } = await renew(mary);
  check(second?.access_token && second.access_token !== first.access_token, error);
  check(second.profile.auth_time === first.profile.auth_time, "of the same sign-in");
  await mary.context.clearCookies();
  check((await renew(mary)).error === "login_required", "not without a session");
  await mary.close();
  site.close();
});

await test("an app of another site cannot renew in a frame, and does so by the refresh token", async () => {
  const framed = await app({ host: "127.0.0.1", client: { grantTypes: ["authorization_code"] } });
  const mary = await visitor(browser);
  await signIn(mary, framed);
  check((await renew(mary)).error === "login_required", "the session's cookie stays at home (SameSite=Lax)");
  await mary.close();
  framed.close();
  const site = await app({ host: "127.0.0.1" });
  const again = await visitor(browser);
  const first = await signIn(again, site);
  const { value: second, error } = await renew(again);
  check(second?.access_token && second.access_token !== first.access_token, error);
  check((await observations(again)).status === 200, "and it opens what the first one did");
  await again.close();
  site.close();
});

await test("who is asked to agree may do so or not, and is not asked behind their back", async () => {
  const site = await app({ client: { skipAuthorization: false, grantTypes: ["authorization_code"] } });
  const mary = await visitor(browser);
  await mary.go(`${site.origin}/`);
  await mary.page.evaluate(() => void manager.signinRedirect());
  await enterPassword(mary, "manager_mary");
  await mary.page.waitForURL(`${base}/o/authorize/**`);
  check((await mary.text()).includes("An app with oidc-client-ts"), "the app is named");
  await press(mary, "button[value=deny]");
  check((await arrived(mary, site, "/callback")).error === "access_denied", "denied");
  await mary.go(`${site.origin}/`);
  await mary.page.evaluate(() => void manager.signinRedirect());
  await mary.page.waitForURL(`${base}/o/authorize/**`);
  await press(mary, "button[value=allow]");
  check((await arrived(mary, site, "/callback")).access_token, "allowed");
  check((await renew(mary)).error === "consent_required", "a frame shows no page");
  await mary.close();
  site.close();
});

await test("a person signs out at the app, and comes back to it", async () => {
  const site = await app({ client: { grantTypes: ["authorization_code"] }, more: { scope: SCOPE.replace("offline_access ", "") } });
  const mary = await visitor(browser);
  const signedIn = await signIn(mary, site);
  await mary.page.evaluate(() => void manager.signoutRedirect({ state: "bye" }));
  await mary.page.waitForURL(`${base}/o/logout/**`);
  check((await mary.heading()) === "Sign out", await mary.heading());
  await press(mary, "form button");
  const { userState, error } = await arrived(mary, site, "/signed-out");
  check(userState === "bye" && !error, `the app's state comes back: ${userState} ${error}`);
  check((await user(mary)) === null, "the app has forgotten");
  const headers = { authorization: `Bearer ${signedIn.access_token}` };
  check((await fetch(OBSERVATIONS, { headers })).status === 401, "the tokens are over");
  check((await renew(mary)).error === "login_required", "and so is the session");
  await mary.close();
  site.close();
});

await test("an app gives its tokens back", async () => {
  const site = await app();
  const mary = await visitor(browser);
  await signIn(mary, site);
  await mary.page.evaluate(async () => {
    const before = await manager.getUser();
    await manager.revokeTokens(["access_token", "refresh_token"]);
    // As if somebody had kept a copy.
    await manager.storeUser(before);
  });
  const refused = await observations(mary);
  check(refused.status === 401 && refused.body.resourceType === "OperationOutcome", JSON.stringify(refused));
  check(refused.challenge?.includes("Bearer"), "the app can read how to authenticate");
  check((await renew(mary)).error === "invalid_grant", "the refresh token is over");
  // The console tells of both refusals: they are what is tested.
  await mary.context.close();
  site.close();
});

await test("tokens that are bound to a key of the browser work with its proofs only", async () => {
  const site = await app({ more: { dpop: { bind_authorization_code: true }, loadUserInfo: false } });
  const mary = await visitor(browser);
  const first = await signIn(mary, site);
  check(first.token_type === "DPoP", JSON.stringify(first));
  const proved = () =>
    mary.page.evaluate(async (url) => call(url, { dpop: await manager.dpopProof(url, await manager.getUser(), "GET") }), OBSERVATIONS);
  const read = await proved();
  check(read.status === 200 && read.body.entry?.length === 2, JSON.stringify(read.body));
  const { value: second, error } = await renew(mary);
  check(second?.token_type === "DPoP" && second.access_token !== first.access_token, error);
  check((await proved()).status === 200, "the renewed one works too");
  await mary.page.evaluate(() => manager.revokeTokens());
  await mary.close();
  const thief = await fetch(OBSERVATIONS, { headers: { authorization: `Bearer ${first.access_token}` } });
  check(thief.status === 401, "a stolen one does not");
  site.close();
});

await test("a refresh token that is bound to a key of the browser is worth nothing without it", async () => {
  const site = await app({ more: { dpop: { bind_authorization_code: true }, loadUserInfo: false } });
  const mary = await visitor(browser);
  await signIn(mary, site);
  await mary.page.evaluate(() => manager.settings.dpop.store.remove(manager.settings.client_id));
  check((await renew(mary)).error === "invalid_grant", "with another key");
  await mary.context.close();
  site.close();
});

await test("a person signs in in a window of its own", async () => {
  const site = await app();
  const mary = await visitor(browser);
  await mary.go(`${site.origin}/`);
  const opened = mary.context.waitForEvent("page");
  const signedIn = settled(mary.page, "manager.signinPopup()");
  const popup = await opened;
  const closed = popup.waitForEvent("close");
  await popup.waitForURL(`${base}/accounts/login/**`);
  await popup.fill("#username", "manager_mary@example.com");
  await popup.fill("#password", process.env.DEMO_PASSWORD);
  await popup.keyboard.press("Enter");
  const { value, error } = await signedIn;
  check(value?.profile.sub === "10002", error);
  await closed;
  await mary.close();
  site.close();
});

await browser.close();
finish();
