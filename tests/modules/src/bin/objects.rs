//! A server of objects, for tests that need it out of their own process.

fn main() {
    stheno_test_support::ObjectServer::serve_as_told();
}
