//! The Lambda binary of `oauth-discovery`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_discovery::FUNCTION)
}
