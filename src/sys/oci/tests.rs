//! Tests of what images may use.

use serde_json::json;

use super::*;

#[test]
fn one_blob_as_many_layers_is_read_up_to_the_limit() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs_err::write(place.path().join(name), bytes).unwrap();
    let layer = [0; 1024];
    let id = format!("sha256:{}", Digest::of(layer));
    write("layer.tar", &layer);
    write("config.json", json!({"rootfs": {"diff_ids": [id, id, id]}}).to_string().as_bytes());
    let layers = ["layer.tar"; 3];
    write("manifest.json", json!([{"Config": "config.json", "Layers": layers}]).to_string().as_bytes());
    let source = ImageSource::open(place.path()).unwrap();
    source.left.set(2500);
    let read = |number: usize| {
        let layer = &source.images()[0].layers[number];
        source.read_layer(layer, &mut io::sink(), |_, tarball| Ok(io::copy(tarball, &mut io::sink())?))
    };
    assert_eq!(read(0).unwrap(), (LayerFormat::Plain, 1024));
    read(1).unwrap();
    let error = read(2).unwrap_err();
    assert!(matches!(&error, Error::HostileArchive { reason, .. } if reason.contains("more bytes")), "{error}");
}
