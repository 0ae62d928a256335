//! The Lambda binary of `oauth-revoke`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_revoke::FUNCTION)
}
