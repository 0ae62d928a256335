//! The Lambda binary of `oauth-userinfo`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(oauth_userinfo::FUNCTION)
}
