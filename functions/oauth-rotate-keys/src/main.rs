//! The Lambda binary of `oauth-rotate-keys`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(oauth_rotate_keys::FUNCTION)
}
