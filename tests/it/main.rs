//! Behaviour of the whole, in one binary so that it links once. `tidy` holds the rules of the house.

mod tidy;
