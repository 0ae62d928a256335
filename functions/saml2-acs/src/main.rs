//! The Lambda binary of `saml2-acs`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(saml2_acs::FUNCTION)
}
