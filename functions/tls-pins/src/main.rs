//! The Lambda binary of `tls-pins`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(tls_pins::FUNCTION)
}
