//! Why a request was not accepted: one type from the element to the HTTP status.

use crate::outcome::{Issue, IssueCode, OperationOutcome, Severity};

/// Where and why. The text names elements and rules, and never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{diagnostics}")]
pub struct Fault {
    expression: Option<String>,
    diagnostics: String,
}

/// A request, or one entry of a batch, that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The JSON does not have the shape of the resource: 400.
    #[error(transparent)]
    Structure(Fault),
    /// A required element is missing: 400.
    #[error(transparent)]
    Required(Fault),
    /// A value is not allowed: 400.
    #[error(transparent)]
    Value(Fault),
    /// R5 defines it and we do not do it: 400.
    #[error(transparent)]
    NotSupported(Fault),
    /// The resource type, or what the URL names, is not served: 404.
    #[error(transparent)]
    NotServed(Fault),
    /// The interaction is not offered: 405.
    #[error(transparent)]
    MethodNotAllowed(Fault),
    /// No representation the caller accepts: 406.
    #[error(transparent)]
    NotAcceptable(Fault),
    /// More than we handle in one request: 413.
    #[error(transparent)]
    TooCostly(Fault),
    /// Well formed, and against a rule: 422.
    #[error(transparent)]
    BusinessRule(Fault),
}

impl Fault {
    fn new(diagnostics: String) -> Self {
        Self { expression: None, diagnostics }
    }

    fn at(expression: &str, problem: &str) -> Self {
        Self { expression: Some(expression.to_owned()), diagnostics: format!("{expression} {problem}") }
    }
}

impl Rejection {
    /// Breaks a rule that only the rest of the system knows (schema, consented code): 422.
    #[must_use]
    pub fn business_rule(expression: &str, problem: &str) -> Self {
        Self::BusinessRule(Fault::at(expression, problem))
    }

    pub(crate) fn structure(expression: &str, problem: &str) -> Self {
        Self::Structure(Fault::at(expression, problem))
    }

    pub(crate) fn required(expression: &str) -> Self {
        Self::Required(Fault::at(expression, "is required"))
    }

    pub(crate) fn incomplete(expression: &str, problem: &str) -> Self {
        Self::Required(Fault::at(expression, problem))
    }

    /// A value that is not allowed, such as the id of a device that does not exist: 400.
    #[must_use]
    pub fn value(expression: &str, problem: &str) -> Self {
        Self::Value(Fault::at(expression, problem))
    }

    pub(crate) fn not_supported(expression: &str, problem: &str) -> Self {
        Self::NotSupported(Fault::at(expression, problem))
    }

    pub(crate) fn too_costly(expression: &str, problem: &str) -> Self {
        Self::TooCostly(Fault::at(expression, problem))
    }

    pub(crate) fn not_served(expression: &str, problem: &str) -> Self {
        Self::NotServed(Fault::at(expression, problem))
    }

    pub(crate) fn method_not_allowed(expression: &str, problem: &str) -> Self {
        Self::MethodNotAllowed(Fault::at(expression, problem))
    }

    /// A search parameter's value is wrong. Parameters are no elements: there is no expression.
    pub(crate) fn parameter(name: &str, problem: &str) -> Self {
        Self::Value(Fault::new(format!("Search parameter {name} {problem}")))
    }

    /// A search parameter, modifier or prefix that is not supported.
    pub(crate) fn parameter_not_supported(problem: String) -> Self {
        Self::NotSupported(Fault::new(problem))
    }

    pub(crate) fn not_acceptable(problem: String) -> Self {
        Self::NotAcceptable(Fault::new(problem))
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Structure(_) | Self::Required(_) | Self::Value(_) | Self::NotSupported(_) => 400,
            Self::NotServed(_) => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::NotAcceptable(_) => 406,
            Self::TooCostly(_) => 413,
            Self::BusinessRule(_) => 422,
        }
    }

    /// The issue code.
    #[must_use]
    pub fn code(&self) -> IssueCode {
        match self {
            Self::Structure(_) => IssueCode::Structure,
            Self::Required(_) => IssueCode::Required,
            Self::Value(_) => IssueCode::Value,
            Self::NotSupported(_) | Self::NotServed(_) | Self::MethodNotAllowed(_) | Self::NotAcceptable(_) => {
                IssueCode::NotSupported
            }
            Self::TooCostly(_) => IssueCode::TooCostly,
            Self::BusinessRule(_) => IssueCode::BusinessRule,
        }
    }

    fn fault(&self) -> &Fault {
        match self {
            Self::Structure(fault)
            | Self::Required(fault)
            | Self::Value(fault)
            | Self::NotSupported(fault)
            | Self::NotServed(fault)
            | Self::MethodNotAllowed(fault)
            | Self::NotAcceptable(fault)
            | Self::TooCostly(fault)
            | Self::BusinessRule(fault) => fault,
        }
    }

    /// The `FHIRPath` of the element, when the fault is in one.
    #[must_use]
    pub fn expression(&self) -> Option<&str> {
        self.fault().expression.as_deref()
    }

    /// The resource to answer with.
    #[must_use]
    pub fn outcome(&self) -> OperationOutcome {
        let issue = Issue::new(Severity::Error, self.code(), &self.fault().diagnostics);
        OperationOutcome::new(match self.expression() {
            Some(expression) => issue.at(expression),
            None => issue,
        })
    }
}
