//! Recipes, patches and the probe are compiled in: a new file among them is a reason to compile.

fn main() {
    println!("cargo::rerun-if-changed=recipes");
    println!("cargo::rerun-if-changed=patches");
    println!("cargo::rerun-if-changed=src/stages/verify/probe");
}
