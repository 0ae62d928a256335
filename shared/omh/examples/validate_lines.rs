//! Validates the data points that it reads, one request per line:
//! `{"code": "omh:heart-rate:2.0", "data_point": {...}}`, and answers one line for each:
//! `{"valid": true, "created": ..., "effective": [start, end] or null}` or
//! `{"valid": false, "kind": ..., "reason": ...}`.

use std::io::{self, BufRead, Write};

use omh::{DataPoint, Invalid};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        writeln!(out, "{}", answer(&line?))?;
    }
    out.flush()
}

fn answer(line: &str) -> Value {
    let Ok(request) = serde_json::from_str::<Value>(line) else {
        return refused("NotJson", "the request is not JSON");
    };
    let (Some(code), Some(point)) = (request.get("code").and_then(Value::as_str), request.get("data_point")) else {
        return refused("NotJson", "the request lacks code or data_point");
    };
    match omh::parse(point.to_string().as_bytes(), code) {
        Ok(point) => accepted(&point),
        Err(invalid) => refused(kind(&invalid), &invalid.to_string()),
    }
}

fn accepted(point: &DataPoint) -> Value {
    let effective = point.effective().map(|time| [time.start().to_string(), time.end().to_string()]);
    json!({"valid": true, "created": point.created().to_string(), "effective": effective})
}

fn refused(kind: &str, reason: &str) -> Value {
    json!({"valid": false, "kind": kind, "reason": reason})
}

fn kind(invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::NotJson => "NotJson",
        Invalid::UnknownSchema(_) => "UnknownSchema",
        Invalid::SchemaMismatch { .. } => "SchemaMismatch",
        Invalid::Header { .. } => "Header",
        Invalid::Body { .. } => "Body",
        Invalid::EffectiveTime(_) => "EffectiveTime",
        Invalid::UnusableSchema(_) => "UnusableSchema",
    }
}
