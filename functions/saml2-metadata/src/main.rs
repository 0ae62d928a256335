//! The Lambda binary of `saml2-metadata`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(saml2_metadata::FUNCTION)
}
