//! The Lambda binary of `saml2-ls`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(saml2_ls::FUNCTION)
}
