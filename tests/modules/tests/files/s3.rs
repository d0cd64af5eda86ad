//! What is particular to files in a bucket.
