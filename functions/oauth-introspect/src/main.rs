//! The Lambda binary of `oauth-introspect`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_introspect::FUNCTION)
}
