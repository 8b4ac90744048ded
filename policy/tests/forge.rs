//! Leave to act cannot be forged: each file in `forge/` has to fail to compile.

#[test]
fn leave_to_act_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/forge/*.rs");
}
