//! The Lambda binary of `observations`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(observations::FUNCTION)
}
