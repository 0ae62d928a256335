//! The Lambda binary of `oauth-token-exchange`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_token_exchange::FUNCTION)
}
