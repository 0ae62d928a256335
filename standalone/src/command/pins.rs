//! `jhe pins`: the public keys of certificates as apps pin them.

use super::{Result, out::say};
use standalone::verify::site;
use std::{path::Path, process::ExitCode};

/// What to look at. `--ca-file` is trusted besides the authorities of the web.
pub async fn run(words: &[&str]) -> Result<ExitCode> {
    let certificates = match words {
        ["--certificate", file] => tls::certificates(Path::new(file)).map_err(|error| format!("{file}: {error}"))?,
        ["--site", url] => site::presented(url, None).await?,
        ["--site", url, "--ca-file", file] => site::presented(url, Some(Path::new(file))).await?,
        _ => return Err("say --certificate FILE, or --site URL [--ca-file FILE]".into()),
    };
    for (place, certificate) in certificates.iter().enumerate() {
        let whose = if place == 0 { "the certificate" } else { "an authority" };
        let pin = tls::pin(certificate).map_err(|_| format!("{whose} cannot be read"))?;
        say(format_args!("{pin}  {whose}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
