// cdk-nag's HIPAA pack on transformed templates: `node nag.mjs OUT.json TEMPLATE.json...`. Writes its findings as
// [{stack, rule, resource, text}]; it judges nothing, since its own exit code does not either.
import { readFileSync, rmSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { App, Stack, Validations } from "aws-cdk-lib";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";
import { HIPAASecurityChecks } from "cdk-nag";

const [out, ...templates] = process.argv.slice(2);
const outdir = mkdtempSync(join(tmpdir(), "nag-"));
const app = new App({ outdir, analyticsReporting: false });
for (const templateFile of templates) {
  const stack = new Stack(app, basename(templateFile, ".json"));
  new CfnInclude(stack, "T", { templateFile });
}
Validations.of(app).addPlugins(new HIPAASecurityChecks(app));
try {
  app.synth();
} catch (error) {
  // Findings are errors of the synthesis. Without a report it is another one.
  if (!String(error).includes("alidation")) throw error;
}
const report = readFileSync(join(outdir, "validation-report.json"), "utf8");
writeFileSync(out, report);
rmSync(outdir, { recursive: true });
