//! The Lambda binary of `saml2-login`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(saml2_login::FUNCTION)
}
