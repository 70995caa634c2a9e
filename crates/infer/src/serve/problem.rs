//! What a client did wrong, or what the server can't do now, as RFC 9457 has it: `application/problem+json` with a type that programs can
//! tell apart. `access` writes the body, so that each has its request's id.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Kinds of problems; `docs/serving.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MalformedRequest,
    MalformedJson,
    Unauthorized,
    NotFound,
    UnknownModel,
    UnknownVersion,
    MethodNotAllowed,
    BodyTimeout,
    BodyTooLarge,
    TooManyPixels,
    TooManyInputs,
    UriTooLong,
    UnsupportedType,
    UnreadableInput,
    WrongInput,
    DecodeTimeout,
    HeadersTooLarge,
    Internal,
    Overloaded,
    Draining,
    Timeout,
}

impl Kind {
    /// Every kind, for the description of the interface.
    pub(crate) const ALL: [Self; 21] = [
        Self::MalformedRequest,
        Self::MalformedJson,
        Self::Unauthorized,
        Self::NotFound,
        Self::UnknownModel,
        Self::UnknownVersion,
        Self::MethodNotAllowed,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::TooManyPixels,
        Self::TooManyInputs,
        Self::UriTooLong,
        Self::UnsupportedType,
        Self::UnreadableInput,
        Self::WrongInput,
        Self::DecodeTimeout,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Overloaded,
        Self::Draining,
        Self::Timeout,
    ];

    /// The status, the last word of the type, and the title.
    pub(crate) fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::MalformedRequest => (400, "malformed-request", "The request cannot be understood"),
            Self::MalformedJson => (400, "malformed-json", "The body is not the JSON that is expected here"),
            Self::Unauthorized => (401, "unauthorized", "A valid bearer token is needed"),
            Self::NotFound => (404, "not-found", "There is nothing at this path"),
            Self::UnknownModel => (404, "unknown-model", "No model of this name is served"),
            Self::UnknownVersion => (404, "unknown-version", "This version of the model is not served"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "This path doesn't take this method"),
            Self::BodyTimeout => (408, "body-timeout", "The body took too long to arrive"),
            Self::BodyTooLarge => (413, "body-too-large", "The body is too large"),
            Self::TooManyPixels => (413, "too-many-pixels", "The image declares too many pixels"),
            Self::TooManyInputs => (413, "too-many-inputs", "The request holds too many inputs"),
            Self::UriTooLong => (414, "uri-too-long", "The request's target is too long"),
            Self::UnsupportedType => (415, "unsupported-type", "This content type is not taken here"),
            Self::UnreadableInput => (422, "unreadable-input", "The input cannot be decoded"),
            Self::WrongInput => (422, "wrong-input", "The input isn't one of this model"),
            Self::DecodeTimeout => (422, "decode-timeout", "The image takes too long to decode"),
            Self::HeadersTooLarge => (431, "headers-too-large", "The request's headers are too large"),
            Self::Internal => (500, "internal", "The server failed"),
            Self::Overloaded => (503, "overloaded", "The server has more to do than it takes on"),
            Self::Draining => (503, "draining", "The server is ending"),
            Self::Timeout => (503, "timeout", "The answer took too long"),
        }
    }

    /// The word that tells kinds apart, in types and metrics.
    pub(crate) fn word(self) -> &'static str {
        self.parts().1
    }

    fn status(self) -> StatusCode {
        StatusCode::from_u16(self.parts().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A request that is refused, and why.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    /// One line for people: what, where, expected.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What the network, the device or a thread did, rather than the client.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(Kind::Internal, detail)
    }

    /// The body, for the request `id`, if it was one. Clients of the Open Inference Protocol look for `error`.
    pub(crate) fn body(&self, id: Option<&str>) -> Value {
        let (status, word, title) = self.kind.parts();
        let mut body = json!({
            "type": format!("urn:striate:problem:{word}"),
            "title": title,
            "status": status,
            "detail": self.detail,
            "error": self.detail,
        });
        if let Some(id) = id {
            body["request_id"] = id.into();
        }
        body
    }
}

/// Seconds after which trying again makes sense.
const RETRY_AFTER: &str = "1";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        let headers = response.headers_mut();
        match self.kind {
            Kind::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"striate\""));
            }
            Kind::Overloaded | Kind::Draining | Kind::Timeout => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}
