//! Recipes and patches are compiled in: a new file among them is a reason to compile.

fn main() {
    println!("cargo::rerun-if-changed=recipes");
    println!("cargo::rerun-if-changed=patches");
}
