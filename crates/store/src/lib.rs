//! Blobs, layers, images, containers: what is kept on disk.
