"""The stacks that are deployed hold what template.yaml says, and fit CloudFormation."""

import copy
import json
import re
import unittest
from pathlib import Path

import cost
import yaml
from assemble import API_ID, FUNCTION, MIGRATION, ROOT, STACK, Assembly, Loader, assemble, crate, digest_of, load, routes

ASSEMBLY = assemble()
TEMPLATE = load(ROOT / "template.yaml")
FUNCTIONS = {name: resource for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == FUNCTION}
STACKS = {name: child.template for name, child in ASSEMBLY.children.items()} | {"root": ASSEMBLY.root}
# A function with all that SAM makes of it: version, alias, deployment group; role, permission and alarm are counted as they are.
MADE_OF_A_FUNCTION = 5


# What a function's source says that has forms, pages or links to further pages, which the keys of the application sign.
SIGNS = re.compile(r"List::parse|Links::new|form_key|cursor_key|(check|anonymous|bound)_(form|page)\(|browser::\{|[lL]ink::|pending|audit_log::\{Asked")


def references(node: object) -> set[str]:
    """Every name that a template refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    if set(node) == {"Ref"}:
        return {node["Ref"].split(".")[0]}
    if set(node) == {"Fn::GetAtt"}:
        return {node["Fn::GetAtt"][0]}
    if set(node) == {"Fn::Sub"}:
        return {name.split(".")[0] for name in re.findall(r"\$\{([^}]+)\}", node["Fn::Sub"])}
    return set().union(*map(references, node.values())) if node else set()


def listed(value: object) -> list:
    return value if isinstance(value, list) else [value]


def statements_of(beside: dict, name: str) -> list[dict]:
    """The statements of a function's role, those that are there on a condition among them."""
    statements = beside[f"{name}Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return [statement["Fn::If"][1] if "Fn::If" in statement else statement for statement in statements]


def broken(change) -> Assembly:
    template = copy.deepcopy(TEMPLATE)
    change(template["Resources"])
    return Assembly(template, load(ROOT / "infra" / "function.yaml"), digest_of)


def source_of(url: str) -> Path:
    """The file of a stack that is deployed as it is, wherever it is in infra/."""
    (path,) = (ROOT / "infra").rglob(url)
    return path


class Stacks(unittest.TestCase):
    def test_every_function_is_deployed_once(self):
        deployed = [
            (name, resource["Properties"]["FunctionName"]["Fn::Sub"], resource["Properties"]["CodeUri"])
            for stack in STACKS.values()
            for name, resource in stack["Resources"].items()
            if resource["Type"] == FUNCTION
        ]
        declared = [(name, "${Name}-" + crate(function), f"../lambda/{crate(function)}.zip") for name, function in FUNCTIONS.items()]
        self.assertGreater(len(declared), 100)
        self.assertEqual(sorted(deployed), sorted(declared))

    def test_every_route_leads_to_its_function_and_nothing_else_is_routed(self):
        body = STACKS[API_ID]["Resources"][API_ID]["Properties"]["DefinitionBody"]
        integrations = body["components"]["x-amazon-apigateway-integrations"]
        deployed = []
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                name = operation["x-amazon-apigateway-integration"]["$ref"].rsplit("/", 1)[1]
                function = integrations[name]["uri"]["Fn::Sub"].rsplit("${Name}-", 1)[1]
                deployed.append((method.upper(), path, function))
        declared = [(route["Method"], route["Path"], f"{crate(function)}:live") for function in FUNCTIONS.values() for route in routes(function)]
        self.assertGreater(len(declared), 200)
        self.assertEqual(sorted(deployed), sorted(declared))

    def test_the_limits_of_cloudformation_and_api_gateway_hold(self):
        for name, stack in STACKS.items():
            functions = sum(resource["Type"] == FUNCTION for resource in stack["Resources"].values())
            self.assertLess(len(stack["Resources"]) + functions * MADE_OF_A_FUNCTION, 450, name)
            self.assertLessEqual(len(stack["Parameters"]), 200, name)
            self.assertLessEqual(len(stack.get("Outputs", {})), 200, name)
            # The transform makes it larger, by less than twice.
            self.assertLess(len(yaml.safe_dump(stack)), 500_000, name)
        body = STACKS[API_ID]["Resources"][API_ID]["Properties"]["DefinitionBody"]
        self.assertLessEqual(sum(map(len, body["paths"].values())), 300)
        self.assertLessEqual(len(body["components"]["x-amazon-apigateway-integrations"]), 300)
        self.assertLess(len(json.dumps(body)), 10_000_000)
        for function in FUNCTIONS.values():
            self.assertLessEqual(len(f"{'s' * 32}-{crate(function)}"), 64, "a function's name with a stack's of 32 letters")

    def test_every_reference_is_to_something_in_its_stack(self):
        for name, stack in STACKS.items():
            known = set(stack["Resources"]) | set(stack["Parameters"]) | set(stack.get("Conditions", {}))
            used = {reference for reference in references({key: stack[key] for key in ("Resources", "Outputs", "Globals") if key in stack})}
            self.assertEqual({reference for reference in used if not reference.startswith("AWS::")} - known, set(), name)

    def test_every_parameter_is_passed_and_none_besides(self):
        for name, resource in ASSEMBLY.root["Resources"].items():
            if resource["Type"] == STACK:
                url = resource["Properties"]["TemplateURL"]
                template = STACKS.get(Path(url).stem) or load(source_of(url))
                declared = {key: "Default" in parameter for key, parameter in template["Parameters"].items()}
                passed = set(resource["Properties"]["Parameters"])
                self.assertEqual(passed - set(declared), set(), name)
                self.assertEqual({key for key, has_default in declared.items() if not has_default} - passed, set(), name)

    def test_every_output_that_is_used_exists(self):
        for used in re.findall(r"'Fn::GetAtt': \['(\w+)', 'Outputs\.(\w+)'\]", str(ASSEMBLY.root)):
            stack, output = used
            url = ASSEMBLY.root["Resources"][stack]["Properties"]["TemplateURL"]
            template = STACKS.get(Path(url).stem) or load(source_of(url))
            self.assertIn(output, template["Outputs"], stack)

    def test_functions_wait_for_the_migration_but_for_the_one_that_it_calls(self):
        resources = ASSEMBLY.root["Resources"]
        migration = next(name for name, resource in resources.items() if resource["Type"] == MIGRATION)
        stacks = TEMPLATE["Metadata"]["FunctionStacks"]
        waiting = {name for name in stacks if migration in resources[name].get("DependsOn", [])}
        self.assertEqual(set(stacks) - waiting, {"DeploymentFunctions"})
        self.assertEqual(resources[migration]["Properties"]["Migrations"], digest_of("shared/store/migrations"))
        self.assertEqual(resources[migration]["Properties"]["ServiceToken"], {"Fn::GetAtt": ["DeploymentFunctions", "Outputs.DatabaseMigrateArn"]})


class Functions(unittest.TestCase):
    def resources(self):
        for stack in STACKS.values():
            for name, resource in stack["Resources"].items():
                if resource["Type"] == FUNCTION:
                    yield name, resource["Properties"], stack["Resources"]

    def test_each_has_a_role_of_its_own_with_its_statements(self):
        for name, properties, beside in self.resources():
            self.assertEqual(properties["Role"], {"Fn::GetAtt": [f"{name}Role", "Arn"]})
            actions = [action for statement in statements_of(beside, name) for action in listed(statement["Action"])]
            for policy in FUNCTIONS[name]["Properties"].get("Policies", []):
                for statement in policy["Statement"]:
                    self.assertLessEqual(set(listed(statement["Action"])), set(actions), name)

    def test_who_serves_requests_may_read_what_cloudfront_says_and_only_who_uses_another_secret_that_one(self):
        read: dict[str, set[str]] = {}
        for name, _, beside in self.resources():
            for statement in statements_of(beside, name):
                if statement["Action"] == "secretsmanager:GetSecretValue":
                    for secret in listed(statement["Resource"]):
                        read.setdefault(secret["Ref"], set()).add(name)
        self.assertEqual(read["KeysOriginSecret"], {name for name, function in FUNCTIONS.items() if routes(function)})
        sends = {name for name, function in FUNCTIONS.items() if function["Metadata"].get("Mail") == "used"}
        self.assertEqual(read["KeysMailSecret"], sends)
        self.assertEqual(read["KeysFactorSecret"], {"AccountsFactor", "AccountsFactorEnrol"})
        self.assertLess(len(read["KeysSamlSecret"]), 10)
        for nothing in ("Health", "LandingPage", "ApiSchema", "FhirMetadata", "FhirObservationRead"):
            self.assertNotIn(nothing, read["KeysApplicationSecret"])

    def test_only_who_reads_or_writes_payloads_has_the_vault_and_who_reads_makes_no_key(self):
        found: dict[str, set[str]] = {}
        for name, properties, beside in self.resources():
            for statement in statements_of(beside, name):
                for action in listed(statement["Action"]):
                    if action.startswith("dynamodb:"):
                        self.assertEqual(statement["Resource"], {"Ref": "VaultVaultTable"}, name)
                        found.setdefault(action, set()).add(name)
                if statement.get("Sid") == "PayloadsSecret":
                    found.setdefault("secret", set()).add(name)
            has_place = "PAYLOAD_KEYS" in properties.get("Environment", {}).get("Variables", {})
            uses = {"dynamodb:BatchGetItem", "dynamodb:UpdateItem"}
            self.assertEqual(has_place, any(name in found.get(action, set()) for action in uses), name)
        reads = {"FhirAuxiliaryRead", "FhirAuxiliarySearch", "FhirExportFile", "FhirObservationHistory", "FhirObservationRead", "FhirObservationSearch", "FhirPatientEverything", "Observations", "PatientsPackage"}
        writes = {"ExportRun", "FhirAuxiliaryWrite", "FhirBundle", "FhirImport", "FhirObservationAmend", "FhirObservationCreate", "PayloadsEncrypt"}
        destroys = {"dynamodb:UpdateItem": {"Erasure"}, "dynamodb:Scan": {"Erasure"}}
        self.assertEqual(found, {"dynamodb:BatchGetItem": reads | writes, "dynamodb:PutItem": writes, "secret": reads | writes} | destroys)

    def test_the_vault_keeps_nothing_of_what_is_destroyed(self):
        table = load(ROOT / "infra" / "vault.yaml")["Resources"]["Keys"]["Properties"]
        self.assertEqual(table["PointInTimeRecoverySpecification"], {"PointInTimeRecoveryEnabled": False})
        self.assertFalse({"StreamSpecification", "KinesisStreamSpecification", "ReplicaSpecification", "TimeToLiveSpecification"} & set(table))

    def test_the_key_of_secrets_is_for_who_reads_one(self):
        keyless = set()
        for name, _, beside in self.resources():
            statements = statements_of(beside, name)
            reads = any("secretsmanager:GetSecretValue" in statement["Action"] for statement in statements)
            self.assertEqual(any(statement.get("Sid") == "SecretKey" for statement in statements), reads, name)
            keyless |= set() if reads else {name}
        self.assertEqual(keyless, {"AuditPartitions", "AuditSeal", "BackupCreate", "BackupVerify", "Contain", "Erasure", "RdsSnapshots", "Retention"})

    def test_who_is_outside_of_the_network_has_no_way_to_the_database_or_a_secret(self):
        outside = set()
        for name, function, beside in self.resources():
            if function.get("VpcConfig") == {"Ref": "AWS::NoValue"}:
                outside.add(name)
                actions = [action for statement in statements_of(beside, name) for action in listed(statement["Action"])]
                self.assertFalse([action for action in actions if action.startswith(("rds-db:", "secretsmanager:", "s3:"))], name)
        self.assertEqual(outside, {"RdsSnapshots"})

    def test_only_who_signs_forms_or_links_or_may_be_asked_again_reads_the_keys_of_the_application(self):
        for name, function in FUNCTIONS.items():
            source = "".join(path.read_text() for path in sorted((ROOT / "functions" / crate(function) / "src").rglob("*.rs")))
            # What is answered to a POST with an Idempotency-Key is kept, sealed.
            repeats = "Protocol::Rest" in source or "Protocol::Fhir" in source
            uses = bool(SIGNS.search(source)) or (repeats and any(route["Method"] == "POST" for route in routes(function)))
            self.assertEqual(function["Metadata"].get("Application") != "none", uses, name)

    def test_mail_is_sent_by_ses_alone_and_as_the_deployments_sender(self):
        for name, _, beside in self.resources():
            role = beside[f"{name}Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
            for statement in role:
                if "ses:SendRawEmail" in str(statement):
                    condition, mail, otherwise = statement["Fn::If"]
                    self.assertEqual((condition, otherwise), ("SendsBySes", {"Ref": "AWS::NoValue"}), name)
                    self.assertEqual(mail["Condition"], {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}, name)

    def test_who_makes_keys_can_neither_mark_nor_end_those_of_the_deployment(self):
        beside = STACKS["IdentityFunctions"]["Resources"]
        denied = [statement for statement in statements_of(beside, "OauthRotateKeys") if statement["Effect"] == "Deny" and "kms:TagResource" in statement["Action"]]
        keys = load(ROOT / "infra" / "keys-and-secrets.yaml")["Resources"]
        named = {f"Keys{name}" for name, resource in keys.items() if resource["Type"] == "AWS::KMS::Key"} | {"VaultVaultKey"}
        self.assertGreater(len(named), 4)
        self.assertEqual({resource["Ref"] for resource in denied[0]["Resource"]}, named)
        self.assertIn("kms:ScheduleKeyDeletion", denied[0]["Action"])
        for statement in statements_of(beside, "OauthRotateKeys"):
            if statement["Effect"] == "Allow" and {"kms:TagResource", "kms:ScheduleKeyDeletion"} & set(listed(statement["Action"])):
                self.assertEqual(statement["Condition"]["StringEquals"]["kms:KeyUsage"], "SIGN_VERIFY")
                self.assertTrue(all(spec.startswith("RSA_") for spec in statement["Condition"]["StringEquals"]["kms:KeySpec"]))

    def test_only_who_connects_to_the_database_may(self):
        seen = 0
        for name, function in FUNCTIONS.items():
            source = ROOT / "functions" / crate(function) / "src" / "lib.rs"
            if source.exists() and routes(function):
                seen += 1
                connects = "Needs::Database" in source.read_text()
                self.assertEqual(function["Metadata"].get("Database") != "none", connects, name)
        self.assertGreater(seen, 90)
        for name, _, beside in self.resources():
            role = str(beside[f"{name}Role"])
            may = "${DatabaseProxyId}/${DatabaseUser}" in role
            self.assertEqual(may, FUNCTIONS[name]["Metadata"].get("Database") != "none", name)

    def test_who_connects_may_do_so_as_the_login_that_it_is_told_and_as_no_other(self):
        users: dict[str, set[str]] = {}
        for name, properties, beside in self.resources():
            told = properties.get("Environment", {}).get("Variables", {}).get("DB_USER", {"Fn::Sub": "${DatabaseUser}"})["Fn::Sub"]
            for statement in statements_of(beside, name):
                if statement.get("Sid") == "Database":
                    self.assertTrue(statement["Resource"]["Fn::Sub"].endswith(f"}}/{told}"), name)
                    users.setdefault(told, set()).add(name)
        keys = load(ROOT / "infra" / "keys-and-secrets.yaml")["Resources"]
        made = {re.search(r'"username": "([^"]+)"', str(key["Properties"].get("GenerateSecretString", "")))  for key in keys.values()}
        self.assertEqual(set(users), {found[1] for found in made if found})
        self.assertLess({"FhirObservationRead", "FhirObservationSearch", "FhirPatientRead", "Observations"}, users["${DatabaseUser}_fhir_read"])
        self.assertIn("OauthRotateKeys", users["${DatabaseUser}"])
        self.assertGreater(len(users["${DatabaseUser}_people"]), 40)

    def test_only_who_cares_for_the_database_itself_may_be_its_owner(self):
        owners = set()
        for name, _, beside in self.resources():
            for statement in statements_of(beside, name):
                if "rds-db:connect" in listed(statement["Action"]):
                    self.assertEqual(statement["Action"], "rds-db:connect", name)
                    login = statement["Resource"]["Fn::Sub"].rpartition("/")[2]
                    self.assertTrue(login.startswith(("${DatabaseUser}", "${DatabaseOwner}")), name)
                    owners |= {name} if login == "${DatabaseOwner}" else set()
        self.assertEqual(owners, {"BackupCreate", "BackupVerify", "Contain", "DatabaseMigrate", "PayloadsEncrypt", "SecretsRotate"})

    def test_snapshots_are_made_with_a_mark_and_only_those_with_it_are_deleted(self):
        found: dict[str, dict] = {}
        for name, _, beside in self.resources():
            for statement in statements_of(beside, name):
                of_rds = {action for action in listed(statement["Action"]) if action.startswith("rds:")}
                self.assertTrue(not of_rds or name == "RdsSnapshots", name)
                found |= {action: statement for action in of_rds}
        reads = {"rds:DescribeDBInstances", "rds:DescribeDBSnapshots", "rds:ListTagsForResource"}
        self.assertEqual(set(found) - reads, {"rds:AddTagsToResource", "rds:CreateDBSnapshot", "rds:CopyDBSnapshot", "rds:DeleteDBSnapshot"})
        mark = {"Ref": "Name"}
        self.assertEqual(found["rds:DeleteDBSnapshot"]["Condition"], {"StringEquals": {"aws:ResourceTag/jhe-snapshot": mark}})
        for action in ("rds:AddTagsToResource", "rds:CreateDBSnapshot"):
            self.assertEqual(found[action]["Condition"], {"StringEquals": {"aws:RequestTag/jhe-snapshot": mark}})
        for action in set(found) - reads:
            for resource in listed(found[action]["Resource"]):
                self.assertRegex(str(resource), r"snapshot:\$\{Name\}-\*|:db:", action)

    def test_a_new_version_takes_over_gradually_and_gives_back_by_an_alarm(self):
        for name, properties, beside in self.resources():
            if name in ("DatabaseMigrate", "SecretsRotate"):
                # They are called by their own names: what is new is called at once.
                self.assertNotIn("AutoPublishAlias", properties)
                continue
            self.assertEqual(properties["AutoPublishAlias"], "live")
            alarms = [f"{name}Errors", f"{name}Failures"] if routes(FUNCTIONS[name]) else [f"{name}Errors"]
            self.assertEqual(properties["DeploymentPreference"]["Alarms"], [{"Ref": alarm} for alarm in alarms])
            self.assertIn({"Name": "FunctionName", "Value": {"Ref": name}}, beside[f"{name}Errors"]["Properties"]["Dimensions"])
            if not routes(FUNCTIONS[name]):
                continue
            failures = beside[f"{name}Failures"]["Properties"]
            self.assertEqual(failures["Dimensions"], [{"Name": "Function", "Value": crate(FUNCTIONS[name])}])
            counted = TEMPLATE["Resources"]["ServerErrors"]["Properties"]["MetricTransformations"][0]
            self.assertEqual(failures["MetricName"], counted["MetricName"])
            self.assertEqual((failures["Namespace"], counted["MetricNamespace"]), ({"Ref": "Name"}, {"Ref": "AWS::StackName"}))

    def test_one_error_of_what_nobody_waits_for_is_an_alarm(self):
        thresholds = {name: beside[f"{name}Errors"]["Properties"]["Threshold"] for name, _, beside in self.resources()}
        alone = {name for name, threshold in thresholds.items() if threshold == 1}
        self.assertEqual(alone, {name for name, function in FUNCTIONS.items() if not routes(function)})
        self.assertLessEqual({"SecretsRotate", "OauthRotateKeys", "DatabaseMigrate"}, alone)

    def test_who_has_routes_may_be_called_by_the_api_and_nobody_else(self):
        for name, _, beside in self.resources():
            self.assertEqual(f"{name}Permission" in beside, bool(routes(FUNCTIONS[name])), name)

    def test_scheduled_functions_have_a_queue_for_what_failed(self):
        scheduled = set()
        for name, properties, _ in self.resources():
            for event in properties.get("Events", {}).values():
                self.assertEqual(event["Type"], "ScheduleV2")
                # Else two deployments in an account would have one of the same name, or two schedules of a function.
                schedule = event["Properties"]["Name"]["Fn::Sub"]
                self.assertRegex(schedule, rf"^\$\{{Name\}}-{crate(FUNCTIONS[name])}(-\w+)?$")
                self.assertNotIn(schedule, scheduled)
                scheduled.add(schedule)
                self.assertIn("DeadLetterConfig", event["Properties"], name)
                self.assertIn("DeadLetterQueue", properties, name)
        self.assertTrue(scheduled)

    def test_where_somebody_signs_in_or_shows_a_token_there_is_a_limit_of_its_own(self):
        settings = TEMPLATE["Resources"]["Api"]["Properties"]["RouteSettings"]
        # These are asked by who is signed in, and judge nothing that could be guessed.
        besides = {"POST /accounts/sessions/", "POST /accounts/logout/", "POST /o/authorize/", "POST /o/logout/", "POST /o/userinfo/"}
        asked = {f"POST {route['Path']}" for function in FUNCTIONS.values() for route in routes(function) if route["Method"] == "POST"}
        guessed = {route for route in asked if route.startswith(("POST /accounts/", "POST /o/"))}
        self.assertEqual(guessed - set(settings), besides)
        for route, limit in settings.items():
            self.assertLessEqual(limit["ThrottlingRateLimit"], 50, route)

    def test_who_judges_what_anybody_sends_has_a_share_of_its_own(self):
        # These want a session or a token, as every other route does, or send a person elsewhere.
        as_others = {"OauthAuthorize", "OauthLogout", "OauthUserinfo", "AccountsFactorManage", "AccountsPasskeyEnrol", "AccountsSessions"}
        as_others |= {"AccountsLogout", "Saml2Login", "Saml2Logout", "Saml2Ls"}
        places = ("/o/", "/accounts/", "/saml2/")
        judges = {
            name
            for name, function in FUNCTIONS.items()
            if any(route["Method"] == "POST" and route["Path"].startswith(places) for route in routes(function))
        }
        shares = {name for name, function in FUNCTIONS.items() if function["Properties"].get("ReservedConcurrentExecutions")}
        self.assertEqual(judges - shares, as_others)
        self.assertLess({"FhirBundle", "FhirObservationCreate", "FhirAuxiliaryWrite", "FhirImport", "PatientsImport", "FhirObservationSearch"}, shares)

    def test_reserved_concurrency_leaves_room_for_two_deployments_in_an_account(self):
        reserved = sum(function["Properties"].get("ReservedConcurrentExecutions", 0) for function in FUNCTIONS.values())
        # An account has 1,000 unless it asks for more, of which 100 cannot be reserved.
        self.assertLessEqual(2 * reserved, 900)


class Documents(unittest.TestCase):
    def test_the_costs_that_are_documented_are_those_that_are_computed(self):
        self.assertIn(cost.table(), (ROOT / "docs" / "cost.md").read_text())


class Refusals(unittest.TestCase):
    def test_a_route_that_is_there_twice(self):
        def twice(resources):
            resources["Health"]["Properties"]["Events"]["Again"] = resources["LandingPage"]["Properties"]["Events"]["Get"]

        with self.assertRaisesRegex(ValueError, "GET / is there twice"):
            broken(twice)

    def test_a_limit_of_a_route_that_is_not_there(self):
        def mistyped(resources):
            resources["Api"]["Properties"]["RouteSettings"]["POST /o/tokens/"] = {"ThrottlingRateLimit": 1}

        with self.assertRaisesRegex(ValueError, r"POST /o/tokens/"):
            broken(mistyped)

    def test_a_function_that_another_stack_names_by_something_else_than_its_arn(self):
        def by_name(resources):
            resources["ApplicationRotation"]["Properties"]["Parameters"]["Function"] = {"Ref": "SecretsRotate"}

        with self.assertRaisesRegex(ValueError, "only the Arn"):
            broken(by_name)

    def test_short_forms_are_read_as_the_long_ones(self):
        text = '{ a: !Ref B, c: !GetAtt D.E.F, g: !Sub "${H}", i: !If [J, !Ref K, 2010-09-09] }'
        long = {"a": {"Ref": "B"}, "c": {"Fn::GetAtt": ["D", "E.F"]}, "g": {"Fn::Sub": "${H}"}, "i": {"Fn::If": ["J", {"Ref": "K"}, "2010-09-09"]}}
        self.assertEqual(yaml.load(text, Loader), long)


if __name__ == "__main__":
    unittest.main()
