//! The Lambda binary of `payloads-encrypt`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(payloads_encrypt::FUNCTION)
}
