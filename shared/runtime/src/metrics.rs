//! Metrics: one line of JSON on standard output for each request, in the embedded metric format of `CloudWatch`
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>),
//! which `CloudWatch` Logs makes metrics of. No call to AWS is in the way of a request.
//!
//! A line has numbers, the function's name and the deployment's: no id, no name, no path. What each metric says is in
//! `docs/monitoring.md`, why there are so few in decision 49.

use authz::Layer;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};
use store::meter::Usage;

/// Where `CloudWatch` keeps the metrics of every deployment; its `Stage` tells one from another.
pub const NAMESPACE: &str = "JupyterHealthExchange";

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// How long the function took.
    Latency,
    /// Answers with 5xx, and scheduled calls that failed.
    Errors,
    /// Refused by this layer.
    Refused(Layer),
    /// Answered 401 or 403 by no layer: an origin, a missing reason, a scope.
    RefusedOtherwise,
    /// Answered 429.
    Throttled,
    /// Wrong attempts to sign in.
    FailedSignIns,
    /// Observations that were answered.
    ObservationsRead,
    /// Observations that were stored.
    ObservationsWritten,
    /// The first request of a process.
    ColdStarts,
    /// How long a request waited for a connection.
    PoolWait,
    /// Scheduled calls that did their work.
    Completed,
    /// Findings of the security monitor that are new.
    NewFindings,
    /// What a check of the audit against its seals found.
    AuditFindings,
    /// How old the oldest event of the audit is that no seal covers.
    SealLag,
    /// How long ago the database's log of changes was archived.
    ArchiveLag,
    /// How long ago the last backup was made.
    BackupAge,
    /// How long ago the last restore drill passed.
    DrillAge,
    /// Rows that retention deleted.
    Deleted,
    /// Patients who were erased.
    Erased,
    /// Erasures that a legal hold keeps waiting.
    ErasuresHeld,
    /// Patients who are erased again: the database comes from a backup.
    ErasuresAgain,
    /// Exports of studies that are done.
    ExportsDone,
    /// Rows that were written for exports.
    RowsExported,
}

/// What the report of a scheduled function says that becomes a metric.
const REPORTED: [(&str, Metric); 11] = [
    ("new_findings", Metric::NewFindings),
    ("seal_lag_seconds", Metric::SealLag),
    ("archive_lag_seconds", Metric::ArchiveLag),
    ("backup_age_seconds", Metric::BackupAge),
    ("drill_age_seconds", Metric::DrillAge),
    ("deleted", Metric::Deleted),
    ("erased", Metric::Erased),
    ("held", Metric::ErasuresHeld),
    ("again", Metric::ErasuresAgain),
    ("exports", Metric::ExportsDone),
    ("rows_exported", Metric::RowsExported),
];

impl Metric {
    /// Every one.
    pub const ALL: [Self; 28] = [
        Self::Latency,
        Self::Errors,
        Self::Refused(Layer::Token),
        Self::Refused(Layer::UserType),
        Self::Refused(Layer::Organization),
        Self::Refused(Layer::Enrolment),
        Self::Refused(Layer::Consent),
        Self::Refused(Layer::Role),
        Self::RefusedOtherwise,
        Self::Throttled,
        Self::FailedSignIns,
        Self::ObservationsRead,
        Self::ObservationsWritten,
        Self::ColdStarts,
        Self::PoolWait,
        Self::Completed,
        Self::NewFindings,
        Self::AuditFindings,
        Self::SealLag,
        Self::ArchiveLag,
        Self::BackupAge,
        Self::DrillAge,
        Self::Deleted,
        Self::Erased,
        Self::ErasuresHeld,
        Self::ErasuresAgain,
        Self::ExportsDone,
        Self::RowsExported,
    ];

    /// Its name in `CloudWatch`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "Latency",
            Self::Errors => "Errors",
            Self::Refused(Layer::Token) => "RefusedByToken",
            Self::Refused(Layer::UserType) => "RefusedByUserType",
            Self::Refused(Layer::Organization) => "RefusedByOrganization",
            Self::Refused(Layer::Enrolment) => "RefusedByEnrolment",
            Self::Refused(Layer::Consent) => "RefusedByConsent",
            Self::Refused(Layer::Role) => "RefusedByRole",
            Self::RefusedOtherwise => "RefusedOtherwise",
            Self::Throttled => "Throttled",
            Self::FailedSignIns => "FailedSignIns",
            Self::ObservationsRead => "ObservationsRead",
            Self::ObservationsWritten => "ObservationsWritten",
            Self::ColdStarts => "ColdStarts",
            Self::PoolWait => "PoolWait",
            Self::Completed => "Completed",
            Self::NewFindings => "NewFindings",
            Self::AuditFindings => "AuditFindings",
            Self::SealLag => "SealLag",
            Self::ArchiveLag => "ArchiveLag",
            Self::BackupAge => "BackupAge",
            Self::DrillAge => "DrillAge",
            Self::Deleted => "Deleted",
            Self::Erased => "Erased",
            Self::ErasuresHeld => "ErasuresHeld",
            Self::ErasuresAgain => "ErasuresAgain",
            Self::ExportsDone => "ExportsDone",
            Self::RowsExported => "RowsExported",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Latency | Self::PoolWait => "Microseconds",
            Self::SealLag | Self::ArchiveLag | Self::BackupAge | Self::DrillAge => "Seconds",
            _ => "Count",
        }
    }

    /// Whether there is one for each function too, besides that of the deployment.
    const fn is_by_function(self) -> bool {
        matches!(self, Self::Latency | Self::Errors | Self::Completed)
    }
}

