//! The imported graphs against the output of the ncnn package, which is kept as fixtures (`models/reference/`).

use remaster_engine::Tensor;
use remaster_shared::job::ModelId;

use crate::fixtures::reference;
use crate::real::engines;

async fn matches(model: &str) {
    let read = |name: &str| image::open(reference(name)).unwrap().into_rgb8();
    let (crop, expected) = (read("crop96.png"), read(&format!("ncnn_{model}.png")));
    // Without reflected edges, because ncnn pads the crop with zeros, as the graph does.
    let input = Tensor::from_shape_fn((1, 3, 96, 96), |(_, c, y, x)| {
        f32::from(crop.get_pixel(x as u32, y as u32).0[c]) / 255.0
    });
    for engine in engines() {
        let output = engine.run(&ModelId::parse(model).unwrap(), input.clone()).await.unwrap();
        assert_eq!(output.dim(), (1, 3, 384, 384));
        let mut worst = 0.0_f32;
        for (x, y, pixel) in expected.enumerate_pixels() {
            for (c, sample) in pixel.0.into_iter().enumerate() {
                let got = output[(0, c, y as usize, x as usize)].clamp(0.0, 1.0) * 255.0;
                worst = worst.max((got - f32::from(sample)).abs());
            }
        }
        assert!(worst <= 2.0, "{model} on {:?}: {worst}/255", engine.running_on());
    }
}

#[tokio::test]
async fn x4plus_equals_ncnn() {
    matches("realesrgan-x4plus").await;
}

#[tokio::test]
async fn x4plus_anime_equals_ncnn() {
    matches("realesrgan-x4plus-anime").await;
}

#[tokio::test]
async fn animevideov3_equals_ncnn() {
    matches("realesr-animevideov3").await;
}
