//! The Lambda binary of `oauth-par`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_par::FUNCTION)
}
