//! The Lambda binary of `oauth-authorize`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_authorize::FUNCTION)
}
