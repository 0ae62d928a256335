"""What a deployment costs a month: prints the table of docs/cost.md. Prices and assumptions are below, and nowhere else."""

from dataclasses import dataclass

from assemble import ROOT, assemble, load
from stage import parameters_of

# List prices of us-east-1 in US dollars, without free tiers, savings plans or taxes. Written down by hand in November 2026, not
# fetched from AWS.
HOURS = 730
INSTANCE = {"db.t4g.medium": 0.065, "db.m7g.large": 0.168, "db.r7g.2xlarge": 0.956}  # an hour, one zone
VCPU = {"db.t4g.medium": 2, "db.m7g.large": 2, "db.r7g.2xlarge": 8}
STORAGE = 0.115  # a GB of gp3, one zone
BACKUP = 0.095  # a GB beyond the size of the database
PROXY = 0.015  # a vCPU of the database and hour
ENDPOINT = 0.01  # an interface endpoint, zone and hour
LAMBDA_REQUESTS, LAMBDA_SECONDS = 0.20, 16.6667  # a million requests; a million GB-seconds, x86_64
API = 1.00  # a million requests
CLOUDFRONT_REQUESTS, CLOUDFRONT_GB = 1.00, 0.085  # a million; a GB
WAF_ACL, WAF_RULE, WAF_REQUESTS = 5.00, 1.00, 0.60  # each; each; a million
SECRET, SECRET_CALLS = 0.40, 5.00  # each; a million
KEY, KEY_CALLS, RSA_CALLS = 1.00, 3.00, 15.00  # each; a million; a million signatures
VAULT_READS = 0.125  # a million keys of patients
LOG_IN, LOG_KEPT = 0.50, 0.03  # a GB
ALARM, DASHBOARD, METRIC = 0.10, 3.00, 0.30
TRACES = 5.00  # a million

TRACED_AT_ONCE, TRACED_BESIDES = 1.0, 0.05  # X-Ray takes the first request of a second, and a twentieth of the others
MONTH = HOURS * 3600

# What is in the templates.
STACKS = assemble()
OURS = [load(path) for path in [*sorted((ROOT / "infra" / "monitoring").iterdir()), *(ROOT / "infra" / f"{name}.yaml" for name in ("keys-and-secrets", "vault", "firewall"))]]
RESOURCES = [resource["Type"] for stack in OURS + [child.template for child in STACKS.children.values()] for resource in stack["Resources"].values()]
# In tens, so that one function more is no other price.
ALARMS = round(RESOURCES.count("AWS::CloudWatch::Alarm"), -1)
# Of decision 49: those of the deployment, and of each function that is used its latency. What is not written in an hour costs nothing.
METRICS, METRICS_IDLE = 20 + 40, 6
ENDPOINTS = 4  # Secrets Manager, KMS, logs, SNS
WAF_RULES = 5
SECRETS = RESOURCES.count("AWS::SecretsManager::Secret") + 1  # and the owner's, which RDS makes
KEYS = RESOURCES.count("AWS::KMS::Key") + 3  # and three that sign id_tokens


@dataclass(frozen=True)
class Deployment:
    """How large it is and what is done with it. A year's data is stored."""

    name: str
    stage: str
    studies: int
    # Another size than that of the stage.
    larger: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return parameters_of(self.stage)

    @property
    def instance(self) -> str:
        return self.larger or self.parameters["DatabaseClass"]

    @property
    def endpoints(self) -> int:
        """In each zone. Mail by SES or SMTP has one of its own."""
        return ENDPOINTS + (self.parameters["MailTransport"] != "none")

    @property
    def traces(self) -> float:
        """A month, if requests came evenly."""
        each_second = self.requests / MONTH
        return MONTH * (min(each_second, TRACED_AT_ONCE) + TRACED_BESIDES * max(each_second - TRACED_AT_ONCE, 0))

    @property
    def patients(self) -> int:
        return self.studies * 100

    @property
    def uploads(self) -> float:
        """A month: two a day and patient, ten observations each."""
        return self.patients * 2 * 30

    @property
    def reads(self) -> float:
        """A month: a hundred pages of a hundred observations a day and study, and the pages that people look at."""
        return self.studies * 100 * 30 + self.patients * 30

    @property
    def keys_read(self) -> float:
        """A month, if no function had any of them in memory: each page of a study is of all of its patients."""
        return self.studies * 100 * 30 * 100 + self.patients * 30 + self.uploads

    @property
    def requests(self) -> float:
        return self.uploads + self.reads + self.sign_ins * 4

    @property
    def sign_ins(self) -> float:
        """A month: tokens are renewed before each upload and read through, so nearly one for each upload."""
        return self.uploads + self.studies * 100

    @property
    def database_gb(self) -> float:
        """An observation with its indexes and its audit takes 3 KB."""
        return max(20, self.uploads * 10 * 12 * 3e-6)


