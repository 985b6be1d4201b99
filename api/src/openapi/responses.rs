//! Responses that several operations share.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use remaster_shared::error::ErrorCode;
use remaster_shared::job::{BatchView, JobView, OutputFormat};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::binary::Binary;
use super::problems::by_status;
use crate::render::sse::ServerSentEvent;

/// A view of a job or a batch, as the descriptions call it, with the operations that take its id.
pub trait View: ToSchema {
    /// What the view shows.
    const NOUN: &'static str;
    /// The name of a link and the id of the operation that it leads to.
    const LINKS: [(&'static str, &'static str); 4];
}

impl View for JobView {
    const NOUN: &'static str = "job";
    const LINKS: [(&'static str, &'static str); 4] =
        [("look", "show"), ("follow", "events"), ("fetch", "result"), ("cancel", "cancel")];
}

impl View for BatchView {
    const NOUN: &'static str = "batch";
    const LINKS: [(&'static str, &'static str); 4] =
        [("look", "show_batch"), ("follow", "batch_events"), ("fetch", "results"), ("cancel", "cancel_batch")];
}

/// 202 to a submit.
pub struct Accepted<V>(PhantomData<V>);

impl<V: View> IntoResponses for Accepted<V> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let location = HeaderBuilder::new()
            .schema(Some(String::schema()))
            .description(Some(format!("The URL of the {}.", V::NOUN)))
            .build();
        let response = with_body::<V>(format!("The {} is queued.", V::NOUN))
            .header("Location", location)
            .header("RateLimit-Policy", header::<String>())
            .header("RateLimit", header::<String>());
        let response = V::LINKS.into_iter().fold(with_quota(response), |response, (name, operation)| {
            let link = LinkBuilder::new().operation_id(operation).parameter("id", "$response.body#/id");
            response.link(name, link.build())
        });
        BTreeMap::from([("202".to_owned(), response.build().into())])
    }
}

/// 200 with a version, or 304, to a request for the present state, and why it is refused.
pub struct Versioned<V>(PhantomData<V>);

impl<V: View> IntoResponses for Versioned<V> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let current = with_body::<V>(format!("The {} as it is now.", V::NOUN)).header("ETag", header::<String>());
        let unchanged = Response::new(format!("The {} is the version that `If-None-Match` names.", V::NOUN));
        use ErrorCode::{InvalidParameter, NotFound, Overloaded, StoreUnavailable};
        let mut responses = by_status(&[InvalidParameter, NotFound, Overloaded, StoreUnavailable]);
        responses.insert("200".to_owned(), current.build().into());
        responses.insert("304".to_owned(), unchanged.into());
        responses
    }
}

/// 200 or 202 to a cancel, and why it is refused.
pub struct Canceled<V>(PhantomData<V>);

impl<V: View> IntoResponses for Canceled<V> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let ended = with_body::<V>(format!("The {} is canceled.", V::NOUN));
        let stopping = with_body::<V>("A worker was told to stop, which it does shortly.".to_owned());
        let mut responses = by_status(&[ErrorCode::NotFound, ErrorCode::AlreadyFinished, ErrorCode::StoreUnavailable]);
        responses.insert("200".to_owned(), ended.build().into());
        responses.insert("202".to_owned(), stopping.build().into());
        responses
    }
}

/// 200 with a stream of events, or 204 when the client has received the last one.
pub struct EventStream;

impl IntoResponses for EventStream {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = Content::new(Some(Ref::from_schema_name(ServerSentEvent::name())));
        let stream = ResponseBuilder::new()
            .description("The stream of events. The schema is that of one event.")
            .content("text/event-stream", body);
        let ended = Response::new("Everything has ended, and the client has received the last event.");
        BTreeMap::from([("200".to_owned(), stream.build().into()), ("204".to_owned(), ended.into())])
    }
}

/// 200 with the picture, to `POST /enhance`.
pub struct EnhancedPicture;

impl IntoResponses for EnhancedPicture {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let response =
            ResponseBuilder::new().description("The enhanced picture.").header("X-Job-Id", header::<String>());
        let response = OutputFormat::ALL.into_iter().fold(response, |response, format| {
            response.content(format.media_type(), Content::new(Some(Ref::from_schema_name(Binary::name()))))
        });
        BTreeMap::from([("200".to_owned(), with_quota(response).build().into())])
    }
}

fn with_body<V: ToSchema>(description: String) -> ResponseBuilder {
    let body = Content::new(Some(Ref::from_schema_name(V::name())));
    ResponseBuilder::new().description(description).content("application/json", body)
}

fn with_quota(response: ResponseBuilder) -> ResponseBuilder {
    response
        .header("X-Quota-Used", header::<u64>())
        .header("X-Quota-Limit", header::<u64>())
        .header("X-Quota-Reset", header::<String>())
}

fn header<T: PartialSchema>() -> Header {
    Header::new(T::schema())
}
