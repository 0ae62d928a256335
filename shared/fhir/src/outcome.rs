//! `OperationOutcome` (<https://hl7.org/fhir/R5/operationoutcome.html>).

use crate::json::Object;

/// The codes we use of the issue-type value set
/// (<https://hl7.org/fhir/R5/valueset-issue-type.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueCode {
    /// Content invalid against the specification.
    Invalid,
    /// A structural issue.
    Structure,
    /// A required element is missing.
    Required,
    /// An element's value is invalid.
    Value,
    /// An authentication, authorization or permission issue.
    Security,
    /// The caller is not known.
    Login,
    /// The caller may not do this.
    Forbidden,
    /// No such thing, or none that the caller may know of.
    NotFound,
    /// We do not do this.
    NotSupported,
    /// It exists already.
    Duplicate,
    /// It contradicts the present state.
    Conflict,
    /// More than we handle in one request.
    TooCostly,
    /// Too many requests.
    Throttled,
    /// A later attempt may succeed.
    Transient,
    /// An unexpected internal error.
    Exception,
    /// A processing issue.
    Processing,
    /// For information.
    Informational,
    /// A rule of the business was not met.
    BusinessRule,
}

impl IssueCode {
    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Structure => "structure",
            Self::Required => "required",
            Self::Value => "value",
            Self::Security => "security",
            Self::Login => "login",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::NotSupported => "not-supported",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::TooCostly => "too-costly",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Exception => "exception",
            Self::Processing => "processing",
            Self::Informational => "informational",
            Self::BusinessRule => "business-rule",
        }
    }
}

/// How bad an issue is (<https://hl7.org/fhir/R5/valueset-issue-severity.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The request failed.
    Error,
    /// The request was done, with a caution.
    Warning,
    /// The request was done.
    Information,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// One issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    severity: Severity,
    code: IssueCode,
    diagnostics: String,
    expression: Option<String>,
}

impl Issue {
    /// An issue with a text for the caller.
    #[must_use]
    pub fn new(severity: Severity, code: IssueCode, diagnostics: &str) -> Self {
        Self { severity, code, diagnostics: diagnostics.to_owned(), expression: None }
    }

    /// Names the element by a `FHIRPath` such as `Observation.status`.
    #[must_use]
    pub fn at(mut self, expression: &str) -> Self {
        self.expression = Some(expression.to_owned());
        self
    }

    fn to_json(&self) -> String {
        let mut issue = Object::new()
            .string("severity", self.severity.as_str())
            .string("code", self.code.as_str())
            .optional("diagnostics", Some(&self.diagnostics));
        if let Some(expression) = &self.expression {
            let mut path = String::new();
            crate::json::push_string(&mut path, expression);
            issue = issue.list("expression", &[path]);
        }
        issue.finish()
    }
}

/// What went wrong, or what there is to say. It has at least one issue, as R5 demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationOutcome {
    first: Issue,
    more: Vec<Issue>,
}

impl OperationOutcome {
    /// An outcome of one issue.
    #[must_use]
    pub fn new(issue: Issue) -> Self {
        Self { first: issue, more: Vec::new() }
    }

    /// An outcome of one error.
    #[must_use]
    pub fn error(code: IssueCode, diagnostics: &str) -> Self {
        Self::new(Issue::new(Severity::Error, code, diagnostics))
    }

    /// Adds an issue.
    #[must_use]
    pub fn and(mut self, issue: Issue) -> Self {
        self.more.push(issue);
        self
    }

    /// The resource as R5 JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let issues: Vec<String> = std::iter::once(&self.first).chain(&self.more).map(Issue::to_json).collect();
        Object::resource("OperationOutcome").list("issue", &issues).finish()
    }
}
