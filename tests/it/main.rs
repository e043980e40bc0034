//! Behaviour of the whole, in one binary so that it links once. `command` runs the built program, `kills` kills it,
//! `tidy` holds the rules of the house.

mod command;
mod kills;
mod tidy;
