//! The migrations are part of the crate: a new one makes it anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
