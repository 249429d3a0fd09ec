//! Plain data of the OCI specifications.
