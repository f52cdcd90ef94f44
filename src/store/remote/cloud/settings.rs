//! Which object store an address means: the place is in the address, credentials and endpoint are in the environment.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::service::Service;
use crate::store::remote::address::{Cloud, CloudPlace};
use crate::sys::http::url;

/// How often, and how long, a request is repeated that a server was too busy for.
const RETRIES: usize = 3;
const LONGEST_RETRYING: Duration = Duration::from_secs(15);

/// Makes the client for a place.
///
/// # Errors
/// What is wrong with the environment, in words and without its values.
pub(super) fn object_store(place: &CloudPlace, service: Service) -> Result<Arc<dyn ObjectStore>, String> {
    let prefix = place.cloud.variables();
    for (name, value) in std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))) {
        if name.starts_with(prefix) || (place.cloud == Cloud::Azure && name == MSI_ENDPOINT) {
            check(&name, value.to_str().unwrap_or("\0"))?;
        }
    }
    let bucket = place.bucket.as_str();
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(300),
            max_backoff: Duration::from_secs(3),
            ..BackoffConfig::default()
        },
        max_retries: RETRIES,
        retry_timeout: LONGEST_RETRYING,
    };
    // An error of the crate may quote what it read.
    let wrong = || format!("the variables {prefix}… do not say how to get there: see docs/remotes.md for them");
    let made: object_store::Result<Arc<dyn ObjectStore>> = match place.cloud {
        Cloud::S3 => AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            // Not every server that speaks as S3 does knows the other way, and one file at a time is removed.
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .with_http_connector(service)
            .build()
            .map(|store| Arc::new(store) as _),
        Cloud::Google => GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_http_connector(service)
            .build()
            .map(|store| Arc::new(store) as _),
        Cloud::Azure => MicrosoftAzureBuilder::from_env()
            .with_container_name(bucket)
            // It would run a program that is looked for in PATH.
            .with_use_azure_cli(false)
            .with_retry(retry)
            .with_http_connector(service)
            .build()
            .map(|store| Arc::new(store) as _),
    };
    made.map_err(|_| wrong())
}

/// The variables that hold a URL.
const URLS: [&str; 14] = [
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_METADATA_ENDPOINT",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "GOOGLE_BASE_URL",
    "AZURE_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_AUTHORITY_HOST",
    "AZURE_STORAGE_AUTHORITY_HOST",
    "AZURE_MSI_ENDPOINT",
    "AZURE_IDENTITY_ENDPOINT",
    MSI_ENDPOINT,
];
/// What the names of variables end with whose value becomes a part of a URL.
const PARTS_OF_URLS: [&str; 6] =
    ["_REGION", "_ACCOUNT_NAME", "_TENANT_ID", "_AUTHORITY_ID", "_OBJECT_ID", "_CREDENTIALS_RELATIVE_URI"];
/// Where Azure names its service for the credentials of a machine.
const MSI_ENDPOINT: &str = "IDENTITY_ENDPOINT";

/// Refuses values that the crate would end the program for, or send where nobody meant them to go.
fn check(name: &str, value: &str) -> Result<(), String> {
    // A key of Google is a JSON text.
    let is_json = name.ends_with("_KEY") && value.trim_start().starts_with('{');
    if !is_json && !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(format!("the value of {name} has characters that it cannot have"));
    }
    if URLS.contains(&name) {
        let parts = url::parts(value).map_err(|reason| format!("the value of {name} cannot be used: {reason}"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.:_~-[]".contains(&byte);
        let is_web = matches!(&parts.scheme[..], "http" | "https");
        if !is_web || parts.query.is_some() || !value.bytes().all(plain) {
            return Err(format!("the value of {name} is no http or https URL of a host and a plain path"));
        }
    }
    let is_part = PARTS_OF_URLS.iter().any(|end| name.ends_with(end));
    if is_part && !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./_".contains(&byte)) {
        return Err(format!("the value of {name} has characters other than letters, digits and - . / _"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_environment_is_checked_and_never_shown() {
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:8333"),
            ("AWS_ENDPOINT_URL_S3", "https://s3.test/a/b"),
            ("AWS_SECRET_ACCESS_KEY", "a/b+c=="),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ("GOOGLE_SERVICE_ACCOUNT_KEY", "{\n}"),
            ("AZURE_STORAGE_ENDPOINT", "http://[::1]:10000/account"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}");
        }
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "http://me:secret@s3.test/"),
            ("AWS_ENDPOINT_URL", "http://secret test/"),
            ("AWS_ENDPOINT_URL", "http://s3.test/?secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret\n"),
            ("AWS_REGION", "secret:x"),
            ("AWS_ENDPOINT_URL", "secret:9000"),
            ("AWS_ENDPOINT_URL", "ftp://secret.test/"),
            ("AZURE_TENANT_ID", "secret#x"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "secret@test"),
            ("AZURE_AUTHORITY_HOST", "https://secret|x/"),
        ] {
            let error = check(name, value).unwrap_err();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }
}
