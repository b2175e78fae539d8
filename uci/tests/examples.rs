//! The examples run.

#[path = "../examples/tour.rs"]
mod tour;

#[test]
fn the_tour() {
    tour::main().expect("the tour");
}
