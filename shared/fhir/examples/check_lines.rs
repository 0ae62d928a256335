//! Checks the resources that it reads, one per line, and answers one line for each: `{"valid": true}`, or
//! `{"valid": false, "code": ..., "expression": ..., "reason": ...}`.

use std::io::{self, BufRead, Write};

use fhir::auxiliary::{Submission, kind};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        writeln!(out, "{}", answer(&line?))?;
    }
    out.flush()
}

fn answer(line: &str) -> Value {
    let Ok(resource) = serde_json::from_str::<Value>(line) else {
        return json!({ "valid": false, "reason": "the line is not JSON" });
    };
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    match kind(name).and_then(|kind| Submission::parse(kind, &resource, "https://jhe.example/FHIR/R5")) {
        Ok(_) => json!({ "valid": true }),
        Err(rejection) => json!({ "valid": false, "code": rejection.code().as_str(),
            "expression": rejection.expression(), "reason": rejection.to_string() }),
    }
}
