//! A tar stream to a layer on disk, and back.
