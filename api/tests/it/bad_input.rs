//! What a caller can get wrong. Each mistake has its code and its text, costs nothing and leaves no file behind.

use image::ImageFormat;

use crate::fixtures::{encoded, png};
use crate::harness::{Harness, problem};

/// A PNG whose header declares a size that its data does not have.
fn declaring(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(8, 8);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[tokio::test]
async fn each_mistake_has_its_code() {
    let harness = Harness::new().await;
    let photo = || Some(encoded(40, 30, ImageFormat::Jpeg));
    let truncated = {
        let whole = encoded(400, 300, ImageFormat::Jpeg);
        whole[..whole.len() * 2 / 3].to_vec()
    };
    let no_picture = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00;".to_vec();
    let icon = b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0".to_vec();
    type Case<'a> = (&'a str, Option<Vec<u8>>, &'a [(&'a str, &'a str)], u16, &'a str, &'a str);
    let cases: Vec<Case> = vec![
        ("no file", None, &[("scale", "2")], 400, "missing_file", "file"),
        ("empty file", Some(vec![]), &[], 400, "missing_file", "empty"),
        ("scale=5", photo(), &[("scale", "5")], 400, "invalid_parameter", "1, 2, 3 or 4"),
        ("scale=two", photo(), &[("scale", "two")], 400, "invalid_parameter", "1, 2, 3 or 4"),
        ("unknown option", photo(), &[("scales", "2")], 400, "invalid_parameter", "scales"),
        ("twice", photo(), &[("scale", "2"), ("scale", "4")], 400, "invalid_parameter", "more than once"),
        ("faces", photo(), &[("faces", "yes")], 400, "invalid_parameter", "auto, off or require"),
        ("strength", photo(), &[("face_strength", "1.5")], 400, "invalid_parameter", "0 to 1"),
        ("strength", photo(), &[("face_strength", "NaN")], 400, "invalid_parameter", "0 to 1"),
        ("background", photo(), &[("background", "1")], 400, "invalid_parameter", "true or false"),
        ("metadata", photo(), &[("metadata", "drop")], 400, "invalid_parameter", "strip or keep"),
        ("model path", photo(), &[("model", "../../etc")], 400, "invalid_parameter", "model"),
        ("unknown model", photo(), &[("model", "waifu")], 400, "invalid_parameter", "GET /models"),
        ("absent model", photo(), &[("model", "absent")], 503, "model_unavailable", "absent"),
        ("no face model", photo(), &[("faces", "require")], 503, "model_unavailable", "faces"),
        (
            "text as .jpg",
            Some(b"this is no picture at all".to_vec()),
            &[],
            415,
            "unsupported_format",
            "JPEG, PNG, WebP, TIFF, GIF, BMP and HEIC",
        ),
        ("icon", Some(icon), &[], 415, "unsupported_format", "JPEG"),
        ("no picture in it", Some(no_picture), &[], 422, "image_corrupt", "truncated"),
        ("format", photo(), &[("format", "gif")], 400, "invalid_parameter", "png, webp or jpeg"),
        ("quality", photo(), &[("quality", "0")], 400, "invalid_parameter", "1 to 100"),
        ("max_side", photo(), &[("max_side", "-1")], 400, "invalid_parameter", "1 to 65535"),
        ("denoise", photo(), &[("denoise", "2")], 400, "invalid_parameter", "0 to 1"),
        ("grain", photo(), &[("grain", "-1")], 400, "invalid_parameter", "0 to 1"),
        (
            "denoise without network",
            photo(),
            &[("denoise", "0.5"), ("background", "false")],
            400,
            "invalid_parameter",
            "background=false",
        ),
        (
            "denoise by another network",
            photo(),
            &[("denoise", "0.5"), ("model", "realesrgan-x4plus")],
            400,
            "invalid_parameter",
            "strong can",
        ),
        (
            "no denoiser",
            photo(),
            &[("denoise", "0.5")],
            503,
            "model_unavailable",
            "strong together with its weak denoiser",
        ),
        (
            "too wide for WebP",
            Some(declaring(5000, 1)),
            &[("scale", "4"), ("format", "webp")],
            413,
            "image_too_large",
            "max_side",
        ),
        ("60000x60000", Some(declaring(60_000, 60_000)), &[], 413, "image_too_large", "60000x60000"),
        (
            "too large at x4",
            Some(declaring(6000, 6000)),
            &[("scale", "4")],
            413,
            "image_too_large",
            "MAX_OUTPUT_PIXELS",
        ),
        ("truncated", Some(truncated), &[], 422, "image_corrupt", "truncated"),
        ("header cut", Some(png(20, 20)[..20].to_vec()), &[], 422, "image_corrupt", ""),
    ];
    for path in ["/jobs", "/enhance"] {
        for (name, file, fields, status, code, says) in &cases {
            let response = harness.post(path, file.clone(), fields).await;
            assert_eq!(response.status(), *status, "{path} {name}");
            assert_eq!(response.headers()["x-quota-used"], "0", "{path} {name}");
            assert_eq!(response.headers().contains_key("retry-after"), *status == 503, "{path} {name}");
            let body = problem(response).await;
            assert_eq!(body["code"], *code, "{path} {name}");
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.contains(says), "{path} {name}: {detail}");
        }
    }
    assert_eq!(harness.used().await, 0);
    assert_eq!(harness.files(), (0, 0));
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_while_it_is_received() {
    let harness = Harness::new().await;
    // The first file is too long by its declared length. The second one is sent in chunks, so its length is not declared.
    let response = harness.post("/jobs", Some(vec![0; 51_000_000]), &[]).await;
    assert_eq!(problem(response).await["code"], "file_too_large");
    let small = Harness::builder().settings(|settings| settings.max_upload_bytes = 1000).start().await;
    let chunks = (0..20).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 100]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = small.http.post(small.url("/jobs")).header("content-type", "image/png").body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 413);
    let body = problem(response).await;
    assert!(body["detail"].as_str().unwrap().contains("1000 bytes (MAX_UPLOAD_BYTES)"));
    assert_eq!(small.files(), (0, 0));
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_no_uploads() {
    let harness = Harness::builder().settings(|settings| settings.min_free_bytes = u64::MAX).start().await;
    for path in ["/jobs", "/enhance", "/batches"] {
        let response = harness.post(path, Some(png(20, 10)), &[]).await;
        assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (503, true), "{path}");
        assert_eq!(problem(response).await["code"], "storage_unavailable");
    }
    assert_eq!((harness.used().await, harness.files()), (0, (0, 0)));
}

