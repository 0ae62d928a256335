//! The Lambda binary of `oauth-jwks`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_jwks::FUNCTION)
}
