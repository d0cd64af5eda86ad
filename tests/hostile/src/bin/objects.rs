//! A server of objects, for tests that need it out of their own process. Its arguments
//! are the folder of its buckets and the port; it says on standard output which one it
//! took.

use std::path::Path;

use stheno_test_support::ObjectServer;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let (folder, port) = (arguments.next(), arguments.next());
    let port = port.and_then(|port| port.to_str()?.parse().ok());
    let (Some(folder), Some(port)) = (folder, port) else {
        eprintln!("write the folder of the buckets and a port; 0 is any");
        std::process::exit(2);
    };
    ObjectServer::serve(Path::new(&folder), port);
}