/// A part whose headers do not end must not fill the memory.
#[tokio::test]
async fn a_form_without_an_end_is_refused() {
    let harness = Harness::builder().settings(|settings| settings.max_upload_bytes = 1_000_000).start().await;
    let start = std::iter::once(b"--x\r\nA:".to_vec());
    let chunks = start.chain(std::iter::repeat_n(vec![b'a'; 100_000], 100)).map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = harness.http.post(harness.url("/jobs")).header("content-type", "multipart/form-data; boundary=x");
    let response = request.body(body).send().await.unwrap();
    let body = problem(response).await;
    assert_eq!(body["code"], "invalid_parameter");
    assert!(body["detail"].as_str().unwrap().contains("the header of a part is too long"), "{body}");
}

#[tokio::test]
async fn a_request_that_no_route_takes_is_a_problem() {
    let harness = Harness::new().await;
    assert_eq!(problem(harness.get("/nothing").await).await["code"], "not_found");
    assert_eq!(problem(harness.get("/jobs/no-uuid").await).await["code"], "not_found");
    let unknown = "/jobs/67e55044-10b1-426f-9247-bb680e5fe0c8";
    for path in [unknown.to_owned(), format!("{unknown}/result")] {
        assert_eq!(problem(harness.get(&path).await).await["code"], "not_found");
    }
    assert_eq!(problem(harness.get("/jobs/%ff").await).await["code"], "invalid_parameter");
    let response = harness.http.put(harness.url("/jobs")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(problem(response).await["code"], "method_not_allowed");
    for wait in ["61", "-1", "soon"] {
        let response = harness.get(&format!("{unknown}?wait={wait}")).await;
        assert_eq!(problem(response).await["code"], "invalid_parameter");
    }
    let json = harness.http.post(harness.url("/jobs")).header("content-type", "application/json").body("{}");
    assert_eq!(problem(json.send().await.unwrap()).await["code"], "missing_file");
    let broken = harness.http.post(harness.url("/jobs")).header("content-type", "multipart/form-data").body("x");
    assert_eq!(problem(broken.send().await.unwrap()).await["code"], "invalid_parameter");
}
