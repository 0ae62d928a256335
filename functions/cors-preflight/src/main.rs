//! The Lambda binary of `cors-preflight`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(cors_preflight::FUNCTION)
}
