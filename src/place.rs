//! Where the tables are: the folder `lake/` of the data directory, another folder, or a part of an object store (`[lake] url`).
//!
//! An object store's settings come from `[lake.store]`, what is not there from the variables that its own tools know
//! (`AWS_…`, `AZURE_…`, `GOOGLE_…`). Which calls a store must know is decided by the lake's writer.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use calltide_processor::lake::{self, Lake, LakeError};
use calltide_query_api::LakePlace;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use crate::clock;
use crate::errors::{Exit, Failure, Result};

/// What the stores' own tools begin their variables with.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// How long one request is repeated while the store is busy or away. Whoever writes tries again later and has the log until
/// then; whoever asks wants to know.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// The longest pause in that time.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A part of a store.
    Store {
        /// Ends with a slash.
        url: Url,
        /// What its client must be told.
        settings: Vec<(String, String)>,
    },
}

impl Place {
    /// In an object store, by its URL and settings.
    pub(crate) fn in_store(url: &str, settings: &BTreeMap<String, String>) -> Result<Self> {
        let wrong = |e: &dyn Error| {
            Failure::new(Exit::Usage, format!("[lake] url `{url}` cannot be used"))
                .because(e)
                .hint("e.g. s3://bucket/lake, gs://bucket/lake, az://container/lake; settings go into [lake.store]")
        };
        let mut parsed = Url::parse(url).map_err(|e| wrong(&e))?;
        // A folder is the same however it is called, and is synced.
        if parsed.scheme() == "file" {
            let folder = parsed.to_file_path();
            return folder.map(Self::Folder).map_err(|()| wrong(&std::io::Error::other("it is no absolute path")));
        }
        if !parsed.path().ends_with('/') {
            parsed.set_path(&format!("{}/", parsed.path()));
        }
        for key in settings.keys() {
            if !knows(&parsed, key).map_err(|e| wrong(&e))? {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("[lake.store] has `{key}`, which this kind of store does not know"),
                )
                .hint("e.g. access_key_id, secret_access_key, region, endpoint, allow_http for s3://"));
            }
        }
        let known = std::env::vars().filter(|(name, _)| VARIABLES.iter().any(|prefix| name.starts_with(prefix)));
        let known = known.map(|(name, value)| (name.to_ascii_lowercase(), value));
        let settings: Vec<_> =
            known.chain(settings.iter().map(|(name, value)| (name.clone(), value.clone()))).collect();
        client(&parsed, &settings).map_err(|e| wrong(&e))?;
        lake::allow(&parsed);
        Ok(Self::Store { url: parsed, settings })
    }

    /// For whoever writes the tables; makes what is not there.
    pub(crate) fn open(&self) -> Result<Lake> {
        match self {
            Self::Folder(folder) => Ok(Lake::open(folder, clock::wall())?),
            Self::Store { .. } => {
                let lake = self.later()?;
                lake.prepare().map_err(|error| self.failed(&error))?;
                Ok(lake)
            }
        }
    }

    /// The same for whoever collects meanwhile: a store that does not answer now is not waited for.
    pub(crate) fn open_or_wait(&self) -> Result<Lake> {
        let Self::Store { url, .. } = self else { return self.open() };
        let lake = self.later()?;
        match lake.prepare() {
            Err(error) if error.is_away() => {
                tracing::warn!(%url, error = &error as &dyn Error, "the lake's store does not answer; its rows wait in the log");
            }
            opened => opened.map_err(|error| self.failed(&error))?,
        }
        Ok(lake)
    }

    /// Without asking the store for anything yet.
    fn later(&self) -> Result<Lake> {
        match self {
            Self::Folder(_) => self.open(),
            Self::Store { url, settings } => {
                Ok(Lake::later(client(url, settings).map_err(|e| self.failed(&e.into()))?, url.clone(), clock::wall())?)
            }
        }
    }

    /// For whoever looks at what the tables consist of: makes and changes nothing.
    pub(crate) fn look(&self) -> Result<Lake> {
        match self {
            Self::Folder(folder) => Ok(Lake::look(folder, clock::wall())?),
            Self::Store { .. } => self.later(),
        }
    }

    /// For whoever asks.
    pub(crate) fn readable(&self) -> Result<LakePlace> {
        match self {
            Self::Folder(folder) => Ok(LakePlace::folder(folder)?),
            Self::Store { url, settings } => {
                Ok(LakePlace::at(url.clone(), client(url, settings).map_err(|e| self.failed(&e.into()))?)?)
            }
        }
    }

    /// Whether a store can be used as it must be; leaves nothing there. `None`: it is a folder.
    pub(crate) fn probe(&self) -> Option<Result<&Url>> {
        let Self::Store { url, .. } = self else { return None };
        let probed = self.later().and_then(|lake| lake.probe().map_err(|error| self.failed(&error)));
        Some(probed.map(|()| url))
    }

    /// Whether tables may be there: a store is only asked when they are needed.
    pub(crate) fn may_have_tables(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.join(calltide_schemas::lake::CURRENT).exists(),
            Self::Store { .. } => true,
        }
    }

    /// What to do about a store that cannot be used as it is.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are told alike")]
    fn failed(&self, error: &LakeError) -> Failure {
        let Self::Store { url, .. } = self else { return Failure::of(Exit::Failed, error) };
        let failure = Failure::new(Exit::Failed, format!("the lake at {url} cannot be used")).because(error);
        match error {
            LakeError::NoBucket { .. } => failure.hint("make the bucket or container, or mend [lake] url"),
            LakeError::Unconditional { .. } => {
                failure.hint("use a store that honours If-None-Match, as S3, MinIO, GCS and Azure do, or a folder")
            }
            _ if refuses(error) => failure.hint(
                "[lake.store] must name a key that may read, write, list and delete there, e.g. access_key_id and \
                 secret_access_key",
            ),
            _ => failure.hint(
                "see that the store runs and that endpoint and region in [lake.store] are right; an http:// endpoint needs \
                 allow_http = \"true\"",
            ),
        }
    }
}