DEPLOYMENTS = [
    Deployment("idle, smallest (dev)", "dev", 0),
    Deployment("idle (prod)", "prod", 0),
    Deployment("10 studies (prod)", "prod", 10),
    Deployment("1,000 studies (prod, larger)", "prod", 1000, "db.r7g.2xlarge"),
]


def costs(of: Deployment) -> dict[str, float]:
    """Dollars a month."""
    millions = of.requests / 1e6
    parameters = of.parameters
    copies = 2 if parameters["DatabaseMultiAz"] == "true" else 1
    months = int(parameters["LogDays"]) / 365 * 12
    # 60 ms with 512 MB for an upload, 30 ms with 256 MB for a read, 20 ms with 256 MB for a token. docs/benchmarks.md has less: these are
    # with the network between function, proxy and database, and with starts.
    gb_seconds = of.uploads * 0.060 * 0.5 + of.reads * 0.030 * 0.25 + of.sign_ins * 4 * 0.020 * 0.25
    # 10 KB up, 100 KB down for a page, 2 KB for anything else.
    gb_out = (of.reads * 100 + (of.requests - of.reads) * 2) / 1e6
    # 2 KB for a request in the functions' and the API's logs, 1 KB of PostgreSQL's, and 2 GB that is there always.
    log_gb = of.requests * 3e-6 + 2
    return {
        "database": INSTANCE[of.instance] * copies * HOURS + max(100, of.database_gb) * STORAGE * copies + of.database_gb * BACKUP,
        "proxy": PROXY * VCPU[of.instance] * HOURS,
        "endpoints": ENDPOINT * of.endpoints * int(parameters["Zones"]) * HOURS,
        "functions": millions * LAMBDA_REQUESTS + gb_seconds / 1e6 * LAMBDA_SECONDS,
        "API, CloudFront, WAF": millions * (API + CLOUDFRONT_REQUESTS + WAF_REQUESTS) + gb_out * CLOUDFRONT_GB + WAF_ACL + WAF_RULES * WAF_RULE,
        "secrets and keys": SECRETS * SECRET + KEYS * KEY + millions * 0.1 * (SECRET_CALLS + KEY_CALLS) + of.sign_ins / 1e6 * RSA_CALLS + of.keys_read / 1e6 * VAULT_READS,
        # Logs are kept for LogDays: what is paid once that many are there.
        "logs, alarms, traces": log_gb * LOG_IN + log_gb * months * LOG_KEPT + ALARMS * ALARM + 2 * DASHBOARD + (METRICS if of.studies else METRICS_IDLE) * METRIC + of.traces / 1e6 * TRACES,
    }


def table() -> str:
    columns = [costs(deployment) for deployment in DEPLOYMENTS]
    lines = [
        "| dollars a month | " + " | ".join(deployment.name for deployment in DEPLOYMENTS) + " |",
        "| --- |" + " ---: |" * len(DEPLOYMENTS),
        "| requests a month | " + " | ".join(f"{deployment.requests:,.0f}" for deployment in DEPLOYMENTS) + " |",
        "| GB in the database after a year | " + " | ".join(f"{deployment.database_gb:,.0f}" for deployment in DEPLOYMENTS) + " |",
    ]
    for item in columns[0]:
        lines.append(f"| {item} | " + " | ".join(f"{column[item]:,.0f}" for column in columns) + " |")
    lines.append("| **all** | " + " | ".join(f"**{sum(column.values()):,.0f}**" for column in columns) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
