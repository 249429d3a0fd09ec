//! System call filters: docker's profile as a table, compiled to BPF.
