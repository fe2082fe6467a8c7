//! The files of a browser application under test.

use crate::config::Files;
use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use tower_http::services::ServeDir;

pub(crate) fn router(files: &[Files]) -> Router {
    let nested = files.iter().fold(Router::new(), |router, Files { path, folder }| {
        router.nest_service(if path.is_empty() { "/" } else { path }, ServeDir::new(folder))
    });
    nested.layer(map_response(protect))
}

/// What a page cannot say for itself in a `meta` element. It may be kept for going back, so it is not `no-store`.
async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
