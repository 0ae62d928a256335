//! The Lambda binary of `oauth-token`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_token::FUNCTION)
}
