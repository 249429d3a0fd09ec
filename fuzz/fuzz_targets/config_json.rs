//! Any bytes are one of the JSON documents of an image or are refused; what is read can be written,
//! and says the same when it is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::archive::{ArchiveImage, Repositories, V1Image, config_from_v1};
use oci::{Document, ImageConfig, Layout, RootFs};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = ImageConfig::parse(bytes) {
        let written = image.to_json();
        let again = ImageConfig::parse(&written).expect("what was written is read");
        assert_eq!(again, image);
        assert_eq!(again.to_json(), written);
        let _ = image.platform().to_string();
    }
    if let Ok(layer) = V1Image::parse(bytes) {
        let rootfs = RootFs::default();
        // A layer's own members may still be of other types than a configuration's.
        if let Ok(config) = config_from_v1(bytes, &rootfs, &[layer.history()])
            && let Ok(image) = ImageConfig::parse(&config)
        {
            assert_eq!(image.rootfs, rootfs);
        }
    }
    let _ = Document::parse(bytes);
    let _ = Layout::parse(bytes);
    let _ = ArchiveImage::parse(bytes);
    let _ = Repositories::parse(bytes);
});