/// How a request was served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub function: &'static str,
    pub status: StatusCode,
    pub layer: Option<Layer>,
    pub micros: u64,
    pub usage: Usage,
}

impl Served {
    /// What is zero is left out: no sum changes by it, and a line costs by its length.
    fn values(&self, is_first: bool) -> Vec<(Metric, u64)> {
        let is_refusal = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let wait = self.usage.pool_wait.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let counts = [
            (Metric::Errors, u64::from(self.status.is_server_error())),
            (Metric::RefusedOtherwise, u64::from(is_refusal && self.layer.is_none())),
            (Metric::Throttled, u64::from(self.status == StatusCode::TOO_MANY_REQUESTS)),
            (Metric::FailedSignIns, self.usage.failed_sign_ins),
            (Metric::ObservationsRead, self.usage.observations_read),
            (Metric::ObservationsWritten, self.usage.observations_written),
            (Metric::ColdStarts, u64::from(is_first)),
        ];
        let times = [Some((Metric::Latency, self.micros)), wait.map(|wait| (Metric::PoolWait, wait))];
        let refused = self.layer.map(|layer| (Metric::Refused(layer), 1));
        times.into_iter().flatten().chain(refused).chain(counts.into_iter().filter(|(_, count)| *count > 0)).collect()
    }
}

/// Where the figures of a process go.
pub struct Metrics {
    stage: Option<String>,
    is_cold: AtomicBool,
}

impl Metrics {
    /// To standard output under the name of a deployment, or nowhere.
    pub(crate) const fn of(stage: Option<String>) -> Self {
        Self { stage, is_cold: AtomicBool::new(true) }
    }

    /// Writes how a request was served.
    pub(crate) fn served(&self, served: &Served) {
        let is_first = self.is_cold.swap(false, Ordering::Relaxed);
        self.write(served.function, &served.values(is_first));
    }

    /// Writes how a call by the clock or by a service of AWS ended: with its report, or without one.
    pub(crate) fn ran(&self, function: &'static str, micros: u64, report: Option<&Value>) {
        self.write(function, &run_values(micros, report));
    }

    /// Writes what a call did that failed after it.
    pub fn done_before_failing(&self, function: &'static str, report: &Value) {
        let values: Vec<_> = reported(report).collect();
        if !values.is_empty() {
            self.write(function, &values);
        }
    }

    /// Writes how much a check of the audit found: a call that finds something has no report.
    pub fn found(&self, function: &'static str, findings: u64) {
        self.write(function, &[(Metric::AuditFindings, findings)]);
    }

    fn write(&self, function: &'static str, values: &[(Metric, u64)]) {
        let Some(stage) = &self.stage else { return };
        let line = line(stage, function, Timestamp::now(), values);
        // A request does not depend on who reads its figures.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}

fn run_values(micros: u64, report: Option<&Value>) -> Vec<(Metric, u64)> {
    let ended = if report.is_some() { Metric::Completed } else { Metric::Errors };
    [(Metric::Latency, micros), (ended, 1)].into_iter().chain(report.into_iter().flat_map(reported)).collect()
}

/// What a report says that becomes a metric: a number, or how many a list has. A count of nothing is left out.
fn reported(report: &Value) -> impl Iterator<Item = (Metric, u64)> {
    REPORTED.iter().filter_map(|(member, metric)| {
        let said = report.get(member)?;
        let count = said.as_u64().or_else(|| u64::try_from(said.as_array()?.len()).ok())?;
        (count > 0 || metric.unit() != "Count").then_some((*metric, count))
    })
}

/// A line: which metrics there are for the deployment, which for the function too, and the values.
fn line(stage: &str, function: &str, at: Timestamp, values: &[(Metric, u64)]) -> Value {
    let of = |dimensions: &[&str], is_named: fn(Metric) -> bool| {
        let named = values.iter().filter(|(metric, _)| is_named(*metric));
        let metrics: Vec<Value> =
            named.map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
        // One without metrics would be refused.
        (!metrics.is_empty()).then(|| json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics }))
    };
    let directives = [of(&["Stage"], |_| true), of(&["Stage", "Function"], Metric::is_by_function)];
    let directives: Vec<Value> = directives.into_iter().flatten().collect();
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": directives }));
    line.insert("Stage".to_owned(), stage.into());
    line.insert("Function".to_owned(), function.into());
    line.extend(values.iter().map(|(metric, value)| (metric.name().to_owned(), (*value).into())));
    Value::Object(line)
}

#[cfg(test)]
mod tests;