/// A client of the store at that URL, whose root is that of the URL's host. Each user has its own, since connections belong to
/// the threads that made them.
fn client(url: &Url, settings: &[(String, String)]) -> object_store::Result<Arc<dyn ObjectStore>> {
    let backoff = BackoffConfig { max_backoff: RETRY_PAUSE, ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
    // What another tool's variable says beyond these is nothing to us.
    macro_rules! told {
        ($builder:expr) => {{
            let builder = $builder.with_url(url.as_str()).with_retry(retry);
            let builder = settings.iter().fold(builder, |builder, (key, value)| match key.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            Ok(Arc::new(builder.build()?))
        }};
    }
    match kind(url)? {
        Kind::S3 => told!(AmazonS3Builder::new()),
        Kind::Gcs => told!(GoogleCloudStorageBuilder::new()),
        Kind::Azure => told!(MicrosoftAzureBuilder::new()),
    }
}

/// Whether stores of this kind have a setting of that name.
fn knows(url: &Url, key: &str) -> object_store::Result<bool> {
    Ok(match kind(url)? {
        Kind::S3 => AmazonS3ConfigKey::from_str(key).is_ok(),
        Kind::Gcs => GoogleConfigKey::from_str(key).is_ok(),
        Kind::Azure => AzureConfigKey::from_str(key).is_ok(),
    })
}

/// Whose interface a store has.
enum Kind {
    S3,
    Gcs,
    Azure,
}

fn kind(url: &Url) -> object_store::Result<Kind> {
    match ObjectStoreScheme::parse(url) {
        Ok((ObjectStoreScheme::AmazonS3, _)) => Ok(Kind::S3),
        Ok((ObjectStoreScheme::GoogleCloudStorage, _)) => Ok(Kind::Gcs),
        Ok((ObjectStoreScheme::MicrosoftAzure, _)) => Ok(Kind::Azure),
        Ok(_) | Err(_) => Err(object_store::Error::NotSupported { source: "it is of no known kind of store".into() }),
    }
}

/// Whether the store refuses this user.
fn refuses(error: &LakeError) -> bool {
    let mut below: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = below {
        if matches!(
            error.downcast_ref(),
            Some(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
        ) {
            return true;
        }
        below = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_be_given_as_a_url() {
        let place = Place::in_store("file:///srv/lake", &BTreeMap::new());
        assert!(
            matches!(&place, Ok(Place::Folder(folder)) if folder == std::path::Path::new("/srv/lake")),
            "{place:?}"
        );
    }

    #[test]
    fn a_url_that_is_none_is_told_with_what_would_be() {
        for url in ["bucket/lake", "ftp://host/lake"] {
            let told = Place::in_store(url, &BTreeMap::new()).map(drop).map_err(|failure| failure.to_string());
            assert!(matches!(&told, Err(told) if told.contains(url) && told.contains("s3://bucket/lake")), "{told:?}");
        }
    }

    #[test]
    fn a_setting_that_no_such_store_has_is_an_error() {
        let settings = BTreeMap::from([("acces_key_id".to_owned(), "k".to_owned())]);
        let told = Place::in_store("s3://bucket", &settings).map(drop).map_err(|failure| failure.to_string());
        assert!(matches!(&told, Err(told) if told.contains("`acces_key_id`")), "{told:?}");
        let settings = BTreeMap::from([("account_name".to_owned(), "a".to_owned())]);
        assert!(Place::in_store("az://container/lake", &settings).is_ok());
        assert!(Place::in_store("s3://bucket/lake", &settings).is_err());
    }
}
