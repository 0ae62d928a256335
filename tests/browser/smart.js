// A SMART app with fhirclient, as it is published, on an origin of its own: discovery, standalone launch, reading, refresh.

import { base, check, finish, launch, test } from "./kit.js";
import { enterPassword, press, register, serve, settled, visitor } from "./site.js";

const ISSUER = `${base}/FHIR/R5`;
const PATIENT = "launch/patient openid fhirUser offline_access patient/Patient.r patient/Observation.rs";
const USER = "openid fhirUser offline_access user/Patient.rs user/Practitioner.r user/Observation.rs";
const browser = await launch();

/** The whole app: a page that launches, and one that is ready. */
function start(settings) {
  if (location.pathname === "/launch") FHIR.oauth2.authorize(settings);
  // An error is a value here: the page's console stays clean, and the test reads it.
  if (location.pathname === "/app") globalThis.client = FHIR.oauth2.ready().catch((error) => ({ error: error.message }));
}

/** An app that asks for `scope`, with the settings that docs/clients.md names. */
async function app(scope, client = {}) {
  const site = await serve("localhost", "/fhirclient.js", start);
  const redirectUri = `${site.origin}/app`;
  const clientId = await register({
    name: "An app with fhirclient",
    grantTypes: ["authorization_code", "refresh_token"],
    scopes: scope.split(" "),
    redirectUris: [redirectUri],
    ...client,
  });
  site.settings = { iss: ISSUER, clientId, scope, redirectUri };
  return site;
}

/** Launches the app, signs in, and is back in the app. */
async function ready(someone, site, name) {
  await someone.go(`${site.origin}/launch`);
  await enterPassword(someone, name);
  await someone.page.waitForURL(`${site.origin}/app**`);
  const { value, error } = await ask(someone, "one.error ?? null");
  check(!value && !error, `${value} ${error}`);
}

/** Something asked of the client, which the expression calls `one`. */
const ask = (someone, expression) => settled(someone.page, `client.then((one) => ${expression})`);

async function answer(someone, expression) {
  const { value, error } = await ask(someone, expression);
  check(error === undefined, `${expression}: ${error}`);
  return value;
}

const ids = (resources) => resources.map(({ resourceType, id }) => `${resourceType}/${id}`).sort().join(" ");

await test("a patient launches the app, which reads who it is and their own observations", async () => {
  const site = await app(PATIENT);
  const peter = await visitor(browser);
  await ready(peter, site, "ll_patient_peter");
  check((await answer(peter, "one.patient.id")) === "40001", "the patient in context");
  check((await answer(peter, "one.patient.read()")).name[0].family === "Stevens", "the patient");
  const found = await answer(peter, "one.patient.request('Observation', { flat: true })");
  check(ids(found) === "Observation/60001 Observation/60002", ids(found));
  const paged = await answer(peter, "one.patient.request('Observation?_count=1', { flat: true, pageLimit: 0 })");
  check(ids(paged) === "Observation/60001 Observation/60002", `page by page: ${ids(paged)}`);
  const one = await answer(peter, "one.request('Observation/60001')");
  check(one.resourceType === "Observation" && one.id === "60001", JSON.stringify(one));
  await peter.page.reload();
  check((await answer(peter, "one.patient.id")) === "40001", "and after the page was loaded again");
  await peter.close();
  site.close();
});

await test("the app knows which resource is the user's own", async () => {
  for (const [scope, name, own] of [
    [PATIENT, "ll_patient_peter", "Patient/40001"],
    [USER, "manager_mary", "Practitioner/80002"],
  ]) {
    const site = await app(scope);
    const someone = await visitor(browser);
    await ready(someone, site, name);
    check((await answer(someone, "one.user.fhirUser")) === own, await answer(someone, "one.user.fhirUser"));
    check(ids([await answer(someone, "one.user.read()")]) === own, own);
    await someone.close();
    site.close();
  }
});

await test("a practitioner launches the app, which reads what the practitioner may", async () => {
  const site = await app(USER);
  const mary = await visitor(browser);
  await ready(mary, site, "manager_mary");
  check((await answer(mary, "one.patient.id")) === null, "no patient is in context");
  const patients = await answer(mary, "one.request('Patient', { flat: true, pageLimit: 0 })");
  check(ids(patients) === "Patient/40001 Patient/40002", ids(patients));
  check((await answer(mary, "one.request('Patient/40001')")).id === "40001", "a patient");
  const found = await answer(mary, "one.request('Observation?patient=40002', { flat: true })");
  check(found.length === 3, ids(found));
  const referring = "one.request('Observation/60001', { resolveReferences: ['subject'], graph: true })";
  check((await answer(mary, referring)).subject.id === "40001", "references lead to resources");
  const { error, status } = await ask(mary, "one.request('Patient/40003')");
  check(status === 404, `another organization's patient: ${error}`);
  await mary.context.close();
  site.close();
});

await test("the app renews its token, when it is told to and when the token has expired", async () => {
  const site = await app(PATIENT);
  const peter = await visitor(browser);
  await ready(peter, site, "ll_patient_peter");
  const token = "one.state.tokenResponse.access_token";
  const first = await answer(peter, token);
  await answer(peter, "one.refresh().then(() => null)");
  const second = await answer(peter, token);
  check(second && second !== first, "another token");
  check((await answer(peter, "one.patient.read()")).id === "40001", "which works");
  check((await answer(peter, "one.patient.id")) === "40001", "the patient stays in context");
  await answer(peter, "void (one.state.expiresAt = 0)");
  check((await answer(peter, "one.patient.read()")).id === "40001", "renewed before it is used");
  check((await answer(peter, token)) !== second, "by itself");
  await peter.close();
  site.close();
});

await test("the app is told when it asks for more than it was given", async () => {
  const site = await app("launch/patient openid patient/Patient.r");
  const peter = await visitor(browser);
  await ready(peter, site, "ll_patient_peter");
  const { status, error } = await ask(peter, "one.patient.request('Observation')");
  check(status === 403, `${status} ${error}`);
  check((await answer(peter, "one.patient.read()")).id === "40001", "what it was given works");
  await peter.context.close();
  site.close();
});

await test("a patient is asked, and may say no", async () => {
  const site = await app(PATIENT, { skipAuthorization: false });
  const peter = await visitor(browser);
  await peter.go(`${site.origin}/launch`);
  await enterPassword(peter, "ll_patient_peter");
  await peter.page.waitForURL(`${base}/o/authorize/**`);
  check((await peter.text()).includes("Observation records about you"), await peter.text());
  await press(peter, "button[value=deny]");
  await peter.page.waitForURL(`${site.origin}/app**`);
  check((await answer(peter, "one.error")).startsWith("access_denied"), "denied");
  await peter.close();
  site.close();
});

await browser.close();
finish();
