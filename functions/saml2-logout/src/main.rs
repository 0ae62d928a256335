//! The Lambda binary of `saml2-logout`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(saml2_logout::FUNCTION)
}
