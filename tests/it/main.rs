//! Behaviour of the whole, in one binary so that it links once. `started` runs the built program, `machine` says which test
//! may now; `command` is about its commands, `cluster` about its roles on Kafka, `store` about tables in an object store, `live`
//! about a real Asterisk, `compose` about the container files, `kills` kills it, `tidy` holds the rules of the house.

mod cluster;
mod command;
mod compose;
mod kills;
mod line;
mod live;
mod machine;
mod started;
mod store;
mod tidy;
