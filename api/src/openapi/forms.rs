//! The options of a submit in the document, as query parameters and as fields of the forms.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, Object, OneOfBuilder, Schema, SchemaType};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Required, SchemaFormat, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::parse::option_spec::{OPTIONS, OptionSpec, Takes, address};

/// The media type of a file. It is not looked at, because the bytes decide.
const FILE_CONTENT: &str = "application/octet-stream";

/// The options as query parameters.
pub struct OptionParams;

impl IntoParams for OptionParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        OPTIONS.into_iter().map(query_parameter).collect()
    }
}

/// The form of one image.
pub struct UploadForm;

impl PartialSchema for UploadForm {
    fn schema() -> RefOr<Schema> {
        let about = "The image, and the options as fields.";
        form(
            about,
            file("The image: JPEG, PNG, WebP, TIFF, GIF, BMP or HEIC. Its content decides the format, not its name."),
        )
    }
}

impl ToSchema for UploadForm {}

/// The form of a batch.
pub struct BatchForm;

impl PartialSchema for BatchForm {
    fn schema() -> RefOr<Schema> {
        let about = "The images, each in a part of its own with the name `file`, and the options as fields.";
        let files = ArrayBuilder::new().items(binary().build()).content_media_type(FILE_CONTENT).description(Some(
            "The images: JPEG, PNG, WebP, TIFF, GIF, BMP or HEIC. Their content decides the format, not their names.",
        ));
        form(about, files.build().into())
    }
}

impl ToSchema for BatchForm {}

/// The body that names an image by its address.
pub struct ImageUrl;

impl PartialSchema for ImageUrl {
    fn schema() -> RefOr<Schema> {
        let address = address().description(Some("The address of the image, from which the service fetches it."));
        body("The address of an image, and the options.", ("image_url", address.into()))
    }
}

impl ToSchema for ImageUrl {}

/// The body that names the images of a batch by their addresses.
pub struct ImageUrls;

impl PartialSchema for ImageUrls {
    fn schema() -> RefOr<Schema> {
        let about = "The addresses of the images, from which the service fetches them.";
        let addresses = ArrayBuilder::new().items(address().build()).description(Some(about));
        body("The addresses of images, and the options.", ("image_urls", addresses.build().into()))
    }
}

impl ToSchema for ImageUrls {}

fn query_parameter(spec: &OptionSpec) -> Parameter {
    let schema = match spec.takes {
        Takes::Choice(schema) => schema(),
        Takes::Value(schema) => with_default(schema(), spec.default),
    };
    ParameterBuilder::new()
        .name(spec.name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(spec.description))
        .schema(Some(schema))
        .build()
}

/// A form field that may be absent.
fn form_field(spec: &OptionSpec) -> RefOr<Schema> {
    match spec.takes {
        Takes::Choice(schema) => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            let field = OneOfBuilder::new().item(schema()).item(null).description(Some(spec.description));
            Schema::from(field).into()
        }
        Takes::Value(schema) => {
            let mut field = schema();
            if let SchemaType::Type(value) = field.schema_type {
                field.schema_type = SchemaType::from_iter([value, Type::Null]);
            }
            field.description = Some(spec.description.to_owned());
            field.into()
        }
    }
}

fn form(about: &str, file: RefOr<Schema>) -> RefOr<Schema> {
    body(about, ("file", file))
}

fn body(about: &str, (name, image): (&str, RefOr<Schema>)) -> RefOr<Schema> {
    let form = ObjectBuilder::new().description(Some(about)).property(name, image).required(name);
    OPTIONS.into_iter().fold(form, |form, spec| form.property(spec.name, form_field(spec))).into()
}

fn file(about: &str) -> RefOr<Schema> {
    binary().content_media_type(FILE_CONTENT).description(Some(about)).into()
}

fn binary() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
}

fn with_default(mut schema: Object, default: Option<&str>) -> RefOr<Schema> {
    schema.default = default.map(as_json);
    schema.into()
}

/// A default as the value that it stands for: a number or a boolean where the text is one, and else the text.
fn as_json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
