//! What a build without options makes.

/// The texts between quotes.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

#[test]
fn a_plain_build_makes_both_programs() {
    let manifest = include_str!("../../Cargo.toml");
    let default = manifest.lines().find(|line| line.starts_with("default = "));
    let default: Vec<&str> = quoted(default.unwrap()).collect();
    let programs = manifest.split("[[bin]]").skip(1);
    let required = programs.filter_map(|program| {
        let line = |line: &&str| line.starts_with("required-features = ");
        program.lines().find(line)
    });
    let required: Vec<&str> = required.flat_map(quoted).collect();
    assert_eq!(required, ["ubusd", "cli"]);
    for feature in required {
        assert!(default.contains(&feature), "{feature}");
    }
}
