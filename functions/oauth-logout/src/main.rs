//! The Lambda binary of `oauth-logout`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_logout::FUNCTION)
}
